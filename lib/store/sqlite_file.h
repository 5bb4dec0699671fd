/* sqlite_file: the file of an SQLite database: made, looked at for damage, copied. */
#ifndef MAILREEVE_STORE_SQLITE_FILE_H
#define MAILREEVE_STORE_SQLITE_FILE_H

#include "lib/store/store.h"

/* "/path" of "sqlite:/path"; NULL: it is none. */
const char *sqlite_file_path(const char *location);

/* Makes the file (0600) where it is missing, unless read_only. False with *error_r, which says how to mend it. */
bool sqlite_file_prepare(const char *path, bool read_only, char **error_r);

/* Looks through the file for some seconds; false with *error_r: damage. */
bool sqlite_file_quick_check(const char *path, bool read_only, char **error_r);
/* All of it: what is damaged, to row. limit_ns 0: as long as it takes. False with *error_r. */
bool sqlite_file_check(const char *path, bool read_only, uint64_t limit_ns, store_row *row, void *context,
                       char **error_r);

/* Writes a copy of one moment to fd, whoever goes on writing; it is made in a file beside the database first, which
 * goes. */
bool sqlite_file_backup(const char *path, int fd, char **error_r);

/* What an operator can do about a result code: "; ..." or "". */
const char *sqlite_advice(int code);

#endif
