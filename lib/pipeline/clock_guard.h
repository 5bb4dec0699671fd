/* clock_guard: may the machine's clock be believed when something is to be deleted because it is old? A clock that is
 * set a year ahead by mistake would otherwise empty history, quarantine and greylist within a minute.
 *
 * The store remembers the latest time at which a believed clock looked. A clock that is not more than CLOCK_GUARD_AHEAD
 * behind that is believed, and one that lies before it too: it deletes too little, which does no harm. One that is
 * further ahead jumped, or nobody was there for that long: it is believed once it has gone on evenly, against the
 * monotonic clock, for CLOCK_GUARD_STEADY in this process. Until then an error in the log tells once an hour what to
 * do; who sets the clock right is believed at once. */
#ifndef MAILREEVE_PIPELINE_CLOCK_GUARD_H
#define MAILREEVE_PIPELINE_CLOCK_GUARD_H

#include "lib/store/store.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	CLOCK_GUARD_AHEAD = 3 * 86400, /* seconds: a weekend without power */
	CLOCK_GUARD_STEADY = 86400,
};

/* All zero at first. Of one thread. */
struct clock_guard {
	bool begun;
	int64_t started; /* monotonic seconds at which the clock was seen as it goes on now */
	int64_t offset;  /* wall clock less monotonic, then */
	int64_t told;    /* monotonic seconds of the last error in the log */
	bool doubted;
};

/* now: epoch seconds; elapsed: of a monotonic clock that goes on while the machine sleeps. False: delete nothing now
 * (the store did not answer, too). */
bool clock_guard_believes(struct clock_guard *guard, struct store *store, int64_t now, int64_t elapsed);

#endif
