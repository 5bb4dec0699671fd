/* topk: who comes most often, of any number, in bounded memory: the algorithm Space-Saving in a ring of short periods,
 * of which the last minute is made. Counts are never too low for those who are shown, and too high by at most the
 * number of all events of a period divided by TOPK_ENTRIES. The clock is the caller's. Safe from any thread; a lock is
 * held for some hundred nanoseconds. */
#ifndef MAILREEVE_BASE_TOPK_H
#define MAILREEVE_BASE_TOPK_H

#include <stddef.h>
#include <stdint.h>

enum { TOPK_ENTRIES = 64, TOPK_NAME_SIZE = 96, TOPK_PERIODS = 7, TOPK_PERIOD_S = 10 };

struct topk_entry {
	char name[TOPK_NAME_SIZE];
	uint64_t count;
};

struct topk;
struct topk *topk_create(void);
void topk_destroy(struct topk *topk); /* takes NULL */
/* name: cut to TOPK_NAME_SIZE - 1 bytes. now: monotonic nanoseconds. */
void topk_add(struct topk *topk, const char *name, uint64_t now);
/* Those of the last 60 to 70 seconds, the most frequent first, equal ones by name; at most `most` (<= TOPK_ENTRIES).
 * How many. */
size_t topk_read(struct topk *topk, uint64_t now, size_t most, struct topk_entry *entries_r);

#endif
