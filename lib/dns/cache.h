/* cache: answers by question, bounded in bytes, in stripes with a lock each. A question under way is in it too, so equal
 * questions share one. Lock order: stripe, then the lock of a lookups object. */
#ifndef MAILREEVE_DNS_CACHE_H
#define MAILREEVE_DNS_CACHE_H

#include "lib/dns/entry.h"

struct dns_cache;

struct dns_cache *dns_cache_create(const struct dns_settings *settings);
void dns_cache_destroy(struct dns_cache *cache); /* takes NULL */

/* The entry for the question, referenced for the caller. *ask_r: it is new, and the caller must have it answered. When
 * it is not done, waiter is put in its list. */
struct dns_entry *dns_cache_get(struct dns_cache *cache, const char *name, enum dns_type type, struct dns_waiter *waiter,
                                bool *ask_r);
/* Publishes the answer that was set in the entry and wakes who waits. keep: may be given to later questions. */
void dns_cache_complete(struct dns_cache *cache, struct dns_entry *entry, bool keep);
/* Takes the waiter out of the entry's list, where it still is in it. */
void dns_cache_leave(struct dns_cache *cache, struct dns_entry *entry, struct dns_waiter *waiter);
/* Adds to statistics_r. */
void dns_cache_count(struct dns_cache *cache, struct dns_statistics *statistics_r);

#endif
