/* bayes_cache: what has been learnt (store/bayes.h), in memory. A table for each owner holds all of his tokens, so that
 * a token that is not in it is known not to be learnt, and mail is judged without the database, while that is down too.
 *
 * Readers take no lock: the tables that there are hang on a counted object (base/current.h), their places are atomic
 * numbers that one thread changes. Somebody who reads while a message is learnt may find it in some tokens and not yet
 * in others. That thread asks the store's counter four times a second and reads anew what has changed, the tokens that
 * are named or, behind many messages at once, all of them. An owner that is not held (yet) is read from the store. */
#ifndef MAILREEVE_PIPELINE_BAYES_CACHE_H
#define MAILREEVE_PIPELINE_BAYES_CACHE_H

#include "lib/store/bayes.h"

struct bayes_cache;

/* store NULL: there is none; else it outlives the cache. watch: hold something, and a thread for it; without it the
 * store is asked each time. bytes_max: of all tables; the owners that were not asked for the longest time go first, and
 * one that alone is too large is not held. 0: nothing is, the store is not even looked at. */
struct bayes_cache *bayes_cache_open(struct store *store, bool watch, uint64_t bytes_max);
void bayes_cache_close(struct bayes_cache *cache); /* takes NULL */
void bayes_cache_configure(struct bayes_cache *cache, uint64_t bytes_max);

/* As bayes_read(), which is asked where an owner is not in memory. False: the store was needed, and did not answer, or
 * there is none. */
bool bayes_cache_read(struct bayes_cache *cache, const char *const *owners, size_t owner_count, const uint64_t *tokens,
                      size_t count, struct bayes_counts *totals_r, struct bayes_counts *counts_r);

struct bayes_cache_status {
	size_t owners;
	uint64_t bytes;        /* of all tables */
	uint64_t hits, misses; /* messages that were judged from memory, and from the store */
};
void bayes_cache_get_status(struct bayes_cache *cache, struct bayes_cache_status *status_r);

#endif
