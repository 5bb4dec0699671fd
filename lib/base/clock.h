/* clock: monotonic time for deadlines and durations. Wall-clock time that judges a message comes from the session
 * (explain --now sets it), never from here. */
#ifndef MAILREEVE_BASE_CLOCK_H
#define MAILREEVE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_S UINT64_C(1000000000)

/* Monotonic nanoseconds; a deadline is a value of this clock. */
uint64_t clock_now(void);

/* Milliseconds from now to the deadline for poll(): rounded up, 0 when it has passed, at most 24 hours. */
int clock_poll_timeout(uint64_t deadline);

/* The deadline as CLOCK_MONOTONIC time, for pthread_cond_clockwait(). */
struct timespec clock_timespec(uint64_t deadline);

#endif
