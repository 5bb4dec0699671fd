/* Rows of DMARC reports against a real store: SQLite in a folder of its own, or the one that MAILREEVE_TEST_STORE
 * names. */
#include "lib/base/clock.h"
#include "lib/store/dmarc_failures.h"
#include "lib/store/dmarc_rows.h"
#include "t/tap.h"
#include "t/test_store.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { DAY = 20000, DUE = (DAY + 1) * 86400, TAKERS = 8, REPORTS = 100 };

static void add(struct store *store, int64_t day, const char *domain, const char *record, const char *head, int64_t due)
{
	dmarc_rows_add(store, &(struct dmarc_rows_message){day, domain, slice_from(record), slice_from(head),
	                                                   SLICE_LITERAL("tail"), due});
}

static bool on_row(void *context, struct slice before, int64_t messages, struct slice after)
{
	struct strbuf *text = context;
	strbuf_printf(text, "%.*s %lld %.*s;", SLICE_ARGS(before), (long long)messages, SLICE_ARGS(after));
	return true;
}

static bool on_report(void *context, const struct dmarc_rows_report *report)
{
	struct strbuf *text = context;
	strbuf_printf(text, "%s %lld %d %lld %.*s;", report->domain, (long long)report->messages, (int)report->state,
	              (long long)report->attempts, SLICE_ARGS(report->record));
	return true;
}

static const char *rows(struct store *store, struct arena *arena, int64_t day, const char *domain, int64_t limit)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	return dmarc_rows_each(store, day, domain, limit, on_row, &text) == STORE_OK ? text.data : "the store is down";
}

static const char *reports(struct store *store, struct arena *arena, int64_t day, const char *domain)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	return dmarc_rows_reports(store, day, domain, on_report, &text) == STORE_OK ? text.data : "the store is down";
}

static bool on_failure(void *context, const struct dmarc_failure *failure)
{
	struct strbuf *text = context;
	strbuf_printf(text, "%lld %s %s %.*s %lld;", (long long)failure->id, failure->domain, failure->address,
	              SLICE_ARGS(failure->parts), (long long)failure->attempts);
	return true;
}

static const char *failures(struct store *store, struct arena *arena, const char *domain)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	return dmarc_failures_waiting(store, domain, 100, on_failure, &text) == STORE_OK ? text.data : "the store is down";
}

static bool on_count(void *context, const struct store_value *columns, size_t count)
{
	*(int64_t *)context = count == 1 ? columns[0].integer : -1;
	return true;
}

static void test_failures(struct store *store, struct arena *arena)
{
	struct dmarc_failure failure = {
	    .day = DAY, .domain = "f.example", .address = "r@f.example", .parts = SLICE_LITERAL("text")};
	bool found;
	int64_t rows = 0;
	for (failure.id = 1; failure.id <= 5; failure.id++) {
		dmarc_failures_add(store, &failure, DUE, 3);
	}
	failure.id = 3;
	dmarc_failures_add(store, &failure, DUE, 100); /* the same again */
	failure.domain = "g.example";
	failure.id = 9;
	dmarc_failures_add(store, &failure, DUE + 1, 3);
	ok(store_flush(store, 30 * CLOCK_NS_PER_S), "failure reports are written");
	is_text(failures(store, arena, "f.example"),
	        "1 f.example r@f.example text 0;2 f.example r@f.example text 0;3 f.example r@f.example text 0;",
	        "as many of a domain and day as may be, each once");
	is_int(dmarc_failures_take(store, arena, DUE - 1, 60, &failure, &found), STORE_OK, "before its time");
	ok(!found, "none is due");
	for (int64_t id = 1; id <= 3; id++) {
		dmarc_failures_take(store, arena, DUE, 60, &failure, &found);
		ok(found && failure.id == id && failure.attempts == 1, "one after the other is taken");
	}
	dmarc_failures_take(store, arena, DUE, 60, &failure, &found);
	ok(!found, "each once, while its lease lasts");
	is_int(dmarc_failures_later(store, 2, "r@f.example", DUE + 30), STORE_OK, "one is put off");
	is_int(dmarc_failures_done(store, 1, "r@f.example"), STORE_OK, "one is sent");
	dmarc_failures_take(store, arena, DUE + 30, 60, &failure, &found);
	ok(found && failure.id == 9, "another domain's turn");
	dmarc_failures_take(store, arena, DUE + 30, 60, &failure, &found);
	ok(found && failure.id == 2 && failure.attempts == 2, "the one that was put off");
	dmarc_failures_later(store, 9, "r@f.example", DUE + 31 + DMARC_ROWS_DUE_MAX);
	dmarc_failures_take(store, arena, DUE + 30, 60, &failure, &found);
	ok(found && failure.id == 9, "one that a clock which was ahead has put off is due");
	failure = (struct dmarc_failure){
	    .id = 7, .day = DAY, .domain = "f.example", .address = "r@f.example", .parts = SLICE_LITERAL("x")};
	dmarc_failures_add(store, &failure, DUE, 3);
	ok(store_flush(store, 30 * CLOCK_NS_PER_S), "one more");
	is_text(failures(store, arena, "f.example"), "2 f.example r@f.example text 2;3 f.example r@f.example text 1;",
	        "what was sent counts for its day");
	is_int(dmarc_failures_expire(store, DAY + 1, 2), STORE_OK, "the day is forgotten");
	store_query(store, "SELECT COUNT(*) FROM dmarc_failure", NULL, 0, on_count, &rows);
	is_int(rows, 2, "in bounded steps");
}

static void test_counting(struct store *store, struct arena *arena)
{
	add(store, DAY, "a.example", "old", "one", DUE);
	add(store, DAY, "a.example", "new", "two", DUE + 9);
	add(store, DAY, "a.example", "new", "two", DUE);
	add(store, DAY, "b.example", "x", "one", DUE);
	add(store, DAY + 1, "a.example", "new", "two", DUE + 86400);
	ok(store_flush(store, 30 * CLOCK_NS_PER_S), "written");
	is_text(rows(store, arena, DAY, "a.example", 10), "two 2 tail;one 1 tail;", "equal rows are counted, most first");
	is_text(rows(store, arena, DAY, "a.example", 1), "two 2 tail;", "no more than asked for");
	is_text(rows(store, arena, DAY, "c.example", 10), "", "none");
	is_text(reports(store, arena, DAY, ""), "a.example 3 0 0 new;b.example 1 0 0 x;",
	        "reports of a day, the newest record");
	is_text(reports(store, arena, DAY, "b.example"), "b.example 1 0 0 x;", "of a domain");
}

static const char *take(struct store *store, struct arena *arena, int64_t today, int64_t now)
{
	struct dmarc_rows_report report;
	bool found;
	if (dmarc_rows_take(store, arena, today, now, 100, &report, &found) != STORE_OK) {
		return "the store is down";
	}
	return found ? arena_printf(arena, "%lld %s %lld", (long long)report.day, report.domain, (long long)report.attempts)
	             : "none";
}

static void test_taking(struct store *store, struct arena *arena)
{
	bool sent;
	is_text(take(store, arena, DAY, DUE + 1000), "none", "not before the day is over");
	is_text(take(store, arena, DAY + 1, DUE - 1), "none", "not before its time");
	is_text(take(store, arena, DAY + 1, DUE), "20000 a.example 1", "the first that is due");
	is_text(take(store, arena, DAY + 1, DUE), "20000 b.example 1", "the next");
	is_text(take(store, arena, DAY + 1, DUE + 99), "none", "what is taken is taken");
	is_text(take(store, arena, DAY + 1, DUE + 100), "20000 a.example 2", "until the lease is over");
	dmarc_rows_set_state(store, DAY, "a.example", DMARC_REPORT_SENT, 0);
	dmarc_rows_set_state(store, DAY, "b.example", DMARC_REPORT_OPEN, DUE + 500);
	is_text(take(store, arena, DAY + 1, DUE + 499), "none", "a sent one is not taken, another not before its next try");
	is_text(take(store, arena, DAY + 1, DUE + 500), "20000 b.example 2", "then it is");
	dmarc_rows_set_state(store, DAY, "b.example", DMARC_REPORT_OPEN, DUE + 500 + DMARC_ROWS_DUE_MAX);
	is_text(take(store, arena, DAY + 1, DUE + 500), "none", "a try that is put off far");
	dmarc_rows_set_state(store, DAY, "b.example", DMARC_REPORT_OPEN, DUE + 501 + DMARC_ROWS_DUE_MAX);
	is_text(take(store, arena, DAY + 1, DUE + 500), "20000 b.example 3", "but not further than by a clock that was ahead");
	dmarc_rows_set_state(store, DAY, "b.example", DMARC_REPORT_VOID, 0);
	is_text(reports(store, arena, DAY, ""), "a.example 3 1 2 new;b.example 1 2 3 x;", "states");
	ok(dmarc_rows_was_sent_to(store, DAY, "a.example", "x@a.example", &sent) == STORE_OK && !sent,
	   "not sent to an address");
	dmarc_rows_sent_to(store, DAY, "a.example", "x@a.example");
	dmarc_rows_sent_to(store, DAY, "a.example", "x@a.example");
	ok(dmarc_rows_was_sent_to(store, DAY, "a.example", "x@a.example", &sent) == STORE_OK && sent, "sent to it");
	ok(dmarc_rows_was_sent_to(store, DAY + 1, "a.example", "x@a.example", &sent) == STORE_OK && !sent,
	   "not on another day");
}

static void *run_taker(void *context)
{
	struct store *store = context;
	struct arena *arena = arena_create(4096);
	size_t taken = 0;
	while (strcmp(take(store, arena, DAY + 10, DUE + 864000), "none") != 0) {
		taken++;
	}
	arena_destroy(arena);
	return (void *)(uintptr_t)taken;
}

/* Eight who take at the same time take each report once. */
static void test_takers(struct store *store)
{
	pthread_t threads[TAKERS];
	size_t taken = 0;
	for (int i = 0; i < REPORTS; i++) {
		char domain[32];
		snprintf(domain, sizeof domain, "d%d.example", i);
		add(store, DAY + 5, domain, "x", "one", DUE);
	}
	store_flush(store, 30 * CLOCK_NS_PER_S);
	for (size_t i = 0; i < TAKERS; i++) {
		pthread_create(&threads[i], NULL, run_taker, store);
	}
	for (size_t i = 0; i < TAKERS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		taken += (size_t)(uintptr_t)result;
	}
	is_int((long long)taken, REPORTS + 1, "each report is taken once");
}

int main(void)
{
	char folder[] = "/tmp/dmarc_rows.XXXXXX";
	struct arena *arena = arena_create(4096);
	if (mkdtemp(folder) == NULL) {
		abort();
	}
	struct store *store = open_store(folder);
	test_failures(store, arena);
	test_counting(store, arena);
	test_taking(store, arena);
	test_takers(store);
	ok(dmarc_rows_expire(store, DAY + 5) == STORE_OK, "expiry");
	is_text(reports(store, arena, DAY, ""), "", "what is old is gone");
	ok(strlen(reports(store, arena, DAY + 5, "")) > 0, "what is not stays");
	store_close(store);
	arena_destroy(arena);
	char *command;
	if (asprintf(&command, "rm -rf '%s'", folder) < 0 || system(command) != 0) {
		abort();
	}
	free(command);
	return done_testing();
}
