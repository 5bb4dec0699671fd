/* status_read: what the daemon answers to GET /status, for status and top. */
#ifndef MAILREEVE_CTL_STATUS_READ_H
#define MAILREEVE_CTL_STATUS_READ_H

#include "lib/base/arena.h"
#include "lib/policy/config.h"

#include <jansson.h>

/* json_decref(). NULL: the daemon did not answer, or not well; that was printed. quick: it does not ask the resolver.
 */
json_t *status_read(const struct config *config, bool quick, struct arena *arena);

/* A member by its path, "minute.message.p50"; 0, or "" where there is none. Texts are printable: bytes that a terminal
 * would act on are shown as \xHH. */
double status_number(const json_t *root, const char *path);
const char *status_text(const json_t *root, const char *path, struct arena *arena);
const json_t *status_member(const json_t *root, const char *path); /* or NULL */

/* "1.2 s", "350 ms" */
const char *status_seconds(double seconds, struct arena *arena);
/* "3 days", "5 min" of whole seconds. */
const char *status_age(double seconds, struct arena *arena);

#endif
