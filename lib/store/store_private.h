/* store_private: what store.c shares with the queue of store_write_later() (later.c) and with dump.c. */
#ifndef MAILREEVE_STORE_STORE_PRIVATE_H
#define MAILREEVE_STORE_STORE_PRIVATE_H

#include "lib/base/metrics.h"
#include "lib/store/driver.h"

#include <stdatomic.h>

struct later;

struct store {
	const struct driver_ops *ops;
	struct driver *driver;
	uint64_t timeout_ns;
	bool read_only;
	int64_t schema;
	struct later *later; /* NULL: without STORE_LATER */
	_Atomic uint64_t queries, writes, failed;
	_Atomic bool available;
	struct metrics *times; /* two histograms: of queries, of writes */
};

/* Counts, and remembers whether the store is there. */
void store_note(struct store *store, enum store_result result);

/* The batch with its text made well-formed: itself, or a copy in an arena that is made for it then (arena_destroy()).
 */
const struct store_statement *statements_clean(const struct store_statement *statements, size_t count,
                                               struct arena **arena_r);

#endif
