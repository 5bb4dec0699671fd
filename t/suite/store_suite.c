/* The store, the same on both drivers: without MAILREEVE_STORE_LOCATION on SQLite; t/suite/store.t runs it on
 * PostgreSQL. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/store/store.h"
#include "lib/store/migrations.h"
#include "t/tap.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/store-suite-XXXXXX";
static char location[4200], spill_dir[64];

static struct store_options options(void)
{
	return (struct store_options){.location = location,
	                              .timeout = 20 * CLOCK_NS_PER_S,
	                              .migrate = true,
	                              .connections = 4,
	                              .spill_dir = spill_dir,
	                              .spill_max = 1 << 20};
}

static struct store *open_store(unsigned flags)
{
	struct store_options now = options();
	char *error = NULL;
	struct store *store = store_open(&now, flags, &error);
	if (store == NULL) {
		printf("Bail out! %s\n", error);
		exit(1);
	}
	return store;
}

static enum store_result write_sql(struct store *store, const char *sql, const struct store_value *values, size_t count)
{
	const struct store_statement statement = {sql, values, count};
	return store_write(store, &statement, 1, 0, NULL, NULL);
}

/* The first row, as text: "i:5 t:abc b:0a n: r:1.5". */
struct shown {
	char text[4096];
	size_t rows;
};

static bool show_row(void *context, const struct store_value *columns, size_t count)
{
	struct shown *shown = context;
	size_t n = strlen(shown->text);
	shown->rows++;
	for (size_t i = 0; i < count && n < sizeof shown->text - 600; i++) {
		const struct store_value *value = &columns[i];
		const char *space = n == 0 ? "" : " ";
		switch (value->type) {
		case STORE_NULL:
			n += (size_t)sprintf(shown->text + n, "%sn:", space);
			break;
		case STORE_INTEGER:
			n += (size_t)sprintf(shown->text + n, "%si:%lld", space, (long long)value->integer);
			break;
		case STORE_REAL:
			n += (size_t)sprintf(shown->text + n, "%sr:%.17g", space, value->real);
			break;
		case STORE_TEXT:
			n += (size_t)sprintf(shown->text + n, "%st:%.*s", space, (int)value->bytes.len, value->bytes.data);
			break;
		case STORE_BLOB:
			n += (size_t)sprintf(shown->text + n, "%sb:", space);
			for (size_t j = 0; j < value->bytes.len && j < 200; j++) {
				n += (size_t)sprintf(shown->text + n, "%02x", (unsigned char)value->bytes.data[j]);
			}
			break;
		}
	}
	return true;
}

static void shows(struct store *store, const char *sql, const struct store_value *values, size_t count,
                  const char *expected, const char *name)
{
	struct shown shown = {.rows = 0};
	enum store_result result = store_query(store, sql, values, count, show_row, &shown);
	if (result != STORE_OK) {
		ok(false, "%s: result %d", name, (int)result);
		return;
	}
	is_text(shown.text, expected, name);
}

static void tables(struct store *store)
{
	const struct store_statement statements[] = {
	    {"DROP TABLE IF EXISTS suite_values", NULL, 0},
	    {"DROP TABLE IF EXISTS suite_unique", NULL, 0},
	    {"CREATE TABLE suite_values (id BIGINT NOT NULL PRIMARY KEY, i BIGINT, r DOUBLE PRECISION, t TEXT, b BYTEA)",
	     NULL, 0},
	    {"CREATE TABLE suite_unique (name TEXT NOT NULL PRIMARY KEY, number BIGINT NOT NULL CHECK (number >= 0))", NULL,
	     0},
	};
	is_int(store_write(store, statements, 4, 0, NULL, NULL), STORE_OK, "tables for the suite");
}

/* ---- values ---- */

static void values(struct store *store)
{
	static const char insert[] = "INSERT INTO suite_values (id, i, r, t, b) VALUES ($1, $2, $3, $4, $5)";
	static const char select[] = "SELECT i, r, t, b FROM suite_values WHERE id = $1";
	char bytes[256];
	char expected[1024] = "n: n: n: b:";
	for (int i = 0; i < 256; i++) {
		bytes[i] = (char)i;
		sprintf(expected + 11 + 2 * (i < 200 ? i : 199), "%02x", i < 200 ? i : 199);
	}
	const struct {
		struct store_value v[4];
		const char *expected, *name;
	} rows[] = {
	    {{store_integer(INT64_MAX), store_real(1.5), store_text("abc"), store_blob("\x00\x01", 2)},
	     "i:9223372036854775807 r:1.5 t:abc b:0001",
	     "large"},
	    {{store_integer(INT64_MIN), store_real(-2.5e300), store_text(""), store_blob("", 0)},
	     "i:-9223372036854775808 r:-2.5000000000000001e+300 t: b:",
	     "small, empty"},
	    {{store_null(), store_null(), store_null(), store_null()}, "n: n: n: n:", "NULL"},
	    {{store_integer(0), store_real(0.1), store_text("it's \"\xc3\xa9\" \\ $1 \xf0\x9f\x98\x80"),
	      store_blob(NULL, 0)},
	     "i:0 r:0.10000000000000001 t:it's \"\xc3\xa9\" \\ $1 \xf0\x9f\x98\x80 b:",
	     "quotes, UTF-8"},
	    {{store_null(), store_null(),
	      store_text("a\xff\xc3"
	                 "b"),
	      store_null()},
	     "n: n: t:a\xef\xbf\xbd\xef\xbf\xbd"
	     "b n:",
	     "text that is no UTF-8"},
	    {{store_null(), store_null(), store_text_slice((struct slice){"x\0y", 3}), store_null()},
	     "n: n: t:x\xef\xbf\xbdy n:",
	     "text with a NUL"},
	    {{store_null(), store_real(3), store_text("12"), store_blob("12", 2)},
	     "n: r:3 t:12 b:3132",
	     "what looks like another type"},
	    {{store_null(), store_null(), store_null(), store_blob(bytes, sizeof bytes)}, expected, "every byte"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct store_value all[5] = {store_integer((int64_t)i), rows[i].v[0], rows[i].v[1], rows[i].v[2], rows[i].v[3]};
		is_int(write_sql(store, insert, all, 5), STORE_OK, rows[i].name);
		shows(store, select, all, 1, rows[i].expected, "  comes back");
	}
	struct store_value large = store_null();
	large.type = STORE_BLOB;
	large.bytes.len = 8 << 20;
	char *data = calloc(1, large.bytes.len);
	large.bytes.data = data;
	struct store_value all[5] = {store_integer(100), store_null(), store_null(), store_null(), large};
	is_int(write_sql(store, insert, all, 5), STORE_OK, "8 MB");
	shows(store, "SELECT length(b) FROM suite_values WHERE id = $1", all, 1, "i:8388608", "  all of it");
	free(data);
}

static void dialect(struct store *store)
{
	struct store_value v[] = {store_text("ABC"), store_integer(7), store_null()};
	shows(store, "SELECT SUM(i) FROM suite_values WHERE id IN (0, 3)", NULL, 0, "i:9223372036854775807",
	      "a sum of integers is one");
	shows(store, "SELECT COUNT(*) FROM suite_values WHERE t LIKE $1", v, 1, "i:0", "LIKE heeds case");
	shows(store, "SELECT COUNT(*) FROM suite_values WHERE t LIKE 'ab%'", NULL, 0, "i:1", "and finds what is there");
	shows(store, "SELECT $2 + 1, $1, $2", v, 2, "i:8 t:ABC i:7", "parameters by number, in any order");
	shows(store, "SELECT CAST($3 AS TEXT) IS NULL", v, 3, "i:1", "a truth is an integer");
	shows(store, "SELECT t FROM suite_values WHERE t IN ('', 'abc', '12') ORDER BY t COLLATE \"C\" DESC LIMIT $1",
	      &v[1], 1, "t:abc t:12 t:", "order by bytes, limit by parameter");
	is_int(store_query(store, "SELECT nonsense FROM nowhere", NULL, 0, NULL, NULL), STORE_REFUSED,
	       "bad SQL is refused");
	is_int(store_query(store, "SELECT 1", NULL, 0, NULL, NULL), STORE_OK, "and harms nobody");
}

static bool first_only(void *context, const struct store_value *columns, size_t count)
{
	size_t *n = context;
	(void)columns;
	(void)count;
	return ++*n < 2;
}

/* ---- batches ---- */

static void batches(struct store *store)
{
	static const char upsert[] =
	    "INSERT INTO suite_unique (name, number) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET "
	    "number = suite_unique.number + EXCLUDED.number RETURNING name, number";
	struct store_value a[] = {store_text("a"), store_integer(1)};
	struct store_value b[] = {store_text("b"), store_integer(10)};
	struct store_value bad[] = {store_text("c"), store_integer(-1)};
	struct shown shown = {.rows = 0};
	const struct store_statement good[] = {{upsert, a, 2}, {upsert, b, 2}, {upsert, a, 2}};
	is_int(store_write(store, good, 3, 0, show_row, &shown), STORE_OK, "a batch with RETURNING");
	is_text(shown.text, "t:a i:1 t:b i:10 t:a i:2", "its rows, in order");
	shown = (struct shown){.rows = 0};
	is_int(store_write(store, good, 1, STORE_DURABLE, show_row, &shown), STORE_OK, "a durable one");
	is_text(shown.text, "t:a i:3", "its rows, and no others");
	const struct store_statement half[] = {{upsert, a, 2}, {upsert, bad, 2}, {upsert, b, 2}};
	shown = (struct shown){.rows = 0};
	is_int(store_write(store, half, 3, 0, show_row, &shown), STORE_REFUSED, "a batch that violates a constraint");
	is_int((long long)shown.rows, 0, "gives no rows");
	shows(store, "SELECT name, number FROM suite_unique ORDER BY name", NULL, 0, "t:a i:3 t:b i:10",
	      "and leaves nothing");
	is_int(store_write(store, NULL, 0, 0, NULL, NULL), STORE_OK, "an empty batch");
	size_t n = 0;
	is_int(store_query(store, "SELECT name FROM suite_unique UNION ALL SELECT name FROM suite_unique", NULL, 0,
	                   first_only, &n),
	       STORE_OK, "who wants no more rows");
	is_int((long long)n, 2, "gets none");
	static struct store_statement many[STORE_STATEMENTS_MAX + 1];
	for (size_t i = 0; i < STORE_STATEMENTS_MAX + 1; i++) {
		many[i] = (struct store_statement){upsert, b, 2};
	}
	is_int(store_write(store, many, STORE_STATEMENTS_MAX, 0, NULL, NULL), STORE_OK, "as many statements as may be");
	is_int(store_write(store, many, STORE_STATEMENTS_MAX + 1, 0, NULL, NULL), STORE_REFUSED, "one more");
	shows(store, "SELECT number FROM suite_unique WHERE name = 'b'", NULL, 0, "i:40970", "none of which is written");
}

/* ---- threads ---- */

enum { THREADS = 8, ROUNDS = 100 };
static struct store *shared;
static _Atomic int wrong;

static void *hammer(void *context)
{
	int id = *(int *)context;
	for (int i = 0; i < ROUNDS; i++) {
		char name[32];
		sprintf(name, "t%d-%d", id, i);
		struct store_value mine[] = {store_text(name), store_integer(i)};
		struct store_value bad[] = {store_text("bad"), store_integer(-5)};
		struct store_value common[] = {store_text("common")};
		const struct store_statement statements[] = {
		    {"UPDATE suite_unique SET number = number + 1 WHERE name = $1", common, 1},
		    {"INSERT INTO suite_unique (name, number) VALUES ($1, $2)", mine, 2},
		    {"INSERT INTO suite_unique (name, number) VALUES ($1, $2)", bad, 2},
		};
		bool break_it = i % 10 == 9;
		enum store_result expected = break_it ? STORE_REFUSED : STORE_OK;
		wrong +=
		    store_write(shared, statements, break_it ? 3 : 2, i % 7 == 0 ? STORE_DURABLE : 0, NULL, NULL) != expected;
		struct shown shown = {.rows = 0};
		wrong += store_query(shared, "SELECT number FROM suite_unique WHERE name = $1", mine, 1, show_row, &shown) !=
		         STORE_OK;
		wrong += shown.rows != (break_it ? 0 : 1);
	}
	return NULL;
}

static void threads(struct store *store)
{
	pthread_t thread[THREADS];
	int ids[THREADS];
	struct store_value v[] = {store_text("common"), store_integer(0)};
	write_sql(store, "INSERT INTO suite_unique (name, number) VALUES ($1, $2)", v, 2);
	shared = store;
	for (int i = 0; i < THREADS; i++) {
		ids[i] = i;
		pthread_create(&thread[i], NULL, hammer, &ids[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
	}
	is_int(
	    wrong, 0,
	    "threads that write side by side, one batch in ten bad: each has what it wrote, and no bad one harms another");
	shows(store, "SELECT number FROM suite_unique WHERE name = 'common'", NULL, 0, "i:720",
	      "each good batch is there once");
	shows(store, "SELECT COUNT(*) FROM suite_unique WHERE name LIKE 't%'", NULL, 0, "i:720", "all of it");
}

/* ---- later ---- */

static void later(struct store *store)
{
	struct store_value zero[] = {store_text("later"), store_integer(0)};
	write_sql(store, "INSERT INTO suite_unique (name, number) VALUES ($1, $2)", zero, 2);
	int taken = 0;
	for (int i = 1; i <= 1000; i++) {
		/* In order, or the check fails. */
		struct store_value v[] = {store_text("later"), store_integer(i)};
		const struct store_statement statement = {
		    "UPDATE suite_unique SET number = CASE WHEN number = $2 - 1 THEN $2 ELSE -1 END WHERE name = $1", v, 2};
		taken += store_write_later(store, &statement, 1);
		if (i % 100 == 0) {
			struct store_value bad[] = {store_text("later"), store_integer(-1)};
			const struct store_statement refused = {"INSERT INTO suite_unique (name, number) VALUES ($1, $2)", bad, 2};
			taken += store_write_later(store, &refused, 1);
		}
	}
	is_int(taken, 1010, "batches for later");
	ok(store_flush(store, 60 * CLOCK_NS_PER_S), "are written soon");
	shows(store, "SELECT number FROM suite_unique WHERE name = 'later'", NULL, 0, "i:1000",
	      "in order, each once, past those that are refused");
	struct store_status status;
	store_get_status(store, &status);
	is_int((long long)status.lost, 10, "the bad ones are counted");
	is_int((long long)status.queued, 0, "none waits");
	is_int((long long)status.spilled_bytes, 0, "none on disk");
	is_int(status.schema, (long long)store_migrations_count, "the newest schema");
}

/* ---- two of them ---- */

static void counters(struct store *store)
{
	struct store *other = open_store(0);
	int64_t before, after;
	struct store_value subject = store_text("suite");
	struct store_statement bump = store_bump(&subject);
	is_int(store_counter(other, "suite", &before), STORE_OK, "a counter");
	is_int(store_write(store, &bump, 1, 0, NULL, NULL), STORE_OK, "is bumped by one");
	is_int(store_counter(other, "suite", &after), STORE_OK, "and asked for by another");
	is_int(after - before, 1, "who sees it");
	is_int(store_counter(other, "never heard of", &after), STORE_OK, "one that nobody has bumped");
	is_int(after, 0, "is 0");
	store_close(other);
	other = open_store(STORE_READ_ONLY | STORE_LATER);
	is_int(store_write(other, &bump, 1, 0, NULL, NULL), STORE_REFUSED, "read-only: no write");
	ok(!store_write_later(other, &bump, 1), "nor later");
	shows(other, "SELECT number FROM suite_unique WHERE name = 'a'", NULL, 0, "i:3", "but reads");
	store_close(other);
}

/* Before any thread is made: children that open, migrate and write at the same time. */
static void processes(void)
{
	enum { CHILDREN = 4, WRITES = 50 };
	fflush(stdout);
	for (int i = 0; i < CHILDREN; i++) {
		if (fork() == 0) {
			struct store *store = open_store(STORE_MIGRATE);
			struct store_value subject = store_text("processes");
			struct store_statement bump = store_bump(&subject);
			int failed = 0;
			for (int j = 0; j < WRITES; j++) {
				failed += store_write(store, &bump, 1, 0, NULL, NULL) != STORE_OK;
			}
			store_close(store);
			_exit(failed != 0);
		}
	}
	int failed = 0;
	for (int i = 0; i < CHILDREN; i++) {
		int status;
		wait(&status);
		failed += status != 0;
	}
	is_int(failed, 0, "processes that open an empty store at once, and write");
	struct store *store = open_store(0);
	int64_t value;
	is_int(store_counter(store, "processes", &value), STORE_OK, "the store they share");
	is_int(value, CHILDREN * WRITES, "has all that they wrote");
	char expected[64];
	snprintf(expected, sizeof expected, "i:%zu i:1", store_migrations_count);
	shows(store, "SELECT COUNT(*), MIN(version) FROM schema_version", NULL, 0, expected, "made once");
	store_close(store);
}

static void newer(void)
{
	struct store_options now = options();
	struct store *store = open_store(0);
	char *error = NULL;
	write_sql(store, "INSERT INTO schema_version (version, name, applied) VALUES (9999, 'from the future', 0)", NULL,
	          0);
	store_close(store);
	store = store_open(&now, STORE_MIGRATE, &error);
	ok(store == NULL && strstr(error, "9999") != NULL && strstr(error, "newer Mailreeve") != NULL,
	   "a schema of the future is refused: %s", error);
	store_close(store);
	free(error);
	store = open_store(STORE_ANY_SCHEMA);
	write_sql(store, "DELETE FROM schema_version WHERE version = 9999", NULL, 0);
	store_close(store);
}

static void addresses(void)
{
	static const char *const texts[][2] = {
	    {"postgresql://u:secret@h/db", "postgresql://u:***@h/db"},
	    {"postgresql://u:se@cret@h1,h2:5433/db?sslmode=require", "postgresql://u:***@h1,h2:5433/db?sslmode=require"},
	    {"postgresql://u@h/db?password=secret&sslpassword=other", "postgresql://u@h/db?password=***&sslpassword=***"},
	    {"postgresql://h/db?sslpassword=x&password=yy", "postgresql://h/db?sslpassword=***&password=***"},
	    {"postgresql://u@h:5432/db", "postgresql://u@h:5432/db"},
	    {"postgresql:///db?host=/run/pg", "postgresql:///db?host=/run/pg"},
	    {"sqlite:/a/b", "sqlite:/a/b"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *text = store_location_text(texts[i][0]);
		is_text(text, texts[i][1], texts[i][1]);
		free(text);
	}
	static const char *const bad[] = {"mysql://x", "sqlite:relative.db", "sqlite:", "/var/lib/x.db",
	                                  "postgresql://u:topsecret%zz@h/db"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct store_options now = options();
		char *error = NULL;
		now.location = bad[i];
		struct store *store = store_open(&now, 0, &error);
		ok(store == NULL && strstr(error, "expected") != NULL && strstr(error, "topsecret") == NULL, "refused: %s",
		   bad[i]);
		store_close(store);
		free(error);
	}
}

int main(void)
{
	const char *given = getenv("MAILREEVE_STORE_LOCATION");
	if (mkdtemp(dir) == NULL) {
		skip_all("no temporary folder");
	}
	snprintf(location, sizeof location, "sqlite:%s/s.db", dir);
	if (given != NULL) {
		snprintf(location, sizeof location, "%s", given);
	}
	snprintf(spill_dir, sizeof spill_dir, "%s/spill", dir);
	if (getenv("MAILREEVE_VERBOSE") == NULL) {
		log_set_level(LOG_LEVEL_ERROR);
	}
	addresses();
	processes();
	newer();
	struct store *store = open_store(STORE_LATER | STORE_QUICK_CHECK);
	tables(store);
	values(store);
	dialect(store);
	batches(store);
	threads(store);
	later(store);
	counters(store);
	store_close(store);
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) == 0 ? done_testing() : 1;
}
