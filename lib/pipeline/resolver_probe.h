/* resolver_probe: does the resolver answer? Known from what mail asks, or by a question of our own. */
#ifndef MAILREEVE_PIPELINE_RESOLVER_PROBE_H
#define MAILREEVE_PIPELINE_RESOLVER_PROBE_H

#include "lib/dns/dns.h"

struct resolver_probe;
struct resolver_probe *resolver_probe_create(struct dns *dns); /* dns outlives it */
void resolver_probe_destroy(struct resolver_probe *probe);     /* takes NULL */

struct resolver_state {
	bool known;        /* something was asked */
	bool good;         /* the last thing known: it answers */
	uint64_t good_age; /* nanoseconds since it was seen to answer, if ever */
	char problem[64];  /* where it does not */
};

/* Where nothing was seen to be answered within the last max_age_ns, asks for a name below `domain` that no cache knows
 * ("": asks nothing), and waits for it wait_ns at most; of several callers at once one asks, and the others are told
 * what was known before. */
void resolver_probe_ask(struct resolver_probe *probe, const char *domain, uint64_t max_age_ns, uint64_t wait_ns,
                        struct resolver_state *state_r);

#endif
