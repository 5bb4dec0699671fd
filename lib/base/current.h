/* current: the newest of counted, immutable objects, which any number of threads take without waiting while another one
 * is put in its place. */
#ifndef MAILREEVE_BASE_CURRENT_H
#define MAILREEVE_BASE_CURRENT_H

#include <stdatomic.h>
#include <stddef.h>

/* Readers never wait: one counts himself in at the current of two places, takes a reference there, and counts himself
 * out. Who publishes fills the other place, points readers to it, and waits for those few instructions of the last ones
 * at the old place. */
struct current {
	atomic_size_t place;
	struct current_place {
		atomic_size_t readers;
		void *_Atomic object;
	} places[2];
};

/* object: never NULL; its reference is current's. */
void current_init(struct current *current, void *object);
/* The newest object, with a reference that count() has added. */
void *current_acquire(struct current *current, void (*count)(void *object));
/* By one thread at a time. Returns the former object, whose reference is the caller's now. */
void *current_replace(struct current *current, void *object);
/* For the only thread that is left: the object. */
void *current_get(const struct current *current);

#endif
