/* sqlite_connection: one connection to an SQLite database, with its prepared statements. Used by one thread at a time.
 */
#ifndef MAILREEVE_STORE_SQLITE_CONNECTION_H
#define MAILREEVE_STORE_SQLITE_CONNECTION_H

#include "lib/store/store.h"

#include <sqlite3.h>

enum connection_kind {
	CONNECTION_WRITE,
	CONNECTION_READ,     /* of a file that others of this process write */
	CONNECTION_READ_ONLY /* never touches the file */
};

struct connection {
	sqlite3 *db;
	uint64_t deadline; /* monotonic: what runs longer is interrupted; 0: none */
	struct prepared *prepared;
	size_t prepared_count;
};

/* The file exists. NULL with *error_r. */
struct connection *connection_open(const char *path, enum connection_kind kind, uint64_t busy_ns, char **error_r);
void connection_close(struct connection *connection); /* takes NULL */

/* Runs a statement to its end; an SQLite result code (SQLITE_OK: good). row may be NULL. */
int connection_run(struct connection *connection, const struct store_statement *statement, store_row *row,
                   void *context);
/* Statements without values. */
int connection_script(struct connection *connection, const char *sql);

/* What a result code means for the caller. */
enum store_result connection_result(int code);

#endif
