/* upstream_rules: what upstream { } says of who may deliver, and whom to believe. */
#ifndef MAILREEVE_PIPELINE_UPSTREAM_RULES_H
#define MAILREEVE_PIPELINE_UPSTREAM_RULES_H

#include "lib/policy/network_set.h"

/* One element of `guard`: "DOMAIN ...: SOURCE ...". */
struct upstream_rule {
	const char *const *domains; /* NULL-ended: canonical names, ".example.org" for all below, "*" for every domain */
	bool any;                   /* the source "any": the domains are not guarded */
	struct network_set sources;
};

struct upstream_guard {
	size_t count;
	const struct upstream_rule *rules;
	struct network_set all; /* the sources of every rule */
};

/* `trusted` */
struct upstream_trusted {
	bool guard; /* the word "guard": all that the guard names */
	struct network_set networks;
};

/* option_parser (policy/option.h), for struct upstream_guard and struct upstream_trusted. */
bool upstream_guard_parse(struct arena *arena, const char *const *values, size_t count, void *guard_r,
                          const char **expected_r);
bool upstream_trusted_parse(struct arena *arena, const char *const *values, size_t count, void *trusted_r,
                            const char **expected_r);

enum upstream_answer {
	UPSTREAM_NOT_GUARDED, /* no rule names the domain, or its sources are "any" */
	UPSTREAM_MAY_DELIVER,
	UPSTREAM_DIRECT /* the client is none of its upstream hosts */
};

/* domain: canonical, or "" for a recipient without one, which only "*" guards. Of the rules those count that name it
 * most closely: itself, then the longest ".suffix", then "*"; of several such any may let the client in. An unknown
 * client is never direct. */
enum upstream_answer upstream_guard_check(const struct upstream_guard *guard, const char *domain,
                                          const struct ip *client);

bool upstream_is_trusted(const struct upstream_trusted *trusted, const struct upstream_guard *guard,
                         const struct ip *address);

#endif
