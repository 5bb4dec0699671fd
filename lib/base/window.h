/* window: what counters have gone up by in the last minutes. Readings of them are put in now and then; who asks gets
 * the difference of a reading of now and one of then. The clock is the caller's. For one thread at a time. */
#ifndef MAILREEVE_BASE_WINDOW_H
#define MAILREEVE_BASE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct window;
/* slots readings of so many cells are kept. */
struct window *window_create(size_t cells, size_t slots);
void window_destroy(struct window *window); /* takes NULL */

/* now: monotonic nanoseconds, never less than before. */
void window_put(struct window *window, uint64_t now, const uint64_t *values);
/* The newest reading that is at least span_ns old, else the oldest that there is: values minus that, in change_r. The
 * time between the two in nanoseconds; 0: there is no reading, and change_r is values themselves. */
uint64_t window_change(const struct window *window, uint64_t now, uint64_t span_ns, const uint64_t *values,
                       uint64_t *change_r);

#endif
