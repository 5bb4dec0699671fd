/* dump: a store as lines of text (dump_code.h), from any driver and to any; and copies of an SQLite database. */
#ifndef MAILREEVE_STORE_DUMP_H
#define MAILREEVE_STORE_DUMP_H

#include "lib/store/store.h"

#include <stdio.h>

/* Called now and then with the rows done so far, and at the end; table NULL: the end. */
typedef void dump_progress(void *context, const char *table, int64_t rows);

/* Writes all rows, of one moment, while others go on. False with *error_r. */
bool store_export(struct store *store, FILE *out, dump_progress *progress, void *context, char **error_r);

/* Reads what store_export() wrote into a store without rows, opened with STORE_ANY_SCHEMA: all of it or nothing. Of an
 * older schema too: then the tables are brought up to date afterwards. False with *error_r, "line N: ...". */
bool store_import(struct store *store, FILE *in, dump_progress *progress, void *context, char **error_r);

/* A copy of one moment, while others go on, to fd. SQLite only; it is made beside the database first. False with
 * *error_r. */
bool store_backup(struct store *store, int fd, char **error_r);

/* Looks for damage, and reads all rows of all tables; what is found to problem. False with *error_r: it could not be
 * found out. */
typedef void store_problem(void *context, const char *text);
bool store_check(struct store *store, store_problem *problem, dump_progress *progress, void *context, char **error_r);

/* Brings the tables up to date; of a store opened with STORE_ANY_SCHEMA. */
bool store_migrate(struct store *store, int64_t *from_r, int64_t *to_r, char **error_r);

#endif
