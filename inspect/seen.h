/* seen: a set of contents that were met before, by a keyed hash (SipHash-1-3). The key is random, so that nobody
 * outside can make two contents that are taken for one. */
#ifndef MAILREEVE_INSPECT_SEEN_H
#define MAILREEVE_INSPECT_SEEN_H

#include "lib/base/slice.h"

#include <stdint.h>

struct seen {
	uint64_t key[2];
	uint64_t *slots; /* 0: free */
	size_t capacity; /* a power of two */
	size_t count;
};

void seen_open(struct seen *seen);
void seen_close(struct seen *seen);

/* Of a text behind another: start with 0, go on with what was returned. */
uint64_t seen_hash(const struct seen *seen, uint64_t before, struct slice text);

/* True when it is new; it is in the set afterwards. The caller bounds the number of calls. */
bool seen_add(struct seen *seen, uint64_t hash);

#endif
