/* Whose clock is believed (pipeline/clock_guard.h), on both drivers (t/test_store.h). */
#include "lib/pipeline/clock_guard.h"
#include "lib/store/turn.h"
#include "t/tap.h"
#include "t/test_store.h"

#include <unistd.h>

#define T0 INT64_C(1800000000)
#define HOUR INT64_C(3600)
#define DAY INT64_C(86400)
#define YEAR (365 * DAY)

static void test_ahead(struct store *store)
{
	struct clock_guard guard = {.begun = false};
	ok(clock_guard_believes(&guard, store, T0, 100), "an empty store: whatever the clock says");
	ok(clock_guard_believes(&guard, store, T0 + 60, 160), "it goes on");
	ok(clock_guard_believes(&guard, store, T0 + 60 + 2 * DAY, 220), "two days are nothing");
	ok(!clock_guard_believes(&guard, store, T0 + YEAR, 280), "a year ahead is not believed");
	ok(guard.doubted, "and that is told");
	for (int64_t hour = 1; hour < 24; hour++) {
		if (clock_guard_believes(&guard, store, T0 + YEAR + hour * HOUR, 280 + hour * HOUR)) {
			ok(false, "%lld hours later: not yet", (long long)hour);
		}
	}
	ok(!clock_guard_believes(&guard, store, T0 + YEAR + DAY - 1, 280 + DAY - 1), "nor for a day");
	ok(clock_guard_believes(&guard, store, T0 + DAY, 280 + DAY), "set right it is believed at once");
	ok(!guard.doubted, "without doubt");
}

static void test_restarts(struct store *store)
{
	struct clock_guard first = {.begun = false};
	struct clock_guard second = {.begun = false};
	int64_t last = 0;
	turn_looked(store, T0);
	ok(!clock_guard_believes(&first, store, T0 + YEAR, 5), "a daemon that starts a year ahead is not believed");
	ok(clock_guard_believes(&second, store, T0 + HOUR, 5), "another one with the right time is, meanwhile");
	ok(!clock_guard_believes(&first, store, T0 + YEAR + HOUR, 5 + HOUR), "which does not help the first");
	is_int(turn_last(store, &last), STORE_OK, "the last time is");
	is_int(last, T0 + HOUR, "that of the one who was right");
	ok(!clock_guard_believes(&first, store, T0 + 2 * YEAR, 5 + DAY), "a clock that jumps again begins anew");
	ok(clock_guard_believes(&first, store, T0 + 2 * YEAR + DAY, 5 + 2 * DAY),
	   "one that goes on evenly for a day is the time");
	turn_last(store, &last);
	is_int(last, T0 + 2 * YEAR + DAY, "and remembered");
}

static void test_behind(struct store *store)
{
	struct clock_guard guard = {.begun = false};
	int64_t last = 0;
	turn_looked(store, T0);
	ok(clock_guard_believes(&guard, store, T0 - YEAR, 5), "a clock that is set back deletes too little: let it");
	turn_last(store, &last);
	is_int(last, T0 - YEAR, "it is the time now");
	ok(!clock_guard_believes(&guard, store, T0, 10), "set forward again it has to wait");
	ok(clock_guard_believes(&guard, store, T0 + DAY + 30 * 60, 10 + DAY), "a day, in which NTP may correct it");
}

int main(void)
{
	char folder[] = "/var/tmp/mailreeve-clock-XXXXXX";
	char command[100];
	if (mkdtemp(folder) == NULL) {
		abort();
	}
	struct store *store = open_store(folder);
	test_ahead(store);
	test_restarts(store);
	test_behind(store);
	store_close(store);
	snprintf(command, sizeof command, "rm -r %s", folder);
	ok(system(command) == 0, "cleaned up");
	return done_testing();
}
