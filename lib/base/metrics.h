/* metrics: counters and histograms that many threads add to without a lock, and their text form for Prometheus (version
 * 0.0.4). Each thread adds to one of a few stripes, so that processors do not fight for a cache line; who reads adds
 * the stripes up. */
#ifndef MAILREEVE_BASE_METRICS_H
#define MAILREEVE_BASE_METRICS_H

#include "lib/base/slice.h"

#include <stdint.h>

/* A fixed number of cells, which begin as 0. Safe from any thread. */
struct metrics;
struct metrics *metrics_create(size_t cells);
void metrics_destroy(struct metrics *metrics); /* takes NULL */
void metrics_add(struct metrics *metrics, size_t cell, uint64_t n);
/* What was added before the call is in it. */
uint64_t metrics_get(const struct metrics *metrics, size_t cell);
size_t metrics_count(const struct metrics *metrics);
void metrics_read(const struct metrics *metrics, uint64_t *values_r); /* all of them */

/* A histogram of durations is HISTOGRAM_CELLS cells in a row: one for each bound, one for what is above the last, and
 * the sum in nanoseconds. */
enum { HISTOGRAM_BOUNDS = 18, HISTOGRAM_SUM = HISTOGRAM_BOUNDS + 1, HISTOGRAM_CELLS };
extern const double histogram_bounds[HISTOGRAM_BOUNDS]; /* seconds; a bound belongs to what is below it */
size_t histogram_bucket(uint64_t ns);                   /* 0 to HISTOGRAM_BOUNDS */
void metrics_observe(struct metrics *metrics, size_t first, uint64_t ns);

/* Of cells that were read: how many there were, and the duration (seconds) that the part 0 < q < 1 of them does not
 * exceed, by linear interpolation in its bucket; what is above the last bound counts as that. 0 where there is none. */
uint64_t histogram_count(const uint64_t *cells);
double histogram_quantile(const uint64_t *cells, double q);

/* ---- the text form ---- */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* "# HELP" and "# TYPE". */
void metrics_put_head(struct strbuf *out, const char *name, enum metric_type type, const char *help);
/* One sample. labels: "key" "value" pairs ended by NULL, or NULL; values are escaped, and what is no UTF-8 in them. */
void metrics_put(struct strbuf *out, const char *name, const char *const *labels, double value);
void metrics_put_histogram(struct strbuf *out, const char *name, const char *const *labels, const uint64_t *cells);

#endif
