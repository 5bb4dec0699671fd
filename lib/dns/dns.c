#include "lib/base/clock.h"
#include "lib/dns/source.h"

#include <stdlib.h>

void dns_settings_default(struct dns_settings *settings_r)
{
	*settings_r = (struct dns_settings){
		.timeout_ns = 10 * CLOCK_NS_PER_S,
		.cache_bytes = (size_t)32 << 20,
		.ttl_max = 86400,
		.ttl_negative_max = 3600,
		.pending_max = 2000,
	};
}

struct dns *dns_open_resolver(const struct dns_settings *settings, char **error_r)
{
	struct dns *dns = calloc(1, sizeof *dns);
	if (dns == NULL) {
		abort();
	}
	dns->cache = dns_cache_create(settings);
	dns->resolver = dns_resolver_start(settings, dns->cache, error_r);
	if (dns->resolver == NULL) {
		dns_close(dns);
		return NULL;
	}
	return dns;
}

/* zone NULL: it could not be loaded. */
static struct dns *dns_from_zone(struct dns_zone *zone)
{
	struct dns *dns = zone == NULL ? NULL : calloc(1, sizeof *dns);
	if (zone != NULL && dns == NULL) {
		abort();
	}
	if (dns != NULL) {
		dns->zone = zone;
	}
	return dns;
}

struct dns *dns_open_zone(const char *path, char **error_r)
{
	return dns_from_zone(dns_zone_load(path, error_r));
}

struct dns *dns_open_zone_text(struct slice text, char **error_r)
{
	return dns_from_zone(dns_zone_load_text(text, error_r));
}

void dns_close(struct dns *dns)
{
	if (dns == NULL) {
		return;
	}
	dns_resolver_stop(dns->resolver);
	dns_cache_destroy(dns->cache);
	dns_zone_destroy(dns->zone);
	free(dns);
}

bool dns_alive(struct dns *dns, uint64_t deadline)
{
	return dns->resolver == NULL || dns_resolver_alive(dns->resolver, deadline);
}

void dns_get_statistics(struct dns *dns, struct dns_statistics *statistics_r)
{
	*statistics_r = (struct dns_statistics){.questions = 0};
	if (dns->cache != NULL) {
		dns_cache_count(dns->cache, statistics_r);
		statistics_r->pending = dns_resolver_pending(dns->resolver);
	}
}
