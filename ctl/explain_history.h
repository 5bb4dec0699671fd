/* explain_history: a message that the history has. */
#ifndef MAILREEVE_CTL_EXPLAIN_HISTORY_H
#define MAILREEVE_CTL_EXPLAIN_HISTORY_H

#include "ctl/history.h"

/* Could the argument be a queue id or a support id, and no name of a file? */
bool explain_is_id(const char *text);

/* Calls visit for each message with that queue id or support id, the youngest first, 10 at most, with its DNS answers.
 * False with a message on standard error when there is none. */
bool explain_find(struct store *store, const char *id, history_visitor *visit, void *context);

/* For people: as explain_table() shows a session. */
void explain_history_table(const struct history_message *message, FILE *out);

/* What differs between what was recorded, the same message judged again by the answers and at the time of then, and
 * now. Each an object with the keys of explain --json; then may be NULL: no answers were recorded. */
void explain_compare(json_t *recorded, json_t *then, json_t *now, FILE *out);

#endif
