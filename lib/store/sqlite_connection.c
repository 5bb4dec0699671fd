#include "lib/store/sqlite_connection.h"

#include "lib/base/clock.h"
#include "lib/store/driver.h"

#include <stdlib.h>

enum { PREPARED_MAX = 64, PROGRESS_STEPS = 2000, BUSY_PAUSE = 5 /* milliseconds */ };

struct prepared {
	sqlite3_stmt *statement;
	uint64_t used; /* of a clock that ticks with each use */
};

static int on_progress(void *context)
{
	const struct connection *connection = context;
	return connection->deadline != 0 && clock_now() > connection->deadline;
}

/* PostgreSQL's name for the order of bytes. */
static int compare_bytes(void *context, int a_len, const void *a, int b_len, const void *b)
{
	(void)context;
	int order = memcmp(a, b, (size_t)(a_len < b_len ? a_len : b_len));
	return order != 0 ? order : a_len - b_len;
}

/* PostgreSQL's get_byte(blob, i). Outside of the blob it is NULL, where PostgreSQL has an error. */
static void get_byte(sqlite3_context *context, int count, sqlite3_value **values)
{
	(void)count;
	const unsigned char *bytes = sqlite3_value_blob(values[0]);
	sqlite3_int64 i = sqlite3_value_int64(values[1]);
	if (bytes != NULL && i >= 0 && i < sqlite3_value_bytes(values[0])) {
		sqlite3_result_int(context, bytes[i]);
	}
}

/* SQLite does not wait for the lock that a change of the journal's mode needs: of two who open a new file at the same
 * time one is told that it is busy, and comes again. */
static int connection_use_wal(sqlite3 *db, uint64_t deadline)
{
	static const char sql[] =
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864;";
	int code;
	while ((code = sqlite3_exec(db, sql, NULL, NULL, NULL)) != SQLITE_OK && (code & 0xff) == SQLITE_BUSY &&
	       clock_now() < deadline) {
		sqlite3_sleep(BUSY_PAUSE);
	}
	return code;
}

/* case_sensitive_like, foreign_keys: as PostgreSQL does. */
static bool connection_prepare(struct connection *connection, enum connection_kind kind, uint64_t deadline)
{
	sqlite3 *db = connection->db;
	sqlite3_extended_result_codes(db, 1);
	sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, connection);
	sqlite3_create_collation(db, "C", SQLITE_UTF8, NULL, compare_bytes);
	sqlite3_create_function(db, "get_byte", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, get_byte,
	                        NULL, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	int code = sqlite3_exec(db,
	                        "PRAGMA trusted_schema = OFF; PRAGMA case_sensitive_like = ON; PRAGMA foreign_keys = ON;"
	                        "PRAGMA cell_size_check = ON;",
	                        NULL, NULL, NULL);
	if (code == SQLITE_OK && kind == CONNECTION_WRITE) {
		code = connection_use_wal(db, deadline);
	} else if (code == SQLITE_OK) {
		code = sqlite3_exec(db, "PRAGMA query_only = ON;", NULL, NULL, NULL);
	}
	return code == SQLITE_OK;
}

struct connection *connection_open(const char *path, enum connection_kind kind, uint64_t busy_ns, char **error_r)
{
	struct connection *connection = calloc(1, sizeof *connection);
	int flags = kind == CONNECTION_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	if (connection == NULL) {
		abort();
	}
	connection->prepared = calloc(PREPARED_MAX, sizeof *connection->prepared);
	if (connection->prepared == NULL) {
		abort();
	}
	int code = sqlite3_open_v2(path, &connection->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (connection->db == NULL) {
		abort();
	}
	sqlite3_busy_timeout(connection->db, (int)(busy_ns / CLOCK_NS_PER_MS));
	if (code != SQLITE_OK || !connection_prepare(connection, kind, clock_now() + busy_ns)) {
		driver_fail(error_r, "%s: %s", path, sqlite3_errmsg(connection->db));
		connection_close(connection);
		return NULL;
	}
	return connection;
}

void connection_close(struct connection *connection)
{
	if (connection == NULL) {
		return;
	}
	for (size_t i = 0; i < connection->prepared_count; i++) {
		sqlite3_finalize(connection->prepared[i].statement);
	}
	sqlite3_close(connection->db);
	free(connection->prepared);
	free(connection);
}

/* The statement from the cache, or made: then it takes the place of the one that was used longest ago. */
static int connection_statement(struct connection *connection, const char *sql, sqlite3_stmt **statement_r)
{
	static _Atomic uint64_t ticks;
	struct prepared *oldest = connection->prepared;
	for (size_t i = 0; i < connection->prepared_count; i++) {
		struct prepared *prepared = &connection->prepared[i];
		if (strcmp(sqlite3_sql(prepared->statement), sql) == 0) {
			prepared->used = ++ticks;
			*statement_r = prepared->statement;
			return SQLITE_OK;
		}
		oldest = prepared->used < oldest->used ? prepared : oldest;
	}
	int code = sqlite3_prepare_v3(connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement_r, NULL);
	if (code != SQLITE_OK) {
		return code;
	}
	if (*statement_r == NULL) {
		return SQLITE_MISUSE;
	}
	if (connection->prepared_count < PREPARED_MAX) {
		oldest = &connection->prepared[connection->prepared_count++];
	} else {
		sqlite3_finalize(oldest->statement);
	}
	*oldest = (struct prepared){.statement = *statement_r, .used = ++ticks};
	return SQLITE_OK;
}

/* A NULL pointer would bind NULL. */
static const void *bytes_of(const struct store_value *value)
{
	return value->bytes.data == NULL ? "" : value->bytes.data;
}

static int bind_value(sqlite3_stmt *statement, int at, const struct store_value *value)
{
	switch (value->type) {
	case STORE_NULL:
		return sqlite3_bind_null(statement, at);
	case STORE_INTEGER:
		return sqlite3_bind_int64(statement, at, value->integer);
	case STORE_REAL:
		return sqlite3_bind_double(statement, at, value->real);
	case STORE_TEXT:
		return sqlite3_bind_text64(statement, at, bytes_of(value), value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
	case STORE_BLOB:
		return sqlite3_bind_blob64(statement, at, bytes_of(value), value->bytes.len, SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

/* To SQLite "$2" is a name, numbered by where it stands. */
static int bind_values(sqlite3_stmt *statement, const struct store_value *values, size_t count)
{
	int parameters = sqlite3_bind_parameter_count(statement);
	for (int at = 1; at <= parameters; at++) {
		const char *name = sqlite3_bind_parameter_name(statement, at);
		unsigned long long number;
		if (name == NULL || !slice_to_uint(slice_from(name + 1), count, &number) || number == 0) {
			return SQLITE_RANGE;
		}
		int code = bind_value(statement, at, &values[number - 1]);
		if (code != SQLITE_OK) {
			return code;
		}
	}
	return SQLITE_OK;
}

static struct store_value column_value(sqlite3_stmt *statement, int at)
{
	struct slice bytes;
	switch (sqlite3_column_type(statement, at)) {
	case SQLITE_INTEGER:
		return store_integer(sqlite3_column_int64(statement, at));
	case SQLITE_FLOAT:
		return store_real(sqlite3_column_double(statement, at));
	case SQLITE_NULL:
		return store_null();
	case SQLITE_BLOB:
		bytes.data = sqlite3_column_blob(statement, at);
		bytes.len = (size_t)sqlite3_column_bytes(statement, at);
		return store_blob(bytes.data, bytes.len);
	default:
		bytes.data = (const char *)sqlite3_column_text(statement, at);
		bytes.len = (size_t)sqlite3_column_bytes(statement, at);
		return store_text_slice(bytes);
	}
}

static int step_rows(sqlite3_stmt *statement, store_row *row, void *context)
{
	struct store_value columns[STORE_VALUES_MAX];
	bool wanted = row != NULL;
	int code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		int count = sqlite3_column_count(statement);
		if (count > STORE_VALUES_MAX) {
			return SQLITE_RANGE;
		}
		for (int i = 0; wanted && i < count; i++) {
			columns[i] = column_value(statement, i);
		}
		wanted = wanted && row(context, columns, (size_t)count);
		/* One that writes goes on to its end. */
		if (!wanted && sqlite3_stmt_readonly(statement)) {
			return SQLITE_OK;
		}
	}
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

int connection_run(struct connection *connection, const struct store_statement *statement, store_row *row,
                   void *context)
{
	sqlite3_stmt *prepared;
	int code = connection_statement(connection, statement->sql, &prepared);
	if (code != SQLITE_OK) {
		return code;
	}
	code = bind_values(prepared, statement->values, statement->count);
	if (code == SQLITE_OK) {
		code = step_rows(prepared, row, context);
	}
	sqlite3_reset(prepared);
	sqlite3_clear_bindings(prepared);
	return code;
}

int connection_script(struct connection *connection, const char *sql)
{
	return sqlite3_exec(connection->db, sql, NULL, NULL, NULL);
}

enum store_result connection_result(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
		return STORE_OK;
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
	case SQLITE_TOOBIG:
		return STORE_REFUSED;
	default:
		return STORE_UNAVAILABLE;
	}
}
