/* SQLite: one thread writes, many read. Callers of sqlite_write() leave their batches in a queue and wait; the writer
 * takes all that are there into one transaction, each batch in a savepoint of its own, so that one commit serves many.
 *
 * Locks: `lock` guards the queue, `readers_lock` the pool of readers; neither is held while SQLite works, nor both. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/pulse.h"
#include "lib/store/driver.h"
#include "lib/store/sqlite_connection.h"
#include "lib/store/sqlite_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { READERS_MAX = 64, GROUP_MAX = 256 };

/* Batches of one caller, on his stack. */
struct job {
	struct job *next;
	struct store_batch *batches;
	size_t count;
	bool taken, done;
};

struct driver {
	char *path;
	uint64_t busy_ns;
	bool read_only;

	pthread_t writer_thread;
	bool writer_running;
	struct connection *writer; /* of the writer thread */
	bool full;                 /* PRAGMA synchronous of it */
	pthread_mutex_t lock;
	pthread_cond_t work, finished;
	struct job *first, **end;
	bool stopping;
	struct pulse pulse; /* of the writer; its lock is taken within `lock` */

	pthread_mutex_t readers_lock;
	pthread_cond_t reader_free;
	struct connection *readers[READERS_MAX]; /* those that nobody uses */
	size_t reader_idle, reader_count, reader_max;
};

/* ---- the writer ---- */

static void log_refused(struct connection *connection, const char *sql)
{
	log_error("store: %s: \"%s\"", sqlite3_errmsg(connection->db), sql);
}

/* A batch in the transaction that is open. A code that is no refusal ends the whole transaction. */
static int write_batch(struct connection *connection, struct store_batch *batch)
{
	static const struct store_statement savepoint = {"SAVEPOINT batch", NULL, 0};
	static const struct store_statement release = {"RELEASE batch", NULL, 0};
	static const struct store_statement back = {"ROLLBACK TO batch", NULL, 0};
	int code = connection_run(connection, &savepoint, NULL, NULL);
	for (size_t i = 0; i < batch->count && code == SQLITE_OK; i++) {
		code = connection_run(connection, &batch->statements[i], batch->rows == NULL ? NULL : rows_add, batch->rows);
		code = code == SQLITE_OK && rows_overflowed(batch->rows) ? SQLITE_TOOBIG : code;
		if (connection_result(code) == STORE_REFUSED) {
			batch->refused_at = i;
			log_refused(connection, batch->statements[i].sql);
		}
	}
	batch->result = connection_result(code);
	if (batch->result == STORE_REFUSED && !sqlite3_get_autocommit(connection->db)) {
		code = connection_run(connection, &back, NULL, NULL);
	}
	return code == SQLITE_OK ? connection_run(connection, &release, NULL, NULL) : code;
}

static int write_jobs(struct connection *connection, struct job *jobs)
{
	static const struct store_statement begin = {"BEGIN IMMEDIATE", NULL, 0};
	static const struct store_statement commit = {"COMMIT", NULL, 0};
	int code = connection_run(connection, &begin, NULL, NULL);
	for (struct job *job = jobs; job != NULL && code == SQLITE_OK; job = job->next) {
		for (size_t i = 0; i < job->count && code == SQLITE_OK; i++) {
			code = write_batch(connection, &job->batches[i]);
		}
	}
	return code == SQLITE_OK ? connection_run(connection, &commit, NULL, NULL) : code;
}

static bool jobs_durable(const struct job *jobs)
{
	for (const struct job *job = jobs; job != NULL; job = job->next) {
		for (size_t i = 0; i < job->count; i++) {
			if ((job->batches[i].flags & STORE_DURABLE) != 0) {
				return true;
			}
		}
	}
	return false;
}

/* The jobs cannot be written: none of their batches is. */
static void jobs_fail(struct connection *connection, struct job *jobs, int code)
{
	log_error("store: cannot write: %s%s", sqlite3_errmsg(connection->db), sqlite_advice(code));
	if (!sqlite3_get_autocommit(connection->db)) {
		connection_script(connection, "ROLLBACK");
	}
	for (struct job *job = jobs; job != NULL; job = job->next) {
		for (size_t i = 0; i < job->count; i++) {
			struct store_batch *batch = &job->batches[i];
			batch->result = batch->result == STORE_REFUSED ? STORE_REFUSED : STORE_UNAVAILABLE;
		}
	}
}

static void write_group(struct driver *driver, struct job *jobs)
{
	struct connection *connection = driver->writer;
	bool full = jobs_durable(jobs);
	if (full != driver->full) {
		connection_script(connection, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
		driver->full = full;
	}
	int code = write_jobs(connection, jobs);
	if (code != SQLITE_OK) {
		jobs_fail(connection, jobs, code);
	}
}

/* Takes jobs off the queue; the lock is held. */
static struct job *take_jobs(struct driver *driver)
{
	struct job *jobs = driver->first;
	struct job **end = &driver->first;
	for (size_t n = 0; *end != NULL && n < GROUP_MAX; n++) {
		(*end)->taken = true;
		end = &(*end)->next;
	}
	driver->first = *end;
	*end = NULL;
	if (driver->first == NULL) {
		driver->end = &driver->first;
	}
	return jobs;
}

static void *writer_main(void *context)
{
	struct driver *driver = context;
	pthread_setname_np(pthread_self(), "store-writer");
	pthread_mutex_lock(&driver->lock);
	while (driver->first != NULL || !driver->stopping) {
		while (driver->first == NULL && !driver->stopping && !pulse_asked(&driver->pulse)) {
			pthread_cond_wait(&driver->work, &driver->lock);
		}
		pulse_beat(&driver->pulse);
		struct job *jobs = take_jobs(driver);
		if (jobs == NULL) {
			continue;
		}
		pthread_mutex_unlock(&driver->lock);
		write_group(driver, jobs);
		pthread_mutex_lock(&driver->lock);
		for (struct job *job = jobs, *next; job != NULL; job = next) {
			next = job->next; /* a job that is done may be gone */
			job->done = true;
		}
		pthread_cond_broadcast(&driver->finished);
	}
	pthread_mutex_unlock(&driver->lock);
	return NULL;
}

/* Out of the queue again, when the writer has not got to it. */
static bool job_withdraw(struct driver *driver, struct job *job)
{
	struct job **at = &driver->first;
	if (job->taken) {
		return false;
	}
	while (*at != job) {
		at = &(*at)->next;
	}
	*at = job->next;
	if (driver->end == &job->next) {
		driver->end = at;
	}
	return true;
}

static void sqlite_write(struct driver *driver, struct store_batch *batches, size_t count, uint64_t deadline)
{
	struct job job = {.batches = batches, .count = count};
	struct timespec limit = clock_timespec(deadline);
	bool late = false;
	for (size_t i = 0; i < count; i++) {
		batches[i].result = driver->read_only ? STORE_REFUSED : STORE_UNAVAILABLE;
	}
	if (driver->read_only) {
		return;
	}
	pthread_mutex_lock(&driver->lock);
	*driver->end = &job;
	driver->end = &job.next;
	pthread_cond_signal(&driver->work);
	while (!job.done && !late) {
		int error = pthread_cond_clockwait(&driver->finished, &driver->lock, CLOCK_MONOTONIC, &limit);
		late = error == ETIMEDOUT && !job.done && job_withdraw(driver, &job);
		/* One that is taken is finished soon: SQLite waits no longer than busy_ns for a lock. */
		while (error == ETIMEDOUT && !late && !job.done) {
			pthread_cond_wait(&driver->finished, &driver->lock);
		}
	}
	pthread_mutex_unlock(&driver->lock);
}

static bool sqlite_comes_by(struct driver *driver, uint64_t deadline)
{
	uint64_t ticket = pulse_ask(&driver->pulse);
	if (!driver->writer_running) {
		return true;
	}
	pthread_mutex_lock(&driver->lock);
	pthread_cond_signal(&driver->work);
	pthread_mutex_unlock(&driver->lock);
	return pulse_wait(&driver->pulse, ticket, deadline);
}

/* ---- readers ---- */

static struct connection *reader_open(struct driver *driver)
{
	char *error = NULL;
	struct connection *reader = connection_open(
	    driver->path, driver->read_only ? CONNECTION_READ_ONLY : CONNECTION_READ, driver->busy_ns, &error);
	if (reader == NULL) {
		log_error("store: %s", error);
		free(error);
	}
	return reader;
}

static struct connection *reader_acquire(struct driver *driver, uint64_t deadline)
{
	struct timespec limit = clock_timespec(deadline);
	struct connection *reader = NULL;
	int error = 0;
	pthread_mutex_lock(&driver->readers_lock);
	while (driver->reader_idle == 0 && driver->reader_count == driver->reader_max && error == 0) {
		error = pthread_cond_clockwait(&driver->reader_free, &driver->readers_lock, CLOCK_MONOTONIC, &limit);
	}
	if (driver->reader_idle > 0) {
		reader = driver->readers[--driver->reader_idle];
	}
	bool open = reader == NULL && driver->reader_count < driver->reader_max;
	driver->reader_count += open;
	pthread_mutex_unlock(&driver->readers_lock);
	if (open) {
		reader = reader_open(driver);
	}
	if (open && reader == NULL) {
		pthread_mutex_lock(&driver->readers_lock);
		driver->reader_count--;
		pthread_cond_signal(&driver->reader_free);
		pthread_mutex_unlock(&driver->readers_lock);
	}
	return reader;
}

static void reader_release(struct driver *driver, struct connection *reader)
{
	pthread_mutex_lock(&driver->readers_lock);
	driver->readers[driver->reader_idle++] = reader;
	pthread_cond_signal(&driver->reader_free);
	pthread_mutex_unlock(&driver->readers_lock);
}

static enum store_result sqlite_query(struct driver *driver, const struct store_statement *statement, uint64_t deadline,
                                      store_row *row, void *context)
{
	struct connection *reader = reader_acquire(driver, deadline);
	if (reader == NULL) {
		return STORE_UNAVAILABLE;
	}
	reader->deadline = deadline;
	int code = connection_run(reader, statement, row, context);
	enum store_result result = connection_result(code);
	if (result != STORE_OK) {
		log_error("store: %s%s: \"%s\"", sqlite3_errmsg(reader->db), sqlite_advice(code), statement->sql);
	}
	reader_release(driver, reader);
	return result;
}

/* ---- transactions of commands ---- */

struct transaction {
	struct connection *connection;
};

static struct transaction *sqlite_begin(struct driver *driver, enum driver_transaction kind, char **error_r)
{
	bool exclusive = kind == DRIVER_EXCLUSIVE;
	enum connection_kind connection_kind = driver->read_only ? CONNECTION_READ_ONLY
	                                       : exclusive       ? CONNECTION_WRITE
	                                                         : CONNECTION_READ;
	struct connection *connection = connection_open(driver->path, connection_kind, driver->busy_ns, error_r);
	if (connection == NULL) {
		return NULL;
	}
	int code = connection_script(connection, exclusive ? "PRAGMA synchronous = FULL; BEGIN IMMEDIATE" : "BEGIN");
	if (code != SQLITE_OK) {
		driver_fail(error_r, "%s: %s%s", driver->path, sqlite3_errmsg(connection->db), sqlite_advice(code));
		connection_close(connection);
		return NULL;
	}
	struct transaction *transaction = calloc(1, sizeof *transaction);
	if (transaction == NULL) {
		abort();
	}
	transaction->connection = connection;
	return transaction;
}

static bool transaction_good(struct transaction *transaction, int code, char **error_r)
{
	return code == SQLITE_OK ||
	       driver_fail(error_r, "%s%s", sqlite3_errmsg(transaction->connection->db), sqlite_advice(code));
}

static bool sqlite_finish(struct transaction *transaction, bool commit, char **error_r)
{
	bool good = true;
	if (commit) {
		good = transaction_good(transaction, connection_script(transaction->connection, "COMMIT"), error_r);
	}
	connection_close(transaction->connection); /* rolls back what is not committed */
	free(transaction);
	return good;
}

static bool sqlite_run(struct transaction *transaction, const struct store_statement *statement, store_row *row,
                       void *context, char **error_r)
{
	return transaction_good(transaction, connection_run(transaction->connection, statement, row, context), error_r);
}

static bool sqlite_script(struct transaction *transaction, const char *sql, char **error_r)
{
	return transaction_good(transaction, connection_script(transaction->connection, sql), error_r);
}

static bool sqlite_run_batch(struct transaction *transaction, const struct store_statement *statements, size_t count,
                             char **error_r)
{
	int code = SQLITE_OK;
	for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
		code = connection_run(transaction->connection, &statements[i], NULL, NULL);
	}
	return transaction_good(transaction, code, error_r);
}

/* ---- life ---- */

static bool sqlite_backup(struct driver *driver, int fd, char **error_r)
{
	return sqlite_file_backup(driver->path, fd, error_r);
}

static bool sqlite_check(struct driver *driver, store_row *row, void *context, char **error_r)
{
	return sqlite_file_check(driver->path, driver->read_only, 0, row, context, error_r);
}

static void sqlite_close(struct driver *driver)
{
	if (driver == NULL) {
		return;
	}
	if (driver->writer_running) {
		pthread_mutex_lock(&driver->lock);
		driver->stopping = true;
		pthread_cond_signal(&driver->work);
		pthread_mutex_unlock(&driver->lock);
		pthread_join(driver->writer_thread, NULL);
	}
	connection_close(driver->writer);
	while (driver->reader_idle > 0) {
		connection_close(driver->readers[--driver->reader_idle]);
	}
	pthread_mutex_destroy(&driver->lock);
	pthread_cond_destroy(&driver->work);
	pthread_cond_destroy(&driver->finished);
	pulse_destroy(&driver->pulse);
	pthread_mutex_destroy(&driver->readers_lock);
	pthread_cond_destroy(&driver->reader_free);
	free(driver->path);
	free(driver);
}

static bool sqlite_start(struct driver *driver, char **error_r)
{
	driver->writer = connection_open(driver->path, CONNECTION_WRITE, driver->busy_ns, error_r);
	if (driver->writer == NULL) {
		return false;
	}
	driver->writer_running = pthread_create(&driver->writer_thread, NULL, writer_main, driver) == 0;
	return driver->writer_running || driver_fail(error_r, "no thread for the store");
}

static struct driver *sqlite_open(const struct store_options *options, unsigned flags, char **error_r)
{
	const char *path = sqlite_file_path(options->location);
	bool read_only = (flags & STORE_READ_ONLY) != 0;
	if (!sqlite_file_prepare(path, read_only, error_r) ||
	    ((flags & STORE_QUICK_CHECK) != 0 && !sqlite_file_quick_check(path, read_only, error_r))) {
		return NULL;
	}
	struct driver *driver = calloc(1, sizeof *driver);
	if (driver == NULL || (driver->path = strdup(path)) == NULL) {
		abort();
	}
	driver->busy_ns = options->timeout;
	driver->read_only = read_only;
	driver->reader_max = options->connections < READERS_MAX ? (size_t)options->connections : READERS_MAX;
	driver->end = &driver->first;
	pthread_mutex_init(&driver->lock, NULL);
	pthread_cond_init(&driver->work, NULL);
	pthread_cond_init(&driver->finished, NULL);
	pulse_init(&driver->pulse);
	pthread_mutex_init(&driver->readers_lock, NULL);
	pthread_cond_init(&driver->reader_free, NULL);
	if (!driver->read_only && !sqlite_start(driver, error_r)) {
		sqlite_close(driver);
		return NULL;
	}
	return driver;
}

const struct driver_ops sqlite_driver = {
    .name = "SQLite " SQLITE_VERSION,
    .id_column = "INTEGER PRIMARY KEY AUTOINCREMENT",
    .keyed_table = "WITHOUT ROWID",
    .later_flags = 0,
    .open = sqlite_open,
    .close = sqlite_close,
    .query = sqlite_query,
    .write = sqlite_write,
    .begin = sqlite_begin,
    .finish = sqlite_finish,
    .run = sqlite_run,
    .script = sqlite_script,
    .run_batch = sqlite_run_batch,
    .list_columns = "SELECT name FROM pragma_table_info($1) ORDER BY cid",
    .list_tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
    .restart_ids = NULL, /* AUTOINCREMENT looks at the rows itself */
    .alive = sqlite_comes_by,
    .check = sqlite_check,
    .backup = sqlite_backup,
};
