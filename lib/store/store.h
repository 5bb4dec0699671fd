/* store: what the daemon remembers, in SQLite (one host) or PostgreSQL (a fleet that shares it). Safe from any thread.
 *
 * One dialect of SQL holds for both: parameters $1, $2 ...; the types BIGINT, TEXT, BYTEA and DOUBLE PRECISION (a bool
 * is a BIGINT 0 or 1); INSERT ... ON CONFLICT (...) DO UPDATE SET x = EXCLUDED.x; RETURNING; LIMIT; COLLATE "C" where
 * order by bytes matters; of a blob substr($1, from, n) and get_byte($1, i), the first being from 1 and i 0. LIKE heeds
 * case. The type of a parameter is that of its value; one that may be NULL is
 * written CAST($1 AS TEXT) where nothing else tells its type ("$1 IS NULL"). No SELECT names a column without an alias
 * twice, no INSERT OR ..., no DELETE ... LIMIT, no rowid. SQL is a constant of the program, never built from data: it
 * is the key of the cache of prepared statements.
 *
 * SQL stands only in lib/store; tables are made by migrations.c. */
#ifndef MAILREEVE_STORE_STORE_H
#define MAILREEVE_STORE_STORE_H

#include "lib/base/metrics.h"
#include "lib/base/slice.h"
#include "lib/policy/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct store;

enum store_result {
	STORE_OK,
	STORE_UNAVAILABLE, /* down, locked, full, read-only, too slow: nothing was written (but see store_write()); later it
	                      may work */
	STORE_REFUSED      /* a constraint, or SQL that the database does not take: it will not work later either; logged */
};

enum store_type { STORE_NULL, STORE_INTEGER, STORE_REAL, STORE_TEXT, STORE_BLOB };
struct store_value {
	enum store_type type;
	int64_t integer;
	double real;
	struct slice bytes; /* STORE_TEXT, STORE_BLOB; not ended by NUL */
};

/* Values borrow what they point to. Text is UTF-8 without NUL: each other byte is stored as U+FFFD; what must come back
 * byte for byte is a blob. */
static inline struct store_value store_null(void)
{
	return (struct store_value){.type = STORE_NULL};
}
static inline struct store_value store_integer(int64_t integer)
{
	return (struct store_value){.type = STORE_INTEGER, .integer = integer};
}
static inline struct store_value store_real(double real)
{
	return (struct store_value){.type = STORE_REAL, .real = real};
}
static inline struct store_value store_text_slice(struct slice text)
{
	return (struct store_value){.type = STORE_TEXT, .bytes = text};
}
static inline struct store_value store_text(const char *text) /* NULL: store_null() */
{
	return text == NULL ? store_null() : store_text_slice(slice_from(text));
}
static inline struct store_value store_blob(const void *data, size_t n)
{
	return (struct store_value){.type = STORE_BLOB, .bytes = {data, n}};
}

enum {
	STORE_VALUES_MAX = 64,      /* parameters of a statement, and columns of a row */
	STORE_STATEMENTS_MAX = 4096 /* statements of a batch */
};

struct store_statement {
	const char *sql;
	const struct store_value *values; /* $1 is values[0] */
	size_t count;
};

/* A row that was read; columns live until it returns. False: no more rows are wanted. It must not call the store. */
typedef bool store_row(void *context, const struct store_value *columns, size_t count);

/* Reads: one statement that changes nothing. Waits for store.timeout at most. row may be NULL. */
enum store_result store_query(struct store *store, const char *sql, const struct store_value *values, size_t count,
                              store_row *row, void *context);

enum store_write_flags {
	STORE_DURABLE = 1 /* on disk before it returns: power may fail. Without it a commit survives kill -9 of the
	                     daemon, but the newest may be lost with the power, or with PostgreSQL's crash */
};

/* Writes a batch, all of it or nothing, and returns when it is committed; batches of other threads may share the
 * commit, a bad one among them harms only itself. Rows of RETURNING, of all statements in order, come to row (may be
 * NULL) after the commit, in the calling thread; a SELECT may stand among the statements. STORE_UNAVAILABLE after the
 * connection to PostgreSQL broke during the commit leaves open whether it was written: a batch that does harm when it
 * is repeated has an id of its own under a unique constraint. Of a store opened read-only: STORE_REFUSED. */
enum store_result store_write(struct store *store, const struct store_statement *statements, size_t count,
                              unsigned flags, store_row *row, void *context);

/* Queues a copy of the batch and returns: never waits for the database. Batches are written in the order of the calls,
 * each exactly once. While the store is down or slow they go to a file in store.spill_dir (at most store.spill_max
 * bytes), survive kill -9 and a restart there, and are written when the store is back. What is still in memory (the
 * store is up: some milliseconds) is lost with kill -9. False: neither memory nor file had room, or the store is
 * read-only: the batch is lost, which is counted and logged. */
bool store_write_later(struct store *store, const struct store_statement *statements, size_t count);

/* Waits until what store_write_later() took before is written or spilled, or timeout_ns have passed (false). */
bool store_flush(struct store *store, uint64_t timeout_ns);

/* What others have changed: a counter for each subject ("lists"). Whoever changes rows that are cached elsewhere adds
 * store_bump(&subject) to the batch; who caches asks for the counter now and then (one cheap SELECT) and reads again
 * when it differs. */
enum store_result store_counter(struct store *store, const char *subject, int64_t *value_r); /* 0: never bumped */
struct store_statement store_bump(const struct store_value *subject); /* subject: store_text("lists"), borrowed */

/* ---- settings ---- */

/* store { } */
struct store_options {
	const char *location; /* "sqlite:/var/lib/mailreeve/mailreeve.db", "postgresql://...", "": none */
	uint64_t timeout;     /* 5s: what a caller waits, nanoseconds */
	bool migrate;         /* the daemon brings an older schema up to date at its start */
	uint64_t connections; /* 8: at a time */
	const char *spill_dir;
	uint64_t spill_max; /* bytes */
};
extern const struct section store_section;

/* ---- life ---- */

enum store_open_flags {
	STORE_READ_ONLY = 1,   /* changes nothing, makes nothing */
	STORE_MIGRATE = 2,     /* bring an older schema up to date; without it one is refused. A new, empty store is always
	                          brought up to date */
	STORE_QUICK_CHECK = 4, /* SQLite: look for damage first, for some seconds */
	STORE_LATER = 8, /* store_write_later() will be used: starts its thread, takes up what is left in store.spill_dir */
	STORE_ANY_SCHEMA = 16 /* do not look at the schema: for `mailreeve store` */
};

/* Options are borrowed for the call. NULL with *error_r (free()): what is wrong and how to mend it, without passwords.
 * location must not be "". */
struct store *store_open(const struct store_options *options, unsigned flags, char **error_r);
/* store_write_later() takes no more; what it took is written, or spilled after some seconds. Other calls go on. */
void store_stop(struct store *store);
/* Do the store's threads come by until the deadline (monotonic)? A database that is down or slow is no reason to say no: the
 * threads wait for it a bounded time. False: one of them hangs. */
bool store_alive(struct store *store, uint64_t deadline);
/* store_stop(), and all of it goes. No call may be under way. Takes NULL. */
void store_close(struct store *store);

/* For root, before it becomes the daemon's user: the folders of location and spill_dir, where they are missing, are
 * made for that user (0750). Does nothing for others. False with *error_r. */
bool store_make_folders(const struct store_options *options, uid_t user, gid_t group, char **error_r);

bool store_is_read_only(const struct store *store); /* opened so */

/* Is there something at the location? SQLite: the file exists; PostgreSQL: true. */
bool store_exists(const struct store_options *options);
/* For the log: the location without a password. free() */
char *store_location_text(const char *location);

struct store_status {
	const char *driver;       /* "SQLite 3.40.1" or "PostgreSQL"; lives as long as the program */
	bool available;           /* the last use worked */
	int64_t schema;           /* version of the tables, as of the opening */
	uint64_t queries, writes; /* batches, since the opening */
	uint64_t failed;          /* of both: unavailable */
	uint64_t queued;          /* batches of store_write_later() in memory */
	uint64_t spilled_bytes;   /* that wait on disk */
	uint64_t replayed;        /* batches from disk that were written */
	uint64_t lost;            /* batches that found no room */
	/* Histograms of what callers waited, and of groups of store_write_later() */
	uint64_t query_times[HISTOGRAM_CELLS], write_times[HISTOGRAM_CELLS];
};
void store_get_status(struct store *store, struct store_status *status_r);

#endif
