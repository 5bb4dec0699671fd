/* entry: one question and, when it is done, its answer. Counted; shared by the cache, the resolver and the lookups that
 * wait for it. */
#ifndef MAILREEVE_DNS_ENTRY_H
#define MAILREEVE_DNS_ENTRY_H

#include "lib/dns/dns.h"

#include <pthread.h>
#include <stdatomic.h>

/* A question of a lookups object, in the list of the entry that it waits for. */
struct dns_waiter {
	struct dns_waiter *next;
	struct lookups *lookups;
	bool queued; /* it was put in the list; the entry may have been done since */
};

struct dns_entry {
	atomic_uint references;
	_Atomic bool done; /* release: answer is final and never changes again */
	enum dns_type type;
	uint32_t hash;
	const char *name;
	struct arena *arena; /* of everything below, and of name */
	struct dns_answer answer;
	uint64_t expires; /* clock_now() value */

	/* Guarded by the stripe of the cache: */
	struct dns_waiter *waiters;
	struct dns_entry *chain;         /* hash chain */
	struct dns_entry *newer, *older; /* LRU */
	bool linked;
	size_t bytes;

	/* The resolver's: */
	struct dns_resolver *resolver;
	struct dns_entry *queue_next, *queue_previous;
	uint64_t deadline;
	int async_id;
};

struct dns_entry *dns_entry_create(const char *name, enum dns_type type);
struct dns_entry *dns_entry_acquire(struct dns_entry *entry);
void dns_entry_release(struct dns_entry *entry); /* takes NULL */

/* Fill entry->answer of an entry that is not done yet; then publish it (dns_cache_complete(), or .done for one that
 * nobody else has). */
void dns_entry_set_temporary(struct dns_entry *entry, const char *problem);
void dns_entry_set_negative(struct dns_entry *entry, enum dns_status status, uint32_t ttl, bool secure);
/* DNS_TEMPORARY when a record cannot be read or all of them are too much; DNS_NODATA for none. */
void dns_entry_set_records(struct dns_entry *entry, const struct slice *rdata, size_t count, uint32_t ttl, bool secure);

/* Tells the waiting lookups object that an answer has come. */
void lookups_notify(struct lookups *lookups);

#endif
