#include "lib/pipeline/clock_guard.h"

#include "lib/base/log.h"
#include "lib/store/turn.h"

#include <stdlib.h>

enum {
	EVEN = 3600, /* seconds that NTP may move a clock by in all without that it counts as a jump */
	TELL = 3600,
};

static bool is_steady(struct clock_guard *guard, int64_t now, int64_t elapsed)
{
	int64_t offset = now - elapsed;
	if (!guard->begun || llabs(offset - guard->offset) > EVEN) {
		guard->begun = true;
		guard->started = elapsed;
		guard->offset = offset;
	}
	return elapsed - guard->started >= CLOCK_GUARD_STEADY;
}

static void tell(struct clock_guard *guard, int64_t ahead, int64_t elapsed)
{
	if (!guard->doubted || elapsed - guard->told >= TELL) {
		log_error(
		    "the clock is %lld days ahead of the last time that the store was looked after: nothing expires and no "
		    "report is sent until it has gone on like this for a day; set it right if it is wrong",
		    (long long)(ahead / 86400));
		guard->told = elapsed;
	}
	guard->doubted = true;
}

bool clock_guard_believes(struct clock_guard *guard, struct store *store, int64_t now, int64_t elapsed)
{
	int64_t last = 0;
	bool steady = is_steady(guard, now, elapsed);
	if (turn_last(store, &last) != STORE_OK) {
		return false;
	}
	if (last != 0 && now - last > CLOCK_GUARD_AHEAD && !steady) {
		tell(guard, now - last, elapsed);
		return false;
	}
	if (guard->doubted) {
		log_info("the clock is believed again");
		guard->doubted = false;
	}
	return turn_looked(store, now) == STORE_OK;
}
