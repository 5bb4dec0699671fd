#include "lib/base/current.h"

#include <sched.h>

void current_init(struct current *current, void *object)
{
	atomic_init(&current->place, 0);
	for (size_t i = 0; i < 2; i++) {
		atomic_init(&current->places[i].readers, 0);
		atomic_init(&current->places[i].object, i == 0 ? object : NULL);
	}
}

void *current_acquire(struct current *current, void (*count)(void *object))
{
	for (;;) {
		size_t i = atomic_load(&current->place);
		struct current_place *place = &current->places[i];
		void *object = NULL;
		atomic_fetch_add(&place->readers, 1);
		if (atomic_load(&current->place) == i) {
			object = atomic_load(&place->object);
			count(object);
		}
		atomic_fetch_sub(&place->readers, 1);
		if (object != NULL) {
			return object;
		}
	}
}

void *current_replace(struct current *current, void *object)
{
	size_t old = atomic_load(&current->place);
	atomic_store(&current->places[1 - old].object, object);
	atomic_store(&current->place, 1 - old);
	while (atomic_load(&current->places[old].readers) != 0) {
		sched_yield();
	}
	return atomic_exchange(&current->places[old].object, NULL);
}

void *current_get(const struct current *current)
{
	return atomic_load(&current->places[atomic_load(&current->place)].object);
}
