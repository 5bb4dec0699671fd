/* PostgreSQL: a pool of connections, made by a thread of its own, so that nobody who has a deadline waits for a host
 * that does not answer. When a connection cannot be made the pool is down: who asks is told at once, and the thread
 * tries again, more and more seldom, until it succeeds.
 *
 * A batch is one round trip and one transaction. PostgreSQL lets commits that come together share a flush of its log,
 * so batches of several threads go over several connections.
 *
 * Lock: `lock` guards the pool; it is not held while PostgreSQL is asked. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/pulse.h"
#include "lib/store/driver.h"
#include "lib/store/postgres_connection.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_FIRST_NS (CLOCK_NS_PER_S / 4)
#define RETRY_MAX_NS (10 * CLOCK_NS_PER_S)
enum { POOL_MAX = 64, ATTEMPTS = 4 };

struct driver {
	char *location;
	uint64_t timeout_ns;
	bool read_only;

	pthread_t connector;
	bool connector_running;
	pthread_mutex_t lock;
	pthread_cond_t wanted, changed;
	struct postgres *idle[POOL_MAX];
	size_t idle_count, open_count, max, waiting;
	bool down, stopping;
	uint64_t retry_at, retry_ns; /* while down */
	struct pulse pulse;          /* of the connector; its lock is taken within `lock` */
};

/* ---- the connector ---- */

/* Is there something to do, or when? The lock is held. */
static bool connector_may(const struct driver *driver, uint64_t *wake_r)
{
	*wake_r = driver->down ? driver->retry_at : 0;
	if (driver->down) {
		return clock_now() >= driver->retry_at;
	}
	return driver->waiting > driver->idle_count && driver->open_count < driver->max;
}

static void connector_failed(struct driver *driver)
{
	driver->down = true;
	driver->retry_ns = driver->retry_ns == 0 ? RETRY_FIRST_NS : driver->retry_ns * 2;
	driver->retry_ns = driver->retry_ns > RETRY_MAX_NS ? RETRY_MAX_NS : driver->retry_ns;
	driver->retry_at = clock_now() + driver->retry_ns;
}

static void *connector_main(void *context)
{
	struct driver *driver = context;
	pthread_setname_np(pthread_self(), "store-connector");
	pthread_mutex_lock(&driver->lock);
	while (!driver->stopping) {
		uint64_t wake;
		pulse_beat(&driver->pulse);
		if (!connector_may(driver, &wake)) {
			struct timespec limit = clock_timespec(wake);
			if (wake != 0) {
				pthread_cond_clockwait(&driver->wanted, &driver->lock, CLOCK_MONOTONIC, &limit);
			} else {
				pthread_cond_wait(&driver->wanted, &driver->lock);
			}
			continue;
		}
		bool said = driver->down;
		pthread_mutex_unlock(&driver->lock);
		char *error = NULL;
		struct postgres *postgres = postgres_connect(
		    driver->location, driver->read_only ? POSTGRES_READ_ONLY : POSTGRES_POOLED, driver->timeout_ns, &error);
		if (postgres == NULL && !said) {
			log_error("store: %s", error);
		}
		free(error);
		pthread_mutex_lock(&driver->lock);
		if (postgres == NULL) {
			connector_failed(driver);
		} else {
			driver->down = false;
			driver->retry_ns = 0;
			driver->open_count++;
			driver->idle[driver->idle_count++] = postgres;
		}
		pthread_cond_broadcast(&driver->changed);
	}
	pthread_mutex_unlock(&driver->lock);
	return NULL;
}

static bool postgres_comes_by(struct driver *driver, uint64_t deadline)
{
	uint64_t ticket = pulse_ask(&driver->pulse);
	pthread_mutex_lock(&driver->lock);
	pthread_cond_signal(&driver->wanted);
	pthread_mutex_unlock(&driver->lock);
	return pulse_wait(&driver->pulse, ticket, deadline);
}

/* ---- the pool ---- */

static struct postgres *pool_take(struct driver *driver, uint64_t deadline)
{
	struct timespec limit = clock_timespec(deadline);
	struct postgres *postgres = NULL;
	int error = 0;
	pthread_mutex_lock(&driver->lock);
	driver->waiting++;
	while (driver->idle_count == 0 && !driver->down && error == 0) {
		pthread_cond_signal(&driver->wanted);
		error = pthread_cond_clockwait(&driver->changed, &driver->lock, CLOCK_MONOTONIC, &limit);
	}
	driver->waiting--;
	if (driver->idle_count > 0) {
		postgres = driver->idle[--driver->idle_count];
	}
	pthread_mutex_unlock(&driver->lock);
	return postgres;
}

/* One that broke tells that the others may have, too: they were made to the same server. */
static void pool_release(struct driver *driver, struct postgres *postgres)
{
	struct postgres *gone[POOL_MAX];
	size_t count = 0;
	pthread_mutex_lock(&driver->lock);
	if (postgres->broken) {
		gone[count++] = postgres;
		while (driver->idle_count > 0) {
			gone[count++] = driver->idle[--driver->idle_count];
		}
		driver->open_count -= count;
	} else {
		driver->idle[driver->idle_count++] = postgres;
	}
	pthread_cond_signal(&driver->changed);
	pthread_mutex_unlock(&driver->lock);
	for (size_t i = 0; i < count; i++) {
		postgres_disconnect(gone[i]);
	}
}

/* Without those that the server has closed meanwhile, when it was restarted, say. */
static struct postgres *pool_acquire(struct driver *driver, uint64_t deadline)
{
	struct postgres *postgres;
	while ((postgres = pool_take(driver, deadline)) != NULL && !postgres_alive(postgres)) {
		postgres->broken = true;
		pool_release(driver, postgres);
	}
	return postgres;
}

/* ---- statements ---- */

/* Runs them on a connection of the pool; what may be tried again at once is. rows: cleared before each attempt. */
static struct postgres_end run(struct driver *driver, const struct store_statement *statements, size_t count,
                               uint64_t deadline, struct rows *rows)
{
	struct postgres_end end = {.result = STORE_UNAVAILABLE, .text = "no connection"};
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct postgres *postgres = pool_acquire(driver, deadline);
		if (postgres == NULL) {
			break;
		}
		if (rows != NULL) {
			rows_clear(rows);
		}
		end = postgres_batch(postgres, statements, count, deadline, rows == NULL ? NULL : rows_add, rows);
		if (end.result == STORE_OK && rows_overflowed(rows)) {
			end = (struct postgres_end){.result = STORE_REFUSED, .text = "more than 512 MB of rows"};
		}
		bool again = end.again;
		pool_release(driver, postgres);
		if (!again) {
			break;
		}
	}
	return end;
}

static void log_end(const struct postgres_end *end, const struct store_statement *statements, size_t count)
{
	if (end->result != STORE_OK && strcmp(end->text, "no connection") != 0) {
		log_error("store: %s: \"%s\"", end->text, end->at < count ? statements[end->at].sql : "");
	}
}

/* Rows wait for the end: an attempt may have to be made again. */
static enum store_result postgres_query(struct driver *driver, const struct store_statement *statement,
                                        uint64_t deadline, store_row *row, void *context)
{
	struct rows *rows = row == NULL ? NULL : rows_create();
	struct postgres_end end = run(driver, statement, 1, deadline, rows);
	log_end(&end, statement, 1);
	if (end.result == STORE_OK && row != NULL) {
		rows_deliver(rows, row, context);
	}
	rows_destroy(rows);
	return end.result;
}

static const struct store_statement durable = {"SELECT set_config('synchronous_commit', 'on', true)", NULL, 0};

static void write_one(struct driver *driver, struct store_batch *batch, uint64_t deadline)
{
	bool wait = (batch->flags & STORE_DURABLE) != 0;
	struct arena *arena = arena_create(4096);
	struct store_statement *statements = arena_alloc(arena, (batch->count + 1) * sizeof *statements);
	size_t count = 0;
	if (wait) {
		statements[count++] = durable;
	}
	if (batch->count > 0) {
		memcpy(statements + count, batch->statements, batch->count * sizeof *statements);
	}
	count += batch->count;
	struct postgres_end end = run(driver, statements, count, deadline, batch->rows);
	if (wait && batch->rows != NULL) {
		rows_drop_first(batch->rows); /* of our own statement */
	}
	log_end(&end, statements, count);
	batch->result = end.result;
	batch->refused_at = end.at - (wait ? 1 : 0);
	arena_destroy(arena);
}

/* All of them in one transaction: most often they are all good. */
static bool write_together(struct driver *driver, struct store_batch *batches, size_t count, uint64_t deadline)
{
	struct arena *arena = arena_create(16384);
	size_t total = 1;
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		total += batches[i].count;
	}
	struct store_statement *statements = arena_alloc(arena, total * sizeof *statements);
	for (size_t i = 0; i < count; i++) {
		if ((batches[i].flags & STORE_DURABLE) != 0 && n == 0) {
			statements[n++] = durable;
		}
		for (size_t j = 0; j < batches[i].count; j++) {
			statements[n++] = batches[i].statements[j];
		}
	}
	struct postgres_end end = run(driver, statements, n, deadline, NULL);
	for (size_t i = 0; i < count; i++) {
		batches[i].result = end.result;
	}
	if (end.result == STORE_UNAVAILABLE) {
		log_end(&end, statements, n);
	}
	arena_destroy(arena);
	return end.result != STORE_REFUSED;
}

static void postgres_write(struct driver *driver, struct store_batch *batches, size_t count, uint64_t deadline)
{
	bool rows = false;
	for (size_t i = 0; i < count; i++) {
		rows = rows || batches[i].rows != NULL;
	}
	if (count > 1 && !rows && write_together(driver, batches, count, deadline)) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		batches[i].result = STORE_UNAVAILABLE;
	}
	for (size_t i = 0; i < count && (i == 0 || batches[i - 1].result != STORE_UNAVAILABLE); i++) {
		write_one(driver, &batches[i], deadline);
	}
}

/* ---- transactions of commands ---- */

struct transaction {
	struct postgres *postgres;
};

/* The number that all who migrate or import lock: "mailreev". */
static const char begin_exclusive[] =
    "BEGIN; SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(7881696737371710838)";
static const char begin_snapshot[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

static struct transaction *postgres_begin(struct driver *driver, enum driver_transaction kind, char **error_r)
{
	struct postgres *postgres = postgres_connect(driver->location, POSTGRES_COMMAND, driver->timeout_ns, error_r);
	if (postgres == NULL) {
		return NULL;
	}
	if (!postgres_script(postgres, kind == DRIVER_EXCLUSIVE ? begin_exclusive : begin_snapshot, error_r)) {
		postgres_disconnect(postgres);
		return NULL;
	}
	struct transaction *transaction = calloc(1, sizeof *transaction);
	if (transaction == NULL) {
		abort();
	}
	transaction->postgres = postgres;
	return transaction;
}

static bool postgres_finish(struct transaction *transaction, bool commit, char **error_r)
{
	bool good = !commit || postgres_script(transaction->postgres, "COMMIT", error_r);
	postgres_disconnect(transaction->postgres);
	free(transaction);
	return good;
}

static bool postgres_run(struct transaction *transaction, const struct store_statement *statement, store_row *row,
                         void *context, char **error_r)
{
	struct postgres_end end = postgres_stream(transaction->postgres, statement, row, context);
	return end.result == STORE_OK || driver_fail(error_r, "%s", end.text);
}

static bool postgres_run_batch(struct transaction *transaction, const struct store_statement *statements, size_t count,
                               char **error_r)
{
	if (count == 0) {
		return true;
	}
	struct postgres_end end = postgres_batch(transaction->postgres, statements, count, 0, NULL, NULL);
	return end.result == STORE_OK || driver_fail(error_r, "%s", end.text);
}

static bool postgres_transaction_script(struct transaction *transaction, const char *sql, char **error_r)
{
	return postgres_script(transaction->postgres, sql, error_r);
}

/* ---- life ---- */

/* Its pages are PostgreSQL's own to check. */
static bool postgres_check(struct driver *driver, store_row *row, void *context, char **error_r)
{
	(void)row;
	(void)context;
	struct transaction *transaction = postgres_begin(driver, DRIVER_SNAPSHOT, error_r);
	return transaction != NULL && postgres_finish(transaction, false, error_r);
}

static void postgres_close(struct driver *driver)
{
	if (driver == NULL) {
		return;
	}
	if (driver->connector_running) {
		pthread_mutex_lock(&driver->lock);
		driver->stopping = true;
		pthread_cond_signal(&driver->wanted);
		pthread_mutex_unlock(&driver->lock);
		pthread_join(driver->connector, NULL);
	}
	while (driver->idle_count > 0) {
		postgres_disconnect(driver->idle[--driver->idle_count]);
	}
	pthread_mutex_destroy(&driver->lock);
	pthread_cond_destroy(&driver->wanted);
	pthread_cond_destroy(&driver->changed);
	pulse_destroy(&driver->pulse);
	free(driver->location);
	free(driver);
}

static struct driver *postgres_open(const struct store_options *options, unsigned flags, char **error_r)
{
	char *error = NULL;
	if (!postgres_parse(options->location, error_r)) {
		return NULL;
	}
	bool read_only = (flags & STORE_READ_ONLY) != 0;
	struct postgres *first =
	    postgres_connect(options->location, read_only ? POSTGRES_READ_ONLY : POSTGRES_POOLED, options->timeout, &error);
	if (first == NULL) {
		driver_fail(error_r,
		            "store.location: %s; start it, mend the address, or run without a store: store { location = \"\" }",
		            error);
		free(error);
		return NULL;
	}
	struct driver *driver = calloc(1, sizeof *driver);
	if (driver == NULL || (driver->location = strdup(options->location)) == NULL) {
		abort();
	}
	driver->timeout_ns = options->timeout;
	driver->read_only = read_only;
	driver->max = options->connections < POOL_MAX ? (size_t)options->connections : POOL_MAX;
	driver->idle[driver->idle_count++] = first;
	driver->open_count = 1;
	pthread_mutex_init(&driver->lock, NULL);
	pthread_cond_init(&driver->wanted, NULL);
	pthread_cond_init(&driver->changed, NULL);
	pulse_init(&driver->pulse);
	driver->connector_running = pthread_create(&driver->connector, NULL, connector_main, driver) == 0;
	if (!driver->connector_running) {
		driver_fail(error_r, "no thread for the store");
		postgres_close(driver);
		return NULL;
	}
	return driver;
}

const struct driver_ops postgres_driver = {
    .name = "PostgreSQL",
    .id_column = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    .keyed_table = "WITH (fillfactor = 80)", /* room for the next version of a row beside it */
    /* We survive a crash of the server, so we must know what it has not on disk. */
    .later_flags = STORE_DURABLE,
    .open = postgres_open,
    .close = postgres_close,
    .query = postgres_query,
    .write = postgres_write,
    .begin = postgres_begin,
    .finish = postgres_finish,
    .run = postgres_run,
    .script = postgres_transaction_script,
    .run_batch = postgres_run_batch,
    .list_columns =
        "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE table_schema = current_schema() AND "
        "table_name = $1 ORDER BY ordinal_position",
    .list_tables =
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
    .restart_ids = "SELECT setval(pg_get_serial_sequence('%', 'id'), COALESCE(MAX(id), 1), MAX(id) IS NOT NULL) FROM %",
    .alive = postgres_comes_by,
    .check = postgres_check,
    .backup = NULL, /* pg_dump, pg_basebackup */
};
