/* turn: tasks that come again and again, and that one of the fleet does. */
#ifndef MAILREEVE_STORE_TURN_H
#define MAILREEVE_STORE_TURN_H

#include "lib/store/store.h"

/* Is it our turn? Whoever asks first once `seconds` have passed since the last turn of that task has it. now: epoch
 * seconds. One that lies further ahead than a turn lasts is of a clock that was wrong, and is passed over. */
enum store_result turn_take(struct store *store, const char *task, int64_t now, int64_t seconds, bool *ours_r);

/* The time of the last turn_looked() of any daemon; 0: there was none. */
enum store_result turn_last(struct store *store, int64_t *last_r);
enum store_result turn_looked(struct store *store, int64_t now);

#endif
