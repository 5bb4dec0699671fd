#include "lib/pipeline/lists.h"

#include "lib/base/clock.h"
#include "lib/base/current.h"
#include "lib/base/log.h"
#include "lib/store/lists.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define LOOK_EVERY (250 * CLOCK_NS_PER_MS)
/* Who has not looked for longer may have missed what was removed. */
#define FORGETFUL ((STORE_LISTS_TOMBSTONE_S - 86400) * CLOCK_NS_PER_S)

enum { ARENA_CHUNK = 65536 };

struct lists {
	struct store *store;
	uint64_t seed;
	struct current current;
	pthread_mutex_t lock; /* of who changes what is current */
	/* Of the thread that reads the store: */
	int64_t change;     /* up to which it was read; 0: never */
	uint64_t looked_at; /* monotonic */
	bool failing;       /* and it was said */
	/* The thread itself. */
	bool watching, stop; /* stop: guarded by lock */
	pthread_cond_t wake;
	pthread_t thread;
};

/* ---- sets ---- */

/* Takes the references. */
static struct list_set *set_create(struct list_index *fixed, struct list_index *stored, bool known)
{
	struct list_set *set = calloc(1, sizeof *set);
	if (set == NULL) {
		abort();
	}
	counted_init(&set->counted);
	set->fixed = fixed;
	set->stored = stored;
	set->known = known;
	return set;
}

struct list_set *lists_acquire(struct lists *lists)
{
	return (struct list_set *)current_acquire(&lists->current);
}

void list_set_release(struct list_set *set)
{
	if (set != NULL && counted_release(&set->counted)) {
		list_index_release(set->fixed);
		list_index_release(set->stored);
		free(set);
	}
}

/* Takes the reference. */
static void set_publish(struct lists *lists, struct list_set *set)
{
	list_set_release((struct list_set *)current_replace(&lists->current, &set->counted));
}

const struct list_entry *list_set_find(const struct list_set *set, const struct list_text *owner,
                                       const struct list_text *value, uint64_t now)
{
	const struct list_index *const indexes[] = {set->fixed, set->stored};
	for (size_t i = 0; i < 2; i++) {
		const struct list_entry *entry = list_index_find(indexes[i], owner, value);
		if (entry != NULL && (entry->expires == 0 || entry->expires > now)) {
			return entry;
		}
	}
	return NULL;
}

struct list_index_owner list_set_owner(const struct list_set *set, const struct list_text *owner)
{
	struct list_index_owner fixed = list_index_owner(set->fixed, owner);
	struct list_index_owner stored = list_index_owner(set->stored, owner);
	return (struct list_index_owner){fixed.entries + stored.entries, fixed.patterns + stored.patterns,
	                                 fixed.sender_allows + stored.sender_allows};
}

bool list_set_has_prefix(const struct list_set *set, enum ip_family family, unsigned prefix)
{
	return list_index_has_prefix(set->fixed, family, prefix) || list_index_has_prefix(set->stored, family, prefix);
}

/* ---- the configuration ---- */

static struct list_index *put_all(struct list_index *index, const struct option_entries *entries)
{
	/* One by one: the same may be written twice. They are few. */
	for (size_t i = 0; i < entries->count; i++) {
		size_t broken;
		struct list_index *next = list_index_change(index, &entries->items[i], 1, &broken);
		list_index_release(index);
		index = next;
	}
	return index;
}

void lists_configure(struct lists *lists, const struct option_entries *allow, const struct option_entries *block)
{
	/* What stands in both is blocked. */
	struct list_index *fixed = put_all(put_all(list_index_create(lists->seed), allow), block);
	pthread_mutex_lock(&lists->lock);
	struct list_set *before = lists_acquire(lists);
	set_publish(lists, set_create(fixed, list_index_acquire(before->stored), before->known));
	pthread_mutex_unlock(&lists->lock);
	list_set_release(before);
}

/* ---- the store ---- */

struct reading {
	struct arena *arena;
	struct list_entry *entries;
	size_t count, capacity;
};

static void reading_add(void *context, const struct list_entry *entry)
{
	struct reading *reading = context;
	if (reading->count == reading->capacity) {
		reading->capacity = reading->capacity == 0 ? 64 : reading->capacity * 2;
		reading->entries = reallocarray(reading->entries, reading->capacity, sizeof *reading->entries);
		if (reading->entries == NULL) {
			abort();
		}
	}
	struct list_entry *copy = &reading->entries[reading->count++];
	*copy = *entry;
	copy->owner = entry->owner[0] == '\0' ? "" : arena_strdup(reading->arena, entry->owner);
	copy->value = arena_strdup(reading->arena, entry->value);
	copy->by = entry->by[0] == '\0' ? "" : arena_strdup(reading->arena, entry->by);
	copy->note = entry->note[0] == '\0' ? "" : arena_strdup(reading->arena, entry->note);
}

static void lists_publish(struct lists *lists, const struct reading *reading, bool whole)
{
	size_t broken;
	pthread_mutex_lock(&lists->lock);
	struct list_set *before = lists_acquire(lists);
	struct list_index *empty = whole ? list_index_create(lists->seed) : NULL;
	struct list_index *stored =
	    list_index_change(whole ? empty : before->stored, reading->entries, reading->count, &broken);
	set_publish(lists, set_create(list_index_acquire(before->fixed), stored, true));
	pthread_mutex_unlock(&lists->lock);
	list_set_release(before);
	list_index_release(empty);
	if (broken > 0) {
		log_error("lists: %zu header patterns of the store cannot be used; see mailreeve list show", broken);
	}
}

static bool lists_read(struct lists *lists, bool whole)
{
	struct reading reading = {.arena = arena_create(ARENA_CHUNK)};
	int64_t change;
	bool good = store_lists_read(lists->store, whole ? 0 : lists->change, reading_add, &reading, &change) == STORE_OK;
	if (good) {
		lists_publish(lists, &reading, whole);
		lists->change = change;
	}
	free(reading.entries);
	arena_destroy(reading.arena);
	return good;
}

/* Once: reads what has changed. */
static void lists_look(struct lists *lists)
{
	int64_t newest;
	uint64_t now = clock_now();
	struct list_set *set = lists_acquire(lists);
	bool known = set->known;
	list_set_release(set);
	bool good = store_lists_newest(lists->store, &newest) == STORE_OK;
	/* A number that is lower than ours is of a store that was put in the place of the other. */
	bool whole = !known || newest < lists->change || now - lists->looked_at > FORGETFUL;
	if (good && (whole || newest > lists->change)) {
		good = lists_read(lists, whole);
	}
	if (!good && !lists->failing) {
		log_error("lists: the store cannot be read: %s",
		          known ? "they stay as they are" : "there are none, see list.unavailable");
	} else if (good && lists->failing) {
		log_info("lists: the store can be read again");
	}
	lists->failing = !good;
	lists->looked_at = good ? now : lists->looked_at;
}

static void *lists_watch(void *context)
{
	struct lists *lists = context;
	for (;;) {
		struct timespec until = clock_timespec(clock_now() + LOOK_EVERY);
		pthread_mutex_lock(&lists->lock);
		while (!lists->stop && pthread_cond_clockwait(&lists->wake, &lists->lock, CLOCK_MONOTONIC, &until) == 0) {
		}
		bool stop = lists->stop;
		pthread_mutex_unlock(&lists->lock);
		if (stop) {
			return NULL;
		}
		lists_look(lists);
	}
}

struct lists *lists_open(struct store *store, bool watch)
{
	struct lists *lists = calloc(1, sizeof *lists);
	if (lists == NULL) {
		abort();
	}
	if (getrandom(&lists->seed, sizeof lists->seed, 0) != (ssize_t)sizeof lists->seed) {
		lists->seed = clock_now();
	}
	lists->store = store;
	lists->looked_at = clock_now();
	pthread_mutex_init(&lists->lock, NULL);
	pthread_cond_init(&lists->wake, NULL);
	set_publish(lists, set_create(list_index_create(lists->seed), list_index_create(lists->seed), store == NULL));
	if (store != NULL) {
		lists_look(lists);
		lists->watching = watch && pthread_create(&lists->thread, NULL, lists_watch, lists) == 0;
		if (watch && !lists->watching) {
			log_error("lists: no thread for them: what is changed in the store takes effect after a restart");
		}
	}
	return lists;
}

void lists_close(struct lists *lists)
{
	if (lists == NULL) {
		return;
	}
	if (lists->watching) {
		pthread_mutex_lock(&lists->lock);
		lists->stop = true;
		pthread_cond_signal(&lists->wake);
		pthread_mutex_unlock(&lists->lock);
		pthread_join(lists->thread, NULL);
	}
	list_set_release((struct list_set *)current_replace(&lists->current, NULL));
	pthread_cond_destroy(&lists->wake);
	pthread_mutex_destroy(&lists->lock);
	free(lists);
}
