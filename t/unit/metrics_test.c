/* Counters of many threads, histograms, their text form, windows and the most frequent. */
#include "lib/base/clock.h"
#include "lib/base/metrics.h"
#include "lib/base/topk.h"
#include "lib/base/window.h"
#include "t/tap.h"

#include <pthread.h>
#include <time.h>

enum { THREADS = 16, ROUNDS = 20000 };

static struct metrics *shared;
static struct topk *shared_top;

static void *add_many(void *context)
{
	(void)context;
	for (int i = 0; i < ROUNDS; i++) {
		metrics_add(shared, 0, 1);
		metrics_add(shared, 1, 3);
		metrics_observe(shared, 2, (uint64_t)(i % 3) * CLOCK_NS_PER_MS);
		if (i % 16 == 0) {
			topk_add(shared_top, i % 32 == 0 ? "even" : "odd", CLOCK_NS_PER_S);
		}
	}
	return NULL;
}

static void threads(void)
{
	pthread_t ids[THREADS];
	uint64_t cells[2 + HISTOGRAM_CELLS];
	struct topk_entry top[2];
	shared = metrics_create(2 + HISTOGRAM_CELLS);
	shared_top = topk_create();
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&ids[i], NULL, add_many, NULL);
	}
	metrics_read(shared, cells); /* while they count */
	for (int i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
	}
	metrics_read(shared, cells);
	is_int((long long)cells[0], (long long)THREADS * ROUNDS, "no thread's count is lost");
	is_int((long long)metrics_get(shared, 1), 3LL * THREADS * ROUNDS, "nor what was added to another");
	is_int((long long)histogram_count(cells + 2), (long long)THREADS * ROUNDS, "a histogram counts each");
	is_int((long long)topk_read(shared_top, CLOCK_NS_PER_S, 2, top), 2, "two names");
	is_int((long long)(top[0].count + top[1].count), (long long)THREADS * ROUNDS / 16, "of which none is lost");
	metrics_destroy(shared);
	topk_destroy(shared_top);
}

static void histograms(void)
{
	static const struct {
		uint64_t ns;
		size_t bucket;
	} rows[] = {{0, 0},
	            {100000, 0},
	            {100001, 1},
	            {1000000, 3},
	            {1000001, 4},
	            {60 * CLOCK_NS_PER_S, HISTOGRAM_BOUNDS - 1},
	            {60 * CLOCK_NS_PER_S + 1, HISTOGRAM_BOUNDS},
	            {UINT64_MAX, HISTOGRAM_BOUNDS}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char name[64];
		snprintf(name, sizeof name, "bucket of %llu ns", (unsigned long long)rows[i].ns);
		is_int((long long)histogram_bucket(rows[i].ns), (long long)rows[i].bucket, name);
	}
	uint64_t cells[HISTOGRAM_CELLS] = {0};
	ok(histogram_quantile(cells, 0.5) == 0, "none of nothing");
	cells[10] = 100; /* 0.1 to 0.25 */
	double p50 = histogram_quantile(cells, 0.5);
	ok(p50 > 0.1749 && p50 < 0.1751, "the middle of a bucket is interpolated: %g", p50);
	cells[HISTOGRAM_BOUNDS] = 100;
	ok(histogram_quantile(cells, 0.99) == 60, "what is above the last bound counts as that");
	double last = histogram_quantile(cells, 0.5);
	ok(last > 0.2499 && last < 0.2501, "the end of a bucket: %g", last);
}

static void text(void)
{
	struct arena *arena = arena_create(4096);
	struct strbuf out;
	static const char *const labels[] = {"name", "a\"b\\c\nd\xff\x01\xc3\xa9", "zone", "x", NULL};
	uint64_t cells[HISTOGRAM_CELLS] = {[0] = 2, [3] = 1, [HISTOGRAM_BOUNDS] = 1, [HISTOGRAM_SUM] = 1500000000};
	strbuf_init(&out, arena);
	metrics_put_head(&out, "x_total", METRIC_COUNTER, "Some help.");
	metrics_put(&out, "x_total", NULL, 12345678);
	metrics_put(&out, "x_total", labels, 0.25);
	is_text(out.data,
	        "# HELP x_total Some help.\n# TYPE x_total counter\nx_total 12345678\n"
	        "x_total{name=\"a\\\"b\\\\c\\nd\\\\xff\\\\x01\xc3\xa9\",zone=\"x\"} 0.25\n",
	        "labels are escaped, whole numbers whole");
	strbuf_init(&out, arena);
	metrics_put_histogram(&out, "h", labels + 2, cells);
	ok(strncmp(out.data, "h_bucket{zone=\"x\",le=\"0.0001\"} 2\n", 33) == 0, "the first bucket");
	ok(strstr(out.data, "h_bucket{zone=\"x\",le=\"0.001\"} 3\n") != NULL, "buckets are cumulative");
	ok(strstr(out.data, "le=\"+Inf\"} 4\nh_sum{zone=\"x\"} 1.5\nh_count{zone=\"x\"} 4\n") != NULL, "sum and count");
	arena_destroy(arena);
}

static void windows(void)
{
	struct window *window = window_create(2, 4);
	uint64_t change[2];
	uint64_t values[2] = {5, 7};
	is_int((long long)window_change(window, 100, 10, values, change), 0, "no reading yet");
	is_int((long long)change[1], 7, "is all there was");
	for (uint64_t t = 10; t <= 60; t += 10) {
		window_put(window, t, (uint64_t[]){t * 2, t * 3});
	}
	values[0] = 140;
	values[1] = 210;
	is_int((long long)window_change(window, 70, 20, values, change), 20, "exactly as old as was asked");
	is_int((long long)change[0], 40, "what came since");
	is_int((long long)change[1], 60, "of each cell");
	is_int((long long)window_change(window, 70, 15, values, change), 20, "the next older one");
	is_int((long long)window_change(window, 70, 1000, values, change), 40, "the oldest that is kept");
	is_int((long long)change[0], 80, "and what came since that");
	window_destroy(window);
}

static void frequent(void)
{
	struct topk *topk = topk_create();
	struct topk_entry top[TOPK_ENTRIES];
	char name[300];
	uint64_t now = 1000 * CLOCK_NS_PER_S;
	is_int((long long)topk_read(topk, now, 10, top), 0, "nobody yet");
	/* Two busy ones among ten thousand that come once. */
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "once%d", i);
		topk_add(topk, name, now);
		topk_add(topk, i % 4 == 0 ? "busy" : "busiest", now);
	}
	is_int((long long)topk_read(topk, now, 2, top), 2, "as many as wanted");
	is_text(top[0].name, "busiest", "the busiest is first");
	is_text(top[1].name, "busy", "then the next");
	ok(top[0].count >= 7500 && top[0].count <= 7500 + 20000 / TOPK_ENTRIES, "its count is within the bound: %llu",
	   (unsigned long long)top[0].count);
	topk_add(topk, "later", now + 30 * CLOCK_NS_PER_S);
	is_int((long long)topk_read(topk, now + 30 * CLOCK_NS_PER_S, TOPK_ENTRIES, top), TOPK_ENTRIES,
	       "half a minute on all are there");
	is_int((long long)topk_read(topk, now + 70 * CLOCK_NS_PER_S, TOPK_ENTRIES, top), 1, "then the old ones are gone");
	is_text(top[0].name, "later", "and the later one is left");
	topk_add(topk, "busy", now + 71 * CLOCK_NS_PER_S);
	topk_add(topk, "later", now + 71 * CLOCK_NS_PER_S);
	is_int((long long)topk_read(topk, now + 71 * CLOCK_NS_PER_S, 9, top), 2, "periods are added up");
	ok(strcmp(top[0].name, "later") == 0 && top[0].count == 2, "name by name");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	topk_add(topk, name, now + 200 * CLOCK_NS_PER_S);
	topk_read(topk, now + 200 * CLOCK_NS_PER_S, 1, top);
	is_int((long long)strlen(top[0].name), TOPK_NAME_SIZE - 1, "a long name is cut");
	topk_destroy(topk);
}

/* What a message costs: some twenty stages and a few counters. */
static void cost(void)
{
	struct metrics *metrics = metrics_create(1000);
	struct topk *topk = topk_create();
	uint64_t start = clock_now();
	enum { MESSAGES = 20000 };
	for (size_t i = 0; i < MESSAGES; i++) {
		for (size_t stage = 0; stage < 22; stage++) {
			metrics_observe(metrics, stage * HISTOGRAM_CELLS, i * 1000);
		}
		for (size_t finding = 0; finding < 6; finding++) {
			metrics_add(metrics, 900 + finding, 1);
		}
	}
	uint64_t counted = clock_now();
	for (size_t i = 0; i < MESSAGES; i++) {
		for (size_t kind = 0; kind < 8; kind++) {
			char name[32];
			snprintf(name, sizeof name, "%zu", i % 500);
			topk_add(topk, name, i * 1000);
		}
	}
	diag("counters of a message: %.0f ns; its names: %.0f ns", (double)(counted - start) / MESSAGES,
	     (double)(clock_now() - counted) / MESSAGES);
	is_int((long long)metrics_get(metrics, 905), MESSAGES, "all were counted");
	metrics_destroy(metrics);
	topk_destroy(topk);
}

int main(void)
{
	threads();
	histograms();
	text();
	windows();
	frequent();
	cost();
	return done_testing();
}
