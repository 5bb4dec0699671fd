/* later: the queue behind store_write_later(), and the thread that empties it. */
#ifndef MAILREEVE_STORE_LATER_H
#define MAILREEVE_STORE_LATER_H

#include "lib/store/store_private.h"

/* Starts the thread. NULL with *error_r. */
struct later *later_open(struct store *store, const struct store_options *options, char **error_r);
/* Takes no more, and ends the thread once all is written or spilled. */
void later_stop(struct later *later);
void later_close(struct later *later); /* takes NULL */
bool later_add(struct later *later, const struct store_statement *statements, size_t count);
bool later_flush(struct later *later, uint64_t timeout_ns);
/* Does the thread come by until the deadline? */
bool later_alive(struct later *later, uint64_t deadline);
void later_get_status(struct later *later, struct store_status *status_r);

#endif
