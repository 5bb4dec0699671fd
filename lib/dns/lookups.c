#include "lib/base/clock.h"
#include "lib/dns/name.h"
#include "lib/dns/source.h"

#include <stdlib.h>

enum { LOOKUPS_MAX = 2000 };

struct lookup {
	struct lookup *next; /* in order of asking */
	struct dns_waiter waiter;
	struct dns_entry *entry;
	const struct dns_answer *answer; /* what the session was told: it never changes once it is set */
	uint64_t started, took;
};

struct lookups {
	struct dns *dns;
	struct lookup *first, **last;
	struct lookup *kept; /* the last one of the connection; NULL: none is */
	size_t count;
	const char *expired; /* problem of every question that has no answer, or NULL */
	struct dns_answer expired_answer;
	pthread_mutex_t lock; /* guards arrived */
	pthread_cond_t changed;
	uint64_t arrived;
};

static const struct dns_answer no_such_name = {.status = DNS_NXDOMAIN, .ttl = 3600};
static const struct dns_answer too_many = {.status = DNS_TEMPORARY, .problem = "too many lookups for one message"};

struct lookups *lookups_create(struct dns *dns)
{
	struct lookups *lookups = calloc(1, sizeof *lookups);
	if (lookups == NULL) {
		abort();
	}
	lookups->dns = dns;
	lookups->last = &lookups->first;
	pthread_mutex_init(&lookups->lock, NULL);
	pthread_cond_init(&lookups->changed, NULL);
	return lookups;
}

static void lookup_free(struct lookups *lookups, struct lookup *lookup)
{
	if (lookups->dns->cache != NULL) {
		dns_cache_leave(lookups->dns->cache, lookup->entry, &lookup->waiter);
	}
	dns_entry_release(lookup->entry);
	free(lookup);
	lookups->count--;
}

/* Frees all behind `keep` (NULL: all). */
static void lookups_drop(struct lookups *lookups, struct lookup *keep)
{
	struct lookup **from = keep == NULL ? &lookups->first : &keep->next;
	struct lookup *lookup = *from;
	*from = NULL;
	lookups->last = from;
	while (lookup != NULL) {
		struct lookup *next = lookup->next;
		lookup_free(lookups, lookup);
		lookup = next;
	}
}

void lookups_destroy(struct lookups *lookups)
{
	if (lookups == NULL) {
		return;
	}
	lookups_drop(lookups, NULL);
	pthread_cond_destroy(&lookups->changed);
	pthread_mutex_destroy(&lookups->lock);
	free(lookups);
}

void lookups_notify(struct lookups *lookups)
{
	pthread_mutex_lock(&lookups->lock);
	lookups->arrived++;
	pthread_cond_signal(&lookups->changed);
	pthread_mutex_unlock(&lookups->lock);
}

/* The answer as this session sees it. One that came after expiry does not count any more: results stay the same. */
static const struct dns_answer *lookup_answer(struct lookups *lookups, struct lookup *lookup)
{
	if (lookup->answer == NULL && lookups->expired != NULL) {
		lookup->answer = &lookups->expired_answer;
		lookup->took = clock_now() - lookup->started;
	} else if (lookup->answer == NULL && atomic_load_explicit(&lookup->entry->done, memory_order_acquire)) {
		lookup->answer = &lookup->entry->answer;
		lookup->took = clock_now() - lookup->started;
	}
	return lookup->answer;
}

static struct lookup *lookups_find(struct lookups *lookups, const char *name, enum dns_type type)
{
	struct lookup *lookup = lookups->first;
	while (lookup != NULL && (lookup->entry->type != type || strcmp(lookup->entry->name, name) != 0)) {
		lookup = lookup->next;
	}
	return lookup;
}

static struct lookup *lookups_start(struct lookups *lookups, const char *name, enum dns_type type)
{
	struct dns *dns = lookups->dns;
	struct lookup *lookup = calloc(1, sizeof *lookup);
	bool ask = false;
	if (lookup == NULL) {
		abort();
	}
	lookup->waiter.lookups = lookups;
	lookup->started = clock_now();
	*lookups->last = lookup;
	lookups->last = &lookup->next;
	lookups->count++;
	if (dns->zone != NULL) {
		lookup->entry = dns_entry_create(name, type);
		dns_zone_answer(dns->zone, lookup->entry);
		atomic_store(&lookup->entry->done, true);
		return lookup;
	}
	lookup->entry = dns_cache_get(dns->cache, name, type, &lookup->waiter, &ask);
	if (ask) {
		dns_resolver_ask(dns->resolver, lookup->entry);
	}
	return lookup;
}

const struct dns_answer *lookups_get(struct lookups *lookups, const char *name, enum dns_type type)
{
	char text[DNS_MAX_NAME_TEXT];
	if (!dns_name_normalise(slice_from(name), text)) {
		return &no_such_name;
	}
	struct lookup *lookup = lookups_find(lookups, text, type);
	if (lookup == NULL) {
		if (lookups->expired != NULL) {
			return &lookups->expired_answer;
		}
		if (lookups->count >= LOOKUPS_MAX) {
			return &too_many;
		}
		lookup = lookups_start(lookups, text, type);
	}
	return lookup_answer(lookups, lookup);
}

const struct dns_answer *lookups_peek(struct lookups *lookups, const char *name, enum dns_type type)
{
	char text[DNS_MAX_NAME_TEXT];
	if (!dns_name_normalise(slice_from(name), text)) {
		return &no_such_name;
	}
	struct lookup *lookup = lookups_find(lookups, text, type);
	return lookup == NULL ? NULL : lookup_answer(lookups, lookup);
}

size_t lookups_pending(struct lookups *lookups)
{
	size_t n = 0;
	for (struct lookup *lookup = lookups->first; lookup != NULL; lookup = lookup->next) {
		n += lookup_answer(lookups, lookup) == NULL;
	}
	return n;
}

/* How many questions have no answer that the session has seen. */
static size_t lookups_unseen(const struct lookups *lookups)
{
	size_t n = 0;
	for (const struct lookup *lookup = lookups->first; lookup != NULL; lookup = lookup->next) {
		n += lookup->answer == NULL;
	}
	return n;
}

bool lookups_wait(struct lookups *lookups, uint64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	for (;;) {
		pthread_mutex_lock(&lookups->lock);
		uint64_t arrived = lookups->arrived;
		pthread_mutex_unlock(&lookups->lock);
		size_t unseen = lookups_unseen(lookups);
		size_t pending = lookups_pending(lookups);
		if (pending == 0 || pending < unseen) {
			return true;
		}
		int error = 0;
		pthread_mutex_lock(&lookups->lock);
		while (lookups->arrived == arrived && error == 0) {
			error = pthread_cond_clockwait(&lookups->changed, &lookups->lock, CLOCK_MONOTONIC, &until);
		}
		pthread_mutex_unlock(&lookups->lock);
		if (error != 0) {
			return lookups_pending(lookups) < unseen;
		}
	}
}

void lookups_expire(struct lookups *lookups, const char *problem)
{
	lookups_pending(lookups); /* answers that have come by now count */
	lookups->expired_answer = (struct dns_answer){.status = DNS_TEMPORARY, .problem = problem};
	lookups->expired = problem;
}

void lookups_mark(struct lookups *lookups)
{
	lookups->kept = NULL;
	for (struct lookup *lookup = lookups->first; lookup != NULL; lookup = lookup->next) {
		lookups->kept = lookup;
	}
}

void lookups_reset(struct lookups *lookups)
{
	lookups_drop(lookups, lookups->kept);
	lookups->expired = NULL;
	for (struct lookup *lookup = lookups->first; lookup != NULL; lookup = lookup->next) {
		if (lookup->answer == &lookups->expired_answer) {
			lookup->answer = NULL;
		}
	}
}

void lookups_each(struct lookups *lookups, lookups_visitor *visit, void *context)
{
	for (struct lookup *lookup = lookups->first; lookup != NULL; lookup = lookup->next) {
		visit(context, lookup->entry->name, lookup->entry->type, lookup_answer(lookups, lookup), lookup->took);
	}
}
