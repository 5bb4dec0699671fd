#include "lib/base/current.h"

#include <sched.h>

void counted_init(struct counted *counted)
{
	atomic_init(&counted->references, 1);
}

void counted_acquire(struct counted *counted)
{
	atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
}

bool counted_release(struct counted *counted)
{
	return atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) == 1;
}

/* One counts himself in at the current place, takes a reference there, and counts himself out. Who publishes fills the
 * other place, points readers to it, and waits for those few instructions of the last ones at the old place before he
 * lets its object go. */
struct counted *current_acquire(struct current *current)
{
	for (;;) {
		size_t i = atomic_load(&current->index);
		struct current_place *place = &current->places[i];
		struct counted *object = NULL;
		atomic_fetch_add(&place->readers, 1);
		bool good = atomic_load(&current->index) == i;
		if (good && (object = atomic_load(&place->object)) != NULL) {
			counted_acquire(object);
		}
		atomic_fetch_sub(&place->readers, 1);
		if (good) {
			return object;
		}
	}
}

struct counted *current_replace(struct current *current, struct counted *next)
{
	size_t old = atomic_load(&current->index);
	atomic_store(&current->places[1 - old].object, next);
	atomic_store(&current->index, 1 - old);
	while (atomic_load(&current->places[old].readers) != 0) {
		sched_yield();
	}
	return atomic_exchange(&current->places[old].object, NULL);
}
