/* migrations: the tables of the store, as a list of steps. A step that was released is never changed: a change of a
 * table is a new step at the end. Each is SQL of the common dialect (store.h), statements ended by ";", with these
 * words replaced:
 *     %ID%     type of a column "id" that numbers itself, the primary key: "id %ID%"
 *     %KEYED%  behind the table's ")": small rows that are read by the primary key and change often
 * All steps that a store lacks are made in one transaction. */
#ifndef MAILREEVE_STORE_MIGRATIONS_H
#define MAILREEVE_STORE_MIGRATIONS_H

#include <stddef.h>

struct store_migration {
	const char *name; /* what it is for, for people */
	const char *sql;
};

/* store_migrations[0] brings a store to version 1, and so on. */
extern const struct store_migration store_migrations[];
extern const size_t store_migrations_count;

#endif
