/* postgres_connection: one connection to PostgreSQL, with its prepared statements. Used by one thread at a time.
 * Nothing waits longer than its deadline (monotonic; 0: none). */
#ifndef MAILREEVE_STORE_POSTGRES_CONNECTION_H
#define MAILREEVE_STORE_POSTGRES_CONNECTION_H

#include "lib/store/store.h"

#include <libpq-fe.h>

enum postgres_kind {
	POSTGRES_POOLED,   /* statements end by store.timeout; commits are not waited for on disk unless asked for */
	POSTGRES_COMMAND,  /* of an administrator's command: takes the time that it takes, and is on disk */
	POSTGRES_READ_ONLY /* pooled, and writes nothing */
};

struct postgres {
	PGconn *conn;
	struct prepared_name *prepared;
	size_t prepared_count;
	unsigned long long next_name;
	bool broken; /* not to be used again */
};

/* Is it a connection string that libpq can read? False with *error_r, without a word of it. */
bool postgres_parse(const char *location, char **error_r);

/* Tries each host of the string in turn, timeout_ns for each. NULL with *error_r. */
struct postgres *postgres_connect(const char *location, enum postgres_kind kind, uint64_t timeout_ns, char **error_r);
void postgres_disconnect(struct postgres *postgres); /* takes NULL */

/* Has the server not closed it while nobody used it? */
bool postgres_alive(struct postgres *postgres);

/* Statements without values. False with *error_r. */
bool postgres_script(struct postgres *postgres, const char *sql, char **error_r);

/* How a statement or a batch ended. */
struct postgres_end {
	enum store_result result;
	bool again;     /* it may work when it is tried once more at once: a deadlock, a plan that is out of date */
	size_t at;      /* index of the statement that failed */
	char text[400]; /* the error, "" when there is none */
};

/* The statements in one round trip and one transaction. row gets the rows of all; may be NULL. */
struct postgres_end postgres_batch(struct postgres *postgres, const struct store_statement *statements, size_t count,
                                   uint64_t deadline, store_row *row, void *context);

/* One statement within a transaction that is open, its rows as they come. */
struct postgres_end postgres_stream(struct postgres *postgres, const struct store_statement *statement, store_row *row,
                                    void *context);

#endif
