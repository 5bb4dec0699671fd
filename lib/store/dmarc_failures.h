/* dmarc_failures: DMARC failure reports (RFC 9991) that wait to be sent: one row for each message and address. What was
 * sent is kept for its day without its content, so that a domain's share of a day is counted. */
#ifndef MAILREEVE_STORE_DMARC_FAILURES_H
#define MAILREEVE_STORE_DMARC_FAILURES_H

#include "lib/store/store.h"

struct dmarc_failure {
	int64_t id;          /* history_new_id(): unique over the fleet */
	int64_t day;         /* since 1970 */
	const char *domain;  /* where the record was found, canonical */
	const char *address; /* whom it goes to: local@domain */
	struct slice parts;  /* dmarc_failure_parts() */
	int64_t attempts;    /* only read */
};

/* store_write_later(). Nothing when that domain has `max` rows of that day. False: it was lost. */
bool dmarc_failures_add(struct store *store, const struct dmarc_failure *failure, int64_t due, int64_t max);

/* False ends the listing. Strings live until it returns. It must not call the store. */
typedef bool dmarc_failure_visitor(void *context, const struct dmarc_failure *failure);
/* Those that wait, oldest first; domain "": all. */
enum store_result dmarc_failures_waiting(struct store *store, const char *domain, int64_t limit,
                                         dmarc_failure_visitor *visit, void *context);

/* Takes the next that is due, for lease seconds, in which nobody else takes it. Strings in arena. */
enum store_result dmarc_failures_take(struct store *store, struct arena *arena, int64_t now, int64_t lease,
                                      struct dmarc_failure *failure_r, bool *found_r);
/* It is sent, or given up: its content goes. */
enum store_result dmarc_failures_done(struct store *store, int64_t id, const char *address);
/* It is to be tried again then. */
enum store_result dmarc_failures_later(struct store *store, int64_t id, const char *address, int64_t due);
/* Forgets days before that one, `limit` rows at most. */
enum store_result dmarc_failures_expire(struct store *store, int64_t day, int64_t limit);

#endif
