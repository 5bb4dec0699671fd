/* source: the two kinds of struct dns. */
#ifndef MAILREEVE_DNS_SOURCE_H
#define MAILREEVE_DNS_SOURCE_H

#include "lib/dns/cache.h"

struct dns_resolver;
struct dns_zone;

struct dns {
	struct dns_cache *cache;       /* NULL for a zone: its answers cost no more than a hit */
	struct dns_resolver *resolver; /* one of the two is set */
	struct dns_zone *zone;
};

/* Starts the thread. It answers into the cache. */
struct dns_resolver *dns_resolver_start(const struct dns_settings *settings, struct dns_cache *cache, char **error_r);
void dns_resolver_stop(struct dns_resolver *resolver); /* takes NULL */
/* Hands over an entry that is new in the cache; takes a reference of its own. */
void dns_resolver_ask(struct dns_resolver *resolver, struct dns_entry *entry);
bool dns_resolver_alive(struct dns_resolver *resolver, uint64_t deadline);
size_t dns_resolver_pending(struct dns_resolver *resolver);

struct dns_zone *dns_zone_load(const char *path, char **error_r);
struct dns_zone *dns_zone_load_text(struct slice text, char **error_r);
void dns_zone_destroy(struct dns_zone *zone); /* takes NULL */
/* Sets the answer of the entry. */
void dns_zone_answer(const struct dns_zone *zone, struct dns_entry *entry);

#endif
