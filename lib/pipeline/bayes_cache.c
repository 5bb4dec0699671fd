#include "lib/pipeline/bayes_cache.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/bayes_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define LOOK_EVERY (250 * CLOCK_NS_PER_MS)
/* Who has not looked for longer may have missed changes. */
#define FORGETFUL ((uint64_t)BAYES_CHANGES_S / 2 * CLOCK_NS_PER_S)
/* While many messages are learnt an owner is read whole again and again: not more often than this, and no more than a
 * tenth of the time. */
#define WHOLE_EVERY CLOCK_NS_PER_S
enum { WHOLE_SHARE = 10, LOAD_STEP = 16384, WANTED_MAX = 64, OWNERS_MAX = 10000 };

/* The tables that are held, by owner. Immutable but for what is in the tables. */
struct view {
	struct counted counted;
	size_t count;
	struct bayes_table *tables[];
};

struct bayes_cache {
	struct store *store;
	uint64_t seed;
	struct current current;
	atomic_uint_fast64_t hits, misses;
	_Atomic uint64_t tick; /* looks so far */
	_Atomic uint64_t bytes_max;
	atomic_bool resized; /* bytes_max is another: all is read anew */

	/* Of the thread. */
	int64_t change;     /* up to which the tables are */
	uint64_t looked_at; /* monotonic */
	bool failing;       /* and it was said */
	struct stale {
		char owner[BAYES_OWNER_MAX + 1]; /* is to be read whole again */
		bool is;
		uint64_t not_before;
	} stale[WANTED_MAX];

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	char wanted[WANTED_MAX][BAYES_OWNER_MAX + 1];
	size_t wanted_count;
	bool stop, running;
	pthread_t thread;
};

/* ---- views ---- */

static struct view *view_acquire(struct bayes_cache *cache)
{
	return (struct view *)current_acquire(&cache->current);
}

static void view_release(struct view *view)
{
	if (view != NULL && counted_release(&view->counted)) {
		for (size_t i = 0; i < view->count; i++) {
			bayes_table_release(view->tables[i]);
		}
		free(view);
	}
}

/* Where the owner is, or would be. */
static size_t view_place(const struct view *view, const char *owner, bool *is_r)
{
	size_t low = 0;
	size_t high = view->count;
	*is_r = false;
	while (low < high && !*is_r) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(owner, view->tables[middle]->owner);
		*is_r = order == 0;
		low = order > 0 ? middle + 1 : order == 0 ? middle : low;
		high = order < 0 ? middle : high;
	}
	return low;
}

static struct bayes_table *view_find(const struct view *view, const char *owner)
{
	bool is;
	size_t i = view_place(view, owner, &is);
	return is ? view->tables[i] : NULL;
}

/* The view without `owner`, and with `table` (takes the reference; NULL: none) in its place. */
static void view_publish(struct bayes_cache *cache, const char *owner, struct bayes_table *table)
{
	struct view *before = view_acquire(cache);
	struct view *next = calloc(1, sizeof *next + (before->count + 1) * sizeof *next->tables);
	bool is;
	size_t place = view_place(before, owner, &is);
	if (next == NULL) {
		abort();
	}
	counted_init(&next->counted);
	for (size_t i = 0; i <= before->count; i++) {
		if (i == place && table != NULL) {
			next->tables[next->count++] = table;
		}
		if (i < before->count && !(is && i == place)) {
			counted_acquire(&before->tables[i]->counted);
			next->tables[next->count++] = before->tables[i];
		}
	}
	view_release((struct view *)current_replace(&cache->current, &next->counted));
	view_release(before);
}

static uint64_t view_bytes(const struct view *view)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < view->count; i++) {
		bytes += bayes_table_bytes(view->tables[i]);
	}
	return bytes;
}

/* ---- reading ---- */

static void want(struct bayes_cache *cache, const char *owner)
{
	pthread_mutex_lock(&cache->lock);
	size_t i = 0;
	while (i < cache->wanted_count && strcmp(cache->wanted[i], owner) != 0) {
		i++;
	}
	if (i == cache->wanted_count && i < WANTED_MAX && strlen(owner) <= BAYES_OWNER_MAX) {
		memcpy(cache->wanted[i], owner, strlen(owner) + 1);
		cache->wanted_count++;
	}
	pthread_mutex_unlock(&cache->lock);
}

static bool read_tables(struct bayes_cache *cache, const char *const *owners, size_t owner_count,
                        const uint64_t *tokens, size_t count, struct bayes_counts *totals_r,
                        struct bayes_counts *counts_r)
{
	struct view *view = view_acquire(cache);
	uint64_t tick = atomic_load_explicit(&cache->tick, memory_order_relaxed);
	bool all = true;
	for (size_t k = 0; k < owner_count; k++) {
		struct bayes_table *table = view_find(view, owners[k]);
		if (table == NULL) {
			want(cache, owners[k]);
		}
		if (table == NULL || table->too_large) {
			all = false;
			continue;
		}
		if (atomic_load_explicit(&table->used, memory_order_relaxed) != tick) {
			atomic_store_explicit(&table->used, tick, memory_order_relaxed);
		}
		totals_r[k] = bayes_table_totals(table);
		for (size_t i = 0; i < count; i++) {
			counts_r[k * count + i] = bayes_table_find(table, tokens[i]);
		}
	}
	view_release(view);
	return all;
}

bool bayes_cache_read(struct bayes_cache *cache, const char *const *owners, size_t owner_count, const uint64_t *tokens,
                      size_t count, struct bayes_counts *totals_r, struct bayes_counts *counts_r)
{
	if (cache->store == NULL) {
		return false;
	}
	if (cache->running && read_tables(cache, owners, owner_count, tokens, count, totals_r, counts_r)) {
		atomic_fetch_add_explicit(&cache->hits, 1, memory_order_relaxed);
		return true;
	}
	atomic_fetch_add_explicit(&cache->misses, 1, memory_order_relaxed);
	return bayes_read(cache->store, owners, owner_count, tokens, count, totals_r, counts_r) == STORE_OK;
}

/* ---- the thread: loading ---- */

struct loading {
	struct bayes_table *table;
	size_t got;
	uint64_t last;
};

/* Puts the counts into *table, which may become a larger one. */
static void put(struct bayes_table **table, uint64_t token, struct bayes_counts counts)
{
	if (!bayes_table_set(*table, token, counts)) {
		struct bayes_table *larger = bayes_table_larger(*table);
		bayes_table_release(*table);
		*table = larger;
		bayes_table_set(larger, token, counts);
	}
}

static void load_token(void *context, uint64_t token, struct bayes_counts counts)
{
	struct loading *loading = context;
	put(&loading->table, token, counts);
	loading->last = token;
	loading->got++;
}

static bool is_stopping(struct bayes_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	bool stop = cache->stop;
	pthread_mutex_unlock(&cache->lock);
	return stop;
}

/* Those that were not asked for the longest time, until the rest has room; everybody's stays. */
static void make_room(struct bayes_cache *cache)
{
	uint64_t most = atomic_load_explicit(&cache->bytes_max, memory_order_relaxed);
	for (;;) {
		struct view *view = view_acquire(cache);
		struct bayes_table *oldest = NULL;
		char owner[BAYES_OWNER_MAX + 1];
		bool full = view->count > OWNERS_MAX || view_bytes(view) > most;
		for (size_t i = 0; i < view->count && full; i++) {
			struct bayes_table *table = view->tables[i];
			if (table->owner[0] != '\0' && (oldest == NULL || atomic_load(&table->used) < atomic_load(&oldest->used))) {
				oldest = table;
			}
		}
		if (oldest != NULL) {
			memcpy(owner, oldest->owner, strlen(oldest->owner) + 1);
		}
		view_release(view);
		if (oldest == NULL) {
			return;
		}
		view_publish(cache, owner, NULL);
	}
}

static bool load(struct bayes_cache *cache, const char *owner)
{
	struct loading loading = {.table = bayes_table_create(owner, cache->seed, 0)};
	struct bayes_counts totals = {0, 0};
	struct bayes_counts none[1];
	uint64_t most = atomic_load_explicit(&cache->bytes_max, memory_order_relaxed);
	bool more = true;
	bool good = bayes_read(cache->store, &owner, 1, NULL, 0, &totals, none) == STORE_OK;
	bool fits = true;
	for (bool first = true; good && more && fits && !is_stopping(cache); first = false) {
		uint64_t last = loading.last;
		loading.got = 0;
		good = bayes_load(cache->store, owner, first ? NULL : &last, LOAD_STEP, load_token, &loading) == STORE_OK;
		more = loading.got == LOAD_STEP;
		fits = bayes_table_bytes(loading.table) <= most;
	}
	if (!good || !fits || is_stopping(cache)) {
		bayes_table_release(loading.table);
		if (good && !fits) {
			log_warning(
			    "bayes: bayes.cache_size is too small for what was learnt: the store is asked for each message");
			loading.table = bayes_table_create(owner, cache->seed, 0);
			loading.table->too_large = true;
			view_publish(cache, owner, loading.table);
		}
		return good;
	}
	bayes_table_set_totals(loading.table, totals);
	atomic_store(&loading.table->used, atomic_load(&cache->tick));
	view_publish(cache, owner, loading.table);
	make_room(cache);
	return true;
}

/* ---- the thread: changes ---- */

static struct stale *stale_find(struct bayes_cache *cache, const char *owner)
{
	struct stale *place = NULL;
	for (size_t i = 0; i < WANTED_MAX; i++) {
		struct stale *stale = &cache->stale[i];
		if (strcmp(stale->owner, owner) == 0 && (stale->is || stale->not_before != 0)) {
			return stale;
		}
		place = place == NULL && !stale->is ? stale : place;
	}
	if (place != NULL) {
		*place = (struct stale){.is = false};
		memcpy(place->owner, owner, strlen(owner) + 1);
	}
	return place;
}

static void set_stale(struct bayes_cache *cache, const char *owner)
{
	struct stale *stale = stale_find(cache, owner);
	if (stale != NULL) {
		stale->is = true;
	} else {
		view_publish(cache, owner, NULL); /* it is read when it is asked for */
	}
}

/* The counts of these tokens as they are now. */
static bool refresh(struct bayes_cache *cache, const char *owner, const uint64_t *tokens, size_t count)
{
	struct view *view = view_acquire(cache);
	struct bayes_table *table = view_find(view, owner);
	struct bayes_table *now = table;
	struct bayes_counts *counts = calloc(BAYES_TOKENS_MAX, sizeof *counts);
	struct bayes_counts totals;
	bool good = true;
	if (counts == NULL) {
		abort();
	}
	counted_acquire(&table->counted);
	for (size_t from = 0; from < count && good; from += BAYES_TOKENS_MAX) {
		size_t n = count - from < BAYES_TOKENS_MAX ? count - from : BAYES_TOKENS_MAX;
		good = bayes_read(cache->store, &owner, 1, tokens + from, n, &totals, counts) == STORE_OK;
		for (size_t i = 0; i < n && good; i++) {
			put(&now, tokens[from + i], counts[i]);
		}
		if (good) {
			bayes_table_set_totals(now, totals);
		}
	}
	free(counts);
	view_release(view);
	if (now != table) {
		view_publish(cache, owner, now);
		make_room(cache);
	} else {
		bayes_table_release(now);
	}
	return good;
}

/* One round of changes; they are read first, as a row's visitor must not ask the store. */
struct news {
	struct bayes_cache *cache;
	struct arena *arena;
	struct news_item {
		int64_t change;
		const char *owner;
		uint64_t *tokens;
		size_t count;
	} * items;
	size_t count, room;
};

static void news_add(void *context, int64_t change, struct slice owner, const uint64_t *tokens, size_t count)
{
	struct news *news = context;
	news->items = arena_grow(news->arena, news->items, sizeof *news->items, news->count, &news->room);
	struct news_item *item = &news->items[news->count++];
	*item = (struct news_item){.change = change, .owner = slice_dup(news->arena, owner), .count = count};
	item->tokens = (uint64_t *)arena_memdup(news->arena, tokens, count * sizeof *tokens);
}

static bool apply(struct bayes_cache *cache, const struct news_item *item)
{
	struct view *view = view_acquire(cache);
	const struct bayes_table *table = view_find(view, item->owner);
	bool held = table != NULL && !table->too_large;
	view_release(view);
	if (held && item->count == 0) {
		set_stale(cache, item->owner);
	} else if (held) {
		return refresh(cache, item->owner, item->tokens, item->count);
	}
	return true;
}

/* Reads what has changed up to `newest`. */
static bool follow(struct bayes_cache *cache, int64_t newest)
{
	bool good = true;
	size_t got = 1;
	while (good && got > 0 && cache->change < newest) {
		struct news news = {.cache = cache, .arena = arena_create(65536)};
		good = bayes_changes(cache->store, cache->change, news_add, &news) == STORE_OK;
		got = news.count;
		for (size_t i = 0; i < got && good; i++) {
			good = apply(cache, &news.items[i]);
			cache->change = good ? news.items[i].change : cache->change;
		}
		arena_destroy(news.arena);
	}
	/* Numbers may be missing: of learners that were too late, and began again. */
	cache->change = good && cache->change < newest ? newest : cache->change;
	return good;
}

/* ---- the thread: its rounds ---- */

/* The store may be another one, or changes may be missing: all is read anew. */
static void forget_all(struct bayes_cache *cache)
{
	struct view *empty = calloc(1, sizeof *empty);
	if (empty == NULL) {
		abort();
	}
	counted_init(&empty->counted);
	view_release((struct view *)current_replace(&cache->current, &empty->counted));
	memset(cache->stale, 0, sizeof cache->stale);
}

static bool reload_stale(struct bayes_cache *cache)
{
	bool good = true;
	for (size_t i = 0; i < WANTED_MAX && good; i++) {
		struct stale *stale = &cache->stale[i];
		uint64_t begun = clock_now();
		if (stale->is && begun >= stale->not_before) {
			good = load(cache, stale->owner);
			uint64_t took = clock_now() - begun;
			stale->is = !good;
			stale->not_before = clock_now() + (took * WHOLE_SHARE > WHOLE_EVERY ? took * WHOLE_SHARE : WHOLE_EVERY);
		}
	}
	return good;
}

static bool load_wanted(struct bayes_cache *cache)
{
	char owner[BAYES_OWNER_MAX + 1];
	for (size_t i = 0; i < WANTED_MAX; i++) {
		pthread_mutex_lock(&cache->lock);
		bool any = cache->wanted_count > 0;
		if (any) {
			memcpy(owner, cache->wanted[cache->wanted_count - 1], sizeof owner);
			cache->wanted_count--;
		}
		pthread_mutex_unlock(&cache->lock);
		if (!any) {
			return true;
		}
		if (!load(cache, owner)) {
			want(cache, owner);
			return false;
		}
	}
	return true;
}

static void look(struct bayes_cache *cache)
{
	int64_t newest;
	uint64_t now = clock_now();
	if (atomic_load_explicit(&cache->bytes_max, memory_order_relaxed) == 0) {
		return; /* nobody asks: once it is not 0 all is read anew */
	}
	atomic_fetch_add_explicit(&cache->tick, 1, memory_order_relaxed);
	bool good = store_counter(cache->store, "bayes", &newest) == STORE_OK;
	bool resized = atomic_exchange(&cache->resized, false);
	if (good && (resized || newest < cache->change || now - cache->looked_at > FORGETFUL)) {
		forget_all(cache);
		want(cache, "");
		cache->change = newest;
	}
	good = good && follow(cache, newest) && reload_stale(cache) && load_wanted(cache);
	if (!good && !cache->failing) {
		log_error("bayes: the store cannot be read: what is in memory stays as it is");
	} else if (good && cache->failing) {
		log_info("bayes: the store can be read again");
	}
	cache->failing = !good;
	cache->looked_at = good ? now : cache->looked_at;
}

static void *watch_main(void *context)
{
	struct bayes_cache *cache = context;
	while (!is_stopping(cache)) {
		look(cache);
		struct timespec until = clock_timespec(clock_now() + LOOK_EVERY);
		pthread_mutex_lock(&cache->lock);
		while (!cache->stop && pthread_cond_clockwait(&cache->wake, &cache->lock, CLOCK_MONOTONIC, &until) == 0) {
		}
		pthread_mutex_unlock(&cache->lock);
	}
	return NULL;
}

struct bayes_cache *bayes_cache_open(struct store *store, bool watch, uint64_t bytes_max)
{
	struct bayes_cache *cache = calloc(1, sizeof *cache);
	if (cache == NULL) {
		abort();
	}
	if (getrandom(&cache->seed, sizeof cache->seed, 0) != (ssize_t)sizeof cache->seed) {
		cache->seed = clock_now();
	}
	cache->store = store;
	cache->looked_at = clock_now();
	atomic_store(&cache->bytes_max, bytes_max);
	pthread_mutex_init(&cache->lock, NULL);
	pthread_cond_init(&cache->wake, NULL);
	forget_all(cache);
	if (store != NULL && watch) {
		want(cache, "");
		cache->running = pthread_create(&cache->thread, NULL, watch_main, cache) == 0;
		if (!cache->running) {
			log_error("bayes: no thread for what is held in memory: the store is asked for each message");
		}
	}
	return cache;
}

void bayes_cache_configure(struct bayes_cache *cache, uint64_t bytes_max)
{
	if (atomic_exchange(&cache->bytes_max, bytes_max) != bytes_max) {
		atomic_store(&cache->resized, true);
	}
}

void bayes_cache_close(struct bayes_cache *cache)
{
	if (cache == NULL) {
		return;
	}
	if (cache->running) {
		pthread_mutex_lock(&cache->lock);
		cache->stop = true;
		pthread_cond_signal(&cache->wake);
		pthread_mutex_unlock(&cache->lock);
		pthread_join(cache->thread, NULL);
	}
	view_release((struct view *)current_replace(&cache->current, NULL));
	pthread_cond_destroy(&cache->wake);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

void bayes_cache_get_status(struct bayes_cache *cache, struct bayes_cache_status *status_r)
{
	struct view *view = view_acquire(cache);
	*status_r = (struct bayes_cache_status){.owners = view->count,
	                                        .bytes = view_bytes(view),
	                                        .hits = atomic_load_explicit(&cache->hits, memory_order_relaxed),
	                                        .misses = atomic_load_explicit(&cache->misses, memory_order_relaxed)};
	view_release(view);
}
