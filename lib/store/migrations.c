#include "lib/store/migrations.h"

const struct store_migration store_migrations[] = {
    /* store_spool: the last batch of each queue of store_write_later(); one that comes again violates the check. */
    {"counters of changes, queues",
     "CREATE TABLE store_counter (subject TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);"
     "CREATE TABLE store_spool (id TEXT NOT NULL PRIMARY KEY, sequence BIGINT NOT NULL,"
     " step BIGINT NOT NULL CHECK (step > 0), changed BIGINT NOT NULL);"},
};

const size_t store_migrations_count = sizeof store_migrations / sizeof *store_migrations;
