/* lists: allow and block entries in the store. Each change has a number; what was removed stays for a week, marked, so
 * that whoever has read up to a number reads only what came after. */
#ifndef MAILREEVE_STORE_LISTS_H
#define MAILREEVE_STORE_LISTS_H

#include "lib/policy/list_entry.h"
#include "lib/store/store.h"

enum { STORE_LISTS_TOMBSTONE_S = 7 * 86400 };

/* The number of the newest change; 0: there was none yet. */
enum store_result store_lists_newest(struct store *store, int64_t *change_r);

/* Calls visit for every entry that was changed after `since`; those removed only where since > 0. *change_r: the number
 * up to which this is everything. */
typedef void store_lists_visit(void *context, const struct list_entry *entry);
enum store_result store_lists_read(struct store *store, int64_t since, store_lists_visit *visit, void *context,
                                   int64_t *change_r);

/* The entries of one owner. */
enum store_result store_lists_read_owner(struct store *store, const char *owner, store_lists_visit *visit,
                                         void *context);

struct store_lists_limits {
	uint64_t user_max;     /* entries of a user */
	uint64_t domain_max;   /* of a domain */
	uint64_t patterns_max; /* patterns of any owner */
};

enum store_lists_answer {
	STORE_LISTS_DONE,
	STORE_LISTS_ENFORCED,    /* nothing was changed: *where_r is the place in `entries` of one whose key has an enforced
	                            block */
	STORE_LISTS_TOO_MANY,    /* nothing was changed: *where_r likewise, of an owner who would have more than the limits
	                            allow */
	STORE_LISTS_UNAVAILABLE, /* nothing was changed; later it may work */
	STORE_LISTS_FAILED       /* nothing was changed: see the log */
};

/* Puts all entries in, or none; each takes the place of the one with its key. No two have the same key. now: epoch
 * seconds. */
enum store_lists_answer store_lists_put(struct store *store, const struct list_entry *entries, size_t count,
                                        const struct store_lists_limits *limits, uint64_t now, size_t *where_r);

/* Removes the entries with these keys (owner and value) that are there. enforced: those too. removed_r[i]: was
 * entries[i] removed? */
enum store_lists_answer store_lists_remove(struct store *store, const struct list_entry *entries, size_t count,
                                           bool enforced, uint64_t now, bool *removed_r);

#endif
