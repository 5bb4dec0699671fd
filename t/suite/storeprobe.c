/* storeprobe LOCATION SPILL_DIR TIMEOUT_MS SPILL_MAX: a process that uses the store, told what to do on standard input
 * by t/suite/store.t. Each batch writes its number into two tables without any key, so that one that is lost, half or
 * doubled shows. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/store/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store *store;
static _Atomic int64_t next_id;

static const char insert[] = "INSERT INTO probe (id, n) VALUES ($1, (SELECT COUNT(*) FROM probe))";
static const char insert_twin[] = "INSERT INTO probe_twin (id, data) VALUES ($1, $2)";

static const char *result_word(enum store_result result)
{
	return result == STORE_OK ? "ok" : result == STORE_REFUSED ? "refused" : "unavailable";
}

static void make_tables(void)
{
	const struct store_statement statements[] = {
	    {"CREATE TABLE IF NOT EXISTS probe (id BIGINT NOT NULL, n BIGINT NOT NULL)", NULL, 0},
	    {"CREATE TABLE IF NOT EXISTS probe_twin (id BIGINT NOT NULL, data TEXT)", NULL, 0},
	};
	printf("%s\n", result_word(store_write(store, statements, 2, STORE_DURABLE, NULL, NULL)));
}

static char filler[4096];

static enum store_result write_number(int64_t id, unsigned flags, bool later, size_t bytes)
{
	struct store_value values[] = {store_integer(id), store_text_slice((struct slice){filler, bytes})};
	const struct store_statement statements[] = {{insert, values, 1}, {insert_twin, values, 2}};
	if (later) {
		return store_write_later(store, statements, 2) ? STORE_OK : STORE_UNAVAILABLE;
	}
	return store_write(store, statements, 2, flags, NULL, NULL);
}

static void *hammer(void *context)
{
	(void)context;
	for (;;) {
		int64_t id = ++next_id;
		enum store_result result = write_number(id, id % 3 == 0 ? STORE_DURABLE : 0, false, 100);
		printf("%s %" PRId64 "\n", result_word(result), id);
		fflush(stdout);
	}
	return NULL;
}

static bool on_row(void *context, const struct store_value *columns, size_t count)
{
	(void)context;
	for (size_t i = 0; i < count; i++) {
		printf("%s%" PRId64, i == 0 ? "" : " ", columns[i].integer);
	}
	putchar('\n');
	return true;
}

static void print_status(void)
{
	struct store_status status;
	store_get_status(store, &status);
	printf("available=%d queued=%" PRIu64 " spilled=%" PRIu64 " replayed=%" PRIu64 " lost=%" PRIu64 " failed=%" PRIu64
	       "\n",
	       status.available, status.queued, status.spilled_bytes, status.replayed, status.lost, status.failed);
}

static void later_range(int64_t from, int64_t to, size_t bytes)
{
	int taken = 0;
	for (int64_t id = from; id <= to; id++) {
		taken += write_number(id, 0, true, bytes) == STORE_OK;
	}
	printf("taken %d\n", taken);
}

static void hammer_start(int threads)
{
	for (int i = 0; i < threads; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, hammer, NULL) != 0) {
			abort();
		}
		pthread_detach(thread);
	}
}

static void obey(const char *line)
{
	int64_t a = 0;
	int64_t b = 0;
	size_t bytes = 10;
	uint64_t started = clock_now();
	if (sscanf(line, "later %" SCNd64 " %" SCNd64 " %zu", &a, &b, &bytes) >= 2) {
		later_range(a, b, bytes);
	} else if (sscanf(line, "write %" SCNd64 " %zu", &a, &bytes) >= 1) {
		enum store_result result = write_number(a, STORE_DURABLE, false, bytes);
		printf("%s %" PRIu64 " ms\n", result_word(result), (clock_now() - started) / CLOCK_NS_PER_MS);
	} else if (sscanf(line, "hammer %" SCNd64, &a) == 1) {
		hammer_start((int)a);
	} else if (sscanf(line, "flush %" SCNd64, &a) == 1) {
		puts(store_flush(store, (uint64_t)a * CLOCK_NS_PER_MS) ? "flushed" : "not flushed");
	} else if (strcmp(line, "count") == 0) {
		enum store_result result = store_query(store, "SELECT COUNT(*) FROM probe", NULL, 0, on_row, NULL);
		if (result != STORE_OK) {
			printf("%s %" PRIu64 " ms\n", result_word(result), (clock_now() - started) / CLOCK_NS_PER_MS);
		}
	} else if (strcmp(line, "status") == 0) {
		print_status();
	} else if (strcmp(line, "tables") == 0) {
		make_tables();
	} else {
		printf("what? %s\n", line);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		return 2;
	}
	struct store_options options = {.location = argv[1],
	                                .spill_dir = argv[2],
	                                .timeout = strtoull(argv[3], NULL, 10) * CLOCK_NS_PER_MS,
	                                .spill_max = strtoull(argv[4], NULL, 10),
	                                .connections = 4};
	char *error = NULL;
	char line[256];
	memset(filler, 'x', sizeof filler);
	store = store_open(&options, STORE_MIGRATE | STORE_LATER | STORE_QUICK_CHECK, &error);
	printf("%s\n", store == NULL ? error : "open");
	fflush(stdout);
	free(error);
	while (store != NULL && fgets(line, sizeof line, stdin) != NULL && strncmp(line, "quit", 4) != 0) {
		line[strcspn(line, "\n")] = '\0';
		obey(line);
	}
	store_close(store);
	puts("closed");
	return 0;
}
