/* bayes_table: the tokens of one owner, in memory. Any number of threads read while one changes it. */
#ifndef MAILREEVE_PIPELINE_BAYES_TABLE_H
#define MAILREEVE_PIPELINE_BAYES_TABLE_H

#include "lib/base/current.h"
#include "lib/store/bayes.h"

struct bayes_table {
	struct counted counted;
	char *owner;
	_Atomic uint64_t totals; /* as the counts of a place */
	_Atomic uint64_t used;   /* when it was last asked, of a clock of the cache's */
	bool too_large;          /* for the memory that there is: nothing is in it, the store is to be asked */
	uint64_t seed;
	size_t size, count; /* places, a power of two; those that are taken */
	unsigned shift;
	struct bayes_place {
		_Atomic uint64_t token;  /* 0: free, and so is all that would be behind it */
		_Atomic uint64_t counts; /* spam in the upper half, ham in the lower */
	} places[];
};

/* With room for so many tokens. */
struct bayes_table *bayes_table_create(const char *owner, uint64_t seed, size_t room);
void bayes_table_release(struct bayes_table *table); /* takes NULL */
uint64_t bayes_table_bytes(const struct bayes_table *table);

struct bayes_counts bayes_table_find(const struct bayes_table *table, uint64_t token);
struct bayes_counts bayes_table_totals(const struct bayes_table *table);
void bayes_table_set_totals(struct bayes_table *table, struct bayes_counts totals);
/* By one thread. False: it is full, make a larger one (bayes_table_larger()). Counts of 0 take no place. */
bool bayes_table_set(struct bayes_table *table, uint64_t token, struct bayes_counts counts);
/* A copy with twice as many places. */
struct bayes_table *bayes_table_larger(const struct bayes_table *table);

#endif
