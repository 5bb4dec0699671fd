/* lists: the allow and block lists of this process: those of the configuration, and those of the store, which are read
 * once whole and then, as often as somebody has changed them, what has changed. While the store is down they stay as
 * they are. */
#ifndef MAILREEVE_PIPELINE_LISTS_H
#define MAILREEVE_PIPELINE_LISTS_H

#include "lib/policy/list_index.h"
#include "lib/policy/option.h"

#include "lib/base/current.h"

struct lists;
struct store;

/* What holds at one moment: immutable, counted. */
struct list_set {
	struct counted counted;
	struct list_index *fixed;  /* of the configuration */
	struct list_index *stored; /* has the same seed */
	bool known;                /* false: there is a store, and it could not be read since the start */
};

/* store NULL: there is none; else it outlives the lists. watch: changes are looked for four times a second, by a
 * thread. Reads what is there before it returns. */
struct lists *lists_open(struct store *store, bool watch);
void lists_close(struct lists *lists); /* takes NULL */
/* The entries of the configuration, instead of those before. */
void lists_configure(struct lists *lists, const struct option_entries *allow, const struct option_entries *block);

/* Never waits. */
struct list_set *lists_acquire(struct lists *lists);
void list_set_release(struct list_set *set); /* takes NULL */

/* The entry of the configuration, or else of the store; NULL: none that has not expired at `now`. */
const struct list_entry *list_set_find(const struct list_set *set, const struct list_text *owner,
                                       const struct list_text *value, uint64_t now);
struct list_index_owner list_set_owner(const struct list_set *set, const struct list_text *owner);
bool list_set_has_prefix(const struct list_set *set, enum ip_family family, unsigned prefix);

#endif
