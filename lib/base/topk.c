#include "lib/base/topk.h"

#include "lib/base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct period {
	uint64_t number; /* time / TOPK_PERIOD_S */
	size_t used;
	uint32_t hashes[TOPK_ENTRIES]; /* beside the entries, so that a search reads little */
	struct topk_entry entries[TOPK_ENTRIES];
};

struct topk {
	pthread_mutex_t lock;
	struct period periods[TOPK_PERIODS];
};

struct topk *topk_create(void)
{
	struct topk *topk = calloc(1, sizeof *topk);
	if (topk == NULL) {
		abort();
	}
	pthread_mutex_init(&topk->lock, NULL);
	return topk;
}

void topk_destroy(struct topk *topk)
{
	if (topk != NULL) {
		pthread_mutex_destroy(&topk->lock);
		free(topk);
	}
}

/* FNV-1a. Who makes names collide gains nothing: equal hashes are compared. */
static uint32_t hash_of(const char *name)
{
	uint32_t hash = 2166136261U;
	for (; *name != '\0'; name++) {
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	}
	return hash;
}

static struct topk_entry *find(struct period *period, uint32_t hash, const char *name)
{
	for (size_t i = 0; i < period->used; i++) {
		if (period->hashes[i] == hash && strcmp(period->entries[i].name, name) == 0) {
			return &period->entries[i];
		}
	}
	return NULL;
}

/* A new name takes a free place, or that of the least frequent, with whose count it begins. */
static struct topk_entry *take_place(struct period *period, uint32_t hash, const char *name)
{
	size_t at = period->used;
	if (at < TOPK_ENTRIES) {
		period->used++;
		period->entries[at].count = 0;
	} else {
		at = 0;
		for (size_t i = 1; i < TOPK_ENTRIES; i++) {
			at = period->entries[i].count < period->entries[at].count ? i : at;
		}
	}
	period->hashes[at] = hash;
	memcpy(period->entries[at].name, name, TOPK_NAME_SIZE);
	return &period->entries[at];
}

static void period_add(struct period *period, const char *name, uint64_t n)
{
	uint32_t hash = hash_of(name);
	struct topk_entry *entry = find(period, hash, name);
	entry = entry == NULL ? take_place(period, hash, name) : entry;
	entry->count += n;
}

void topk_add(struct topk *topk, const char *name, uint64_t now)
{
	uint64_t number = now / (TOPK_PERIOD_S * CLOCK_NS_PER_S);
	struct period *period = &topk->periods[number % TOPK_PERIODS];
	char cut[TOPK_NAME_SIZE] = "";
	memcpy(cut, name, strnlen(name, TOPK_NAME_SIZE - 1));
	pthread_mutex_lock(&topk->lock);
	if (period->number != number) {
		period->number = number;
		period->used = 0;
	}
	period_add(period, cut, 1);
	pthread_mutex_unlock(&topk->lock);
}

static int by_count(const void *a, const void *b)
{
	const struct topk_entry *x = a;
	const struct topk_entry *y = b;
	return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->name, y->name);
}

size_t topk_read(struct topk *topk, uint64_t now, size_t most, struct topk_entry *entries_r)
{
	uint64_t number = now / (TOPK_PERIOD_S * CLOCK_NS_PER_S);
	struct topk_entry *all = calloc((size_t)TOPK_PERIODS * TOPK_ENTRIES, sizeof *all);
	size_t count = 0;
	if (all == NULL) {
		abort();
	}
	pthread_mutex_lock(&topk->lock);
	for (size_t i = 0; i < TOPK_PERIODS; i++) {
		const struct period *period = &topk->periods[i];
		bool recent = number - period->number < TOPK_PERIODS;
		for (size_t j = 0; recent && j < period->used; j++) {
			all[count++] = period->entries[j];
		}
	}
	pthread_mutex_unlock(&topk->lock);
	size_t merged = 0;
	for (size_t i = 0; i < count; i++) {
		size_t same = 0;
		while (same < merged && strcmp(all[same].name, all[i].name) != 0) {
			same++;
		}
		if (same < merged) {
			all[same].count += all[i].count;
		} else {
			all[merged++] = all[i];
		}
	}
	qsort(all, merged, sizeof *all, by_count);
	merged = merged < most ? merged : most;
	memcpy(entries_r, all, merged * sizeof *all);
	free(all);
	return merged;
}
