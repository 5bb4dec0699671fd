#include "lib/base/metrics.h"

#include "lib/base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { STRIPES = 8, LINE = 64, PER_LINE = LINE / sizeof(uint64_t) };

struct metrics {
	size_t cells, stride; /* stride: cells of a stripe, whole cache lines */
	_Atomic uint64_t *values;
};

const double histogram_bounds[HISTOGRAM_BOUNDS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                   0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};

struct metrics *metrics_create(size_t cells)
{
	struct metrics *metrics = calloc(1, sizeof *metrics);
	if (metrics == NULL) {
		abort();
	}
	metrics->cells = cells;
	metrics->stride = (cells + PER_LINE - 1) / PER_LINE * PER_LINE;
	metrics->values = aligned_alloc(LINE, STRIPES * metrics->stride * sizeof *metrics->values + LINE);
	if (metrics->values == NULL) {
		abort();
	}
	for (size_t i = 0; i < STRIPES * metrics->stride; i++) {
		atomic_init(&metrics->values[i], 0);
	}
	return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
	if (metrics != NULL) {
		free((void *)metrics->values);
		free(metrics);
	}
}

/* A session moves between threads; that does not matter here, as every stripe counts. */
static size_t stripe(void)
{
	static _Atomic unsigned next;
	static _Thread_local unsigned mine; /* from 1 */
	if (mine == 0) {
		mine = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % STRIPES + 1;
	}
	return mine - 1;
}

void metrics_add(struct metrics *metrics, size_t cell, uint64_t n)
{
	if (cell >= metrics->cells) {
		abort();
	}
	atomic_fetch_add_explicit(&metrics->values[stripe() * metrics->stride + cell], n, memory_order_relaxed);
}

uint64_t metrics_get(const struct metrics *metrics, size_t cell)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < STRIPES; i++) {
		sum += atomic_load_explicit(&metrics->values[i * metrics->stride + cell], memory_order_relaxed);
	}
	return sum;
}

size_t metrics_count(const struct metrics *metrics)
{
	return metrics->cells;
}

void metrics_read(const struct metrics *metrics, uint64_t *values_r)
{
	for (size_t i = 0; i < metrics->cells; i++) {
		values_r[i] = metrics_get(metrics, i);
	}
}

size_t histogram_bucket(uint64_t ns)
{
	double seconds = (double)ns / CLOCK_NS_PER_S;
	size_t i = 0;
	while (i < HISTOGRAM_BOUNDS && seconds > histogram_bounds[i]) {
		i++;
	}
	return i;
}

void metrics_observe(struct metrics *metrics, size_t first, uint64_t ns)
{
	metrics_add(metrics, first + histogram_bucket(ns), 1);
	metrics_add(metrics, first + HISTOGRAM_SUM, ns);
}

uint64_t histogram_count(const uint64_t *cells)
{
	uint64_t n = 0;
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		n += cells[i];
	}
	return n;
}

double histogram_quantile(const uint64_t *cells, double q)
{
	double rank = q * (double)histogram_count(cells);
	double below = 0;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS && rank > 0; i++) {
		double here = (double)cells[i];
		if (here > 0 && below + here >= rank) {
			double from = i == 0 ? 0 : histogram_bounds[i - 1];
			return from + (histogram_bounds[i] - from) * (rank - below) / here;
		}
		below += here;
	}
	return rank > 0 ? histogram_bounds[HISTOGRAM_BOUNDS - 1] : 0;
}

/* ---- the text form ---- */

void metrics_put_head(struct strbuf *out, const char *name, enum metric_type type, const char *help)
{
	static const char *const words[] = {
	    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
	strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, words[type]);
}

static void put_label_value(struct strbuf *out, const char *text)
{
	struct slice rest = slice_from(text);
	while (rest.len > 0) {
		unsigned char c = (unsigned char)rest.data[0];
		size_t n = c < 0x80 ? 1 : text_utf8_length(rest);
		if (c == '\\' || c == '"') {
			strbuf_printf(out, "\\%c", c);
		} else if (c == '\n') {
			strbuf_add_text(out, "\\n");
		} else if (n == 0 || c < ' ' || c == 0x7f) {
			strbuf_printf(out, "\\\\x%02x", c);
		} else {
			strbuf_add(out, rest.data, n);
		}
		n = n == 0 ? 1 : n;
		rest = (struct slice){rest.data + n, rest.len - n};
	}
}

static void put_name(struct strbuf *out, const char *name, const char *suffix, const char *const *labels,
                     const char *le)
{
	const char *before = "{";
	strbuf_printf(out, "%s%s", name, suffix);
	for (; labels != NULL && labels[0] != NULL; labels += 2) {
		strbuf_printf(out, "%s%s=\"", before, labels[0]);
		put_label_value(out, labels[1]);
		strbuf_add_char(out, '"');
		before = ",";
	}
	if (le != NULL) {
		strbuf_printf(out, "%sle=\"%s\"", before, le);
		before = ",";
	}
	strbuf_add_text(out, before[0] == '{' ? " " : "} ");
}

/* Whole numbers as they are: a counter of more than six digits must not lose any. */
static void put_value(struct strbuf *out, double value)
{
	bool whole =
	    value > -9e15 && value < 9e15 && (double)(int64_t)value - value >= 0 && (double)(int64_t)value - value <= 0;
	if (whole) {
		strbuf_printf(out, "%lld\n", (long long)value);
	} else {
		strbuf_printf(out, "%.9g\n", value);
	}
}

void metrics_put(struct strbuf *out, const char *name, const char *const *labels, double value)
{
	put_name(out, name, "", labels, NULL);
	put_value(out, value);
}

void metrics_put_histogram(struct strbuf *out, const char *name, const char *const *labels, const uint64_t *cells)
{
	uint64_t n = 0;
	char le[32];
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		n += cells[i];
		snprintf(le, sizeof le, "%g", histogram_bounds[i]);
		put_name(out, name, "_bucket", labels, le);
		put_value(out, (double)n);
	}
	n += cells[HISTOGRAM_BOUNDS];
	put_name(out, name, "_bucket", labels, "+Inf");
	put_value(out, (double)n);
	put_name(out, name, "_sum", labels, NULL);
	put_value(out, (double)cells[HISTOGRAM_SUM] / CLOCK_NS_PER_S);
	put_name(out, name, "_count", labels, NULL);
	put_value(out, (double)n);
}
