#include "lib/dns/cache.h"

#include "lib/base/clock.h"

#include <stdlib.h>
#include <sys/random.h>

enum { STRIPES = 64, BUCKETS = 512, TEMPORARY_TTL = 5 };

struct stripe {
	pthread_mutex_t lock; /* guards all below, and what entry.h says of the entries in it */
	struct dns_entry *buckets[BUCKETS];
	struct dns_entry *newest, *oldest; /* entries that are done */
	size_t bytes;
	size_t entries;
	uint64_t questions, hits, coalesced, misses, temporary, evicted, answered, timeouts, servfail;
};

struct dns_cache {
	uint64_t seed; /* so that nobody can choose names that share a bucket */
	size_t stripe_bytes;
	uint32_t ttl_max, ttl_negative_max;
	struct stripe stripes[STRIPES];
};

struct dns_cache *dns_cache_create(const struct dns_settings *settings)
{
	struct dns_cache *cache = calloc(1, sizeof *cache);
	if (cache == NULL) {
		abort();
	}
	if (getrandom(&cache->seed, sizeof cache->seed, 0) != (ssize_t)sizeof cache->seed) {
		cache->seed = clock_now();
	}
	cache->stripe_bytes = settings->cache_bytes / STRIPES;
	cache->ttl_max = settings->ttl_max;
	cache->ttl_negative_max = settings->ttl_negative_max;
	for (size_t i = 0; i < STRIPES; i++) {
		pthread_mutex_init(&cache->stripes[i].lock, NULL);
	}
	return cache;
}

/* FNV-1a from a secret start, mixed at the end. */
static uint32_t cache_hash(const struct dns_cache *cache, const char *name, enum dns_type type)
{
	uint64_t hash = (cache->seed ^ (uint64_t)type) * UINT64_C(0x100000001b3);
	for (const char *c = name; *c != '\0'; c++) {
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	}
	hash ^= hash >> 32;
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(hash >> 32);
}

static struct stripe *cache_stripe(struct dns_cache *cache, uint32_t hash)
{
	return &cache->stripes[hash % STRIPES];
}

static struct dns_entry **stripe_bucket(struct stripe *stripe, uint32_t hash)
{
	return &stripe->buckets[hash / STRIPES % BUCKETS];
}

static void lru_add(struct stripe *stripe, struct dns_entry *entry)
{
	entry->older = stripe->newest;
	entry->newer = NULL;
	if (stripe->newest != NULL) {
		stripe->newest->newer = entry;
	} else {
		stripe->oldest = entry;
	}
	stripe->newest = entry;
}

static void lru_remove(struct stripe *stripe, struct dns_entry *entry)
{
	if (entry->newer != NULL) {
		entry->newer->older = entry->older;
	} else {
		stripe->newest = entry->older;
	}
	if (entry->older != NULL) {
		entry->older->newer = entry->newer;
	} else {
		stripe->oldest = entry->newer;
	}
}

/* Out of the cache; the cache's reference goes too. */
static void stripe_unlink(struct stripe *stripe, struct dns_entry *entry)
{
	struct dns_entry **at = stripe_bucket(stripe, entry->hash);
	while (*at != entry) {
		at = &(*at)->chain;
	}
	*at = entry->chain;
	if (atomic_load(&entry->done)) {
		lru_remove(stripe, entry);
		stripe->bytes -= entry->bytes;
	}
	stripe->entries--;
	entry->linked = false;
	dns_entry_release(entry);
}

void dns_cache_destroy(struct dns_cache *cache)
{
	if (cache == NULL) {
		return;
	}
	for (size_t i = 0; i < STRIPES; i++) {
		struct stripe *stripe = &cache->stripes[i];
		for (size_t k = 0; k < BUCKETS; k++) {
			while (stripe->buckets[k] != NULL) {
				stripe_unlink(stripe, stripe->buckets[k]);
			}
		}
		pthread_mutex_destroy(&stripe->lock);
	}
	free(cache);
}

static struct dns_entry *stripe_find(struct stripe *stripe, uint32_t hash, const char *name, enum dns_type type)
{
	struct dns_entry *entry = *stripe_bucket(stripe, hash);
	while (entry != NULL && (entry->hash != hash || entry->type != type || strcmp(entry->name, name) != 0)) {
		entry = entry->chain;
	}
	return entry;
}

static struct dns_entry *stripe_add(struct stripe *stripe, uint32_t hash, const char *name, enum dns_type type)
{
	struct dns_entry *entry = dns_entry_create(name, type);
	struct dns_entry **bucket = stripe_bucket(stripe, hash);
	entry->hash = hash;
	entry->chain = *bucket;
	*bucket = entry;
	entry->linked = true;
	stripe->entries++;
	return entry;
}

struct dns_entry *dns_cache_get(struct dns_cache *cache, const char *name, enum dns_type type,
                                struct dns_waiter *waiter, bool *ask_r)
{
	uint32_t hash = cache_hash(cache, name, type);
	struct stripe *stripe = cache_stripe(cache, hash);
	*ask_r = false;
	pthread_mutex_lock(&stripe->lock);
	stripe->questions++;
	struct dns_entry *entry = stripe_find(stripe, hash, name, type);
	if (entry != NULL && atomic_load(&entry->done) && entry->expires <= clock_now()) {
		stripe_unlink(stripe, entry);
		entry = NULL;
	}
	if (entry == NULL) {
		entry = stripe_add(stripe, hash, name, type);
		stripe->misses++;
		*ask_r = true;
	} else if (atomic_load(&entry->done)) {
		stripe->hits++;
		lru_remove(stripe, entry);
		lru_add(stripe, entry);
	} else {
		stripe->coalesced++;
	}
	dns_entry_acquire(entry);
	waiter->queued = !atomic_load(&entry->done);
	if (waiter->queued) {
		waiter->next = entry->waiters;
		entry->waiters = waiter;
	}
	pthread_mutex_unlock(&stripe->lock);
	return entry;
}

static uint32_t cache_ttl(const struct dns_cache *cache, const struct dns_answer *answer)
{
	uint32_t most = cache->ttl_negative_max;
	switch (answer->status) {
	case DNS_FOUND:
		most = cache->ttl_max;
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		break;
	case DNS_TEMPORARY:
		most = TEMPORARY_TTL;
		break;
	}
	return answer->ttl < most ? answer->ttl : most;
}

static void cache_count(struct stripe *stripe, const struct dns_answer *answer)
{
	const char *problem = answer->problem == NULL ? "" : answer->problem;
	stripe->temporary += answer->status == DNS_TEMPORARY;
	stripe->answered += answer->status != DNS_TEMPORARY;
	stripe->timeouts += strcmp(problem, "timeout") == 0;
	stripe->servfail += strcmp(problem, "SERVFAIL") == 0;
}

void dns_cache_complete(struct dns_cache *cache, struct dns_entry *entry, bool keep)
{
	struct stripe *stripe = cache_stripe(cache, entry->hash);
	pthread_mutex_lock(&stripe->lock);
	uint32_t ttl = keep ? cache_ttl(cache, &entry->answer) : 0;
	entry->expires = clock_now() + ttl * CLOCK_NS_PER_S;
	entry->bytes = sizeof *entry + arena_used(entry->arena) + 256;
	cache_count(stripe, &entry->answer);
	atomic_store_explicit(&entry->done, true, memory_order_release);
	for (struct dns_waiter *waiter = entry->waiters; waiter != NULL; waiter = waiter->next) {
		lookups_notify(waiter->lookups);
	}
	entry->waiters = NULL;
	if (entry->linked) {
		lru_add(stripe, entry);
		stripe->bytes += entry->bytes;
		if (ttl == 0) {
			stripe_unlink(stripe, entry);
		}
		while (stripe->bytes > cache->stripe_bytes && stripe->oldest != NULL) {
			stripe->evicted++;
			stripe_unlink(stripe, stripe->oldest);
		}
	}
	pthread_mutex_unlock(&stripe->lock);
}

void dns_cache_leave(struct dns_cache *cache, struct dns_entry *entry, struct dns_waiter *waiter)
{
	if (!waiter->queued) {
		return; /* a hit: no second lock */
	}
	struct stripe *stripe = cache_stripe(cache, entry->hash);
	pthread_mutex_lock(&stripe->lock);
	for (struct dns_waiter **at = &entry->waiters; *at != NULL; at = &(*at)->next) {
		if (*at == waiter) {
			*at = waiter->next;
			break;
		}
	}
	pthread_mutex_unlock(&stripe->lock);
}

void dns_cache_count(struct dns_cache *cache, struct dns_statistics *statistics_r)
{
	for (size_t i = 0; i < STRIPES; i++) {
		struct stripe *stripe = &cache->stripes[i];
		pthread_mutex_lock(&stripe->lock);
		statistics_r->questions += stripe->questions;
		statistics_r->hits += stripe->hits;
		statistics_r->coalesced += stripe->coalesced;
		statistics_r->misses += stripe->misses;
		statistics_r->temporary += stripe->temporary;
		statistics_r->evicted += stripe->evicted;
		statistics_r->answered += stripe->answered;
		statistics_r->timeouts += stripe->timeouts;
		statistics_r->servfail += stripe->servfail;
		statistics_r->entries += stripe->entries;
		statistics_r->bytes += stripe->bytes;
		pthread_mutex_unlock(&stripe->lock);
	}
}
