/* current: the newest of a line of immutable, counted objects, which any number of threads use at the same time. Who
 * reads takes no lock and never waits; who publishes waits for a few instructions of those who read. */
#ifndef MAILREEVE_BASE_CURRENT_H
#define MAILREEVE_BASE_CURRENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The first member of such an object. */
struct counted {
	atomic_uint references;
};

void counted_init(struct counted *counted); /* one reference, the caller's */
void counted_acquire(struct counted *counted);
bool counted_release(struct counted *counted); /* true: that was the last one, the caller destroys the object */

/* All zero: there is none yet. */
struct current {
	atomic_size_t index;
	struct current_place {
		atomic_size_t readers;
		struct counted *_Atomic object;
	} places[2];
};

/* A reference of the newest one; NULL: there is none. */
struct counted *current_acquire(struct current *current);
/* Takes over the caller's reference of next, which may be NULL; gives back what was held of the one before. One thread
 * at a time. */
struct counted *current_replace(struct current *current, struct counted *next);

#endif
