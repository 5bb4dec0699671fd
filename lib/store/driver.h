/* driver: what SQLite and PostgreSQL do each in their own way, for store.c and what stands beside it. */
#ifndef MAILREEVE_STORE_DRIVER_H
#define MAILREEVE_STORE_DRIVER_H

#include "lib/store/rows.h"
#include "lib/store/store.h"

struct driver;
struct transaction;

struct store_batch {
	const struct store_statement *statements;
	size_t count;
	unsigned flags;    /* enum store_write_flags */
	struct rows *rows; /* NULL: nobody wants them */
	enum store_result result;
	size_t refused_at; /* STORE_REFUSED: the statement at fault */
};

enum driver_transaction {
	DRIVER_SNAPSHOT, /* reads one state, whatever others write meanwhile */
	DRIVER_EXCLUSIVE /* and is the only one of its kind, in all processes: migrations and imports */
};

struct driver_ops {
	const char *name;      /* as of the library that is linked */
	const char *id_column; /* what %ID% is */
	const char *keyed_table; /* what %KEYED% is */
	unsigned later_flags;  /* enum store_write_flags of what store_write_later() took */
	/* Strings are the driver's own copies. NULL with *error_r (free()). */
	struct driver *(*open)(const struct store_options *options, unsigned flags, char **error_r);
	void (*close)(struct driver *driver);
	/* deadline: monotonic. */
	enum store_result (*query)(struct driver *driver, const struct store_statement *statement, uint64_t deadline,
	                           store_row *row, void *context);
	/* Each batch is atomic by itself and gets its result. They are written in order; behind one that is unavailable
	 * none is. */
	void (*write)(struct driver *driver, struct store_batch *batches, size_t count, uint64_t deadline);

	/* NULL with *error_r. Ended by finish(): commit or roll back. False of it: it was not committed, *error_r. One at a
	 * time. */
	struct transaction *(*begin)(struct driver *driver, enum driver_transaction kind, char **error_r);
	bool (*finish)(struct transaction *transaction, bool commit, char **error_r);
	/* One statement with values; false with *error_r. */
	bool (*run)(struct transaction *transaction, const struct store_statement *statement, store_row *row, void *context,
	            char **error_r);
	/* Any number of statements without values, ended by ";". */
	bool (*script)(struct transaction *transaction, const char *sql, char **error_r);
	/* Statements without rows, one after the other; false with *error_r. */
	bool (*run_batch)(struct transaction *transaction, const struct store_statement *statements, size_t count,
	                  char **error_r);
	const char *list_tables;  /* one column: the names of the tables that there are */
	const char *list_columns; /* one column: those of the table $1, in order */
	/* For the rows of a table with an identity column to number themselves beyond what was imported: a statement with
	 * the table's name in place of each "%". NULL: they do. */
	const char *restart_ids;

	/* Does the driver's thread come by until the deadline, whatever it finds the database to be? */
	bool (*alive)(struct driver *driver, uint64_t deadline);

	/* What is damaged, one line each, to row; false with *error_r when it could not be found out. */
	bool (*check)(struct driver *driver, store_row *row, void *context, char **error_r);
	/* A copy of the database to fd; NULL: it has means of its own. */
	bool (*backup)(struct driver *driver, int fd, char **error_r);
};

extern const struct driver_ops sqlite_driver, postgres_driver;

/* asprintf() that does not fail; returns false, for `return driver_fail(...)`. */
bool driver_fail(char **error_r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
