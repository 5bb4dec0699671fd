#include "lib/base/clock.h"

uint64_t clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

int clock_poll_timeout(uint64_t deadline)
{
	const uint64_t most = UINT64_C(86400000);
	uint64_t now = clock_now();
	if (deadline <= now) {
		return 0;
	}
	uint64_t ms = (deadline - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
	return (int)(ms > most ? most : ms);
}

struct timespec clock_timespec(uint64_t deadline)
{
	return (struct timespec){.tv_sec = (time_t)(deadline / CLOCK_NS_PER_S), .tv_nsec = (long)(deadline % CLOCK_NS_PER_S)};
}
