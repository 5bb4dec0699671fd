/* schema: the version of a store's tables, and the way to the newest. */
#ifndef MAILREEVE_STORE_SCHEMA_H
#define MAILREEVE_STORE_SCHEMA_H

#include "lib/store/driver.h"

/* The version the store is at; 0: it is empty. False with *error_r. */
bool schema_version(const struct driver_ops *ops, struct driver *driver, int64_t *version_r, char **error_r);
/* Makes the steps that are missing, all in one transaction; safe from several processes at a time. *from_r: the version
 * before, may be NULL. False with *error_r: nothing was changed; a version newer than the newest known is an error. */
bool schema_migrate(const struct driver_ops *ops, struct driver *driver, int64_t *from_r, char **error_r);
/* The same within a transaction. */
bool schema_read(const struct driver_ops *ops, struct transaction *transaction, int64_t *version_r, char **error_r);
/* The steps behind version `from` up to `to`. */
bool schema_steps(const struct driver_ops *ops, struct transaction *transaction, int64_t from, int64_t to,
                  char **error_r);
/* Has the table an identity column "id"? */
bool schema_numbers_itself(const char *table);
/* "the store is at version 7, this program knows 5 ..." for a version that is not the newest known. */
bool schema_refuse(int64_t version, char **error_r);

#endif
