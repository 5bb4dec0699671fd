/* rate_rule: a limit as an operator writes it in rate.limits:
 *
 *   [inbound|outbound] SUBJECT NUMBER/PERIOD [UNIT] [burst NUMBER] [lock PERIOD]
 *
 *   client 60/1m                        each address (IPv6: each /64)
 *   network 600/1m burst 2000           each network (/24, /64)
 *   192.0.2.0/24 1000/1h                all clients of this network together
 *   sender 100/1h, sender_domain 500/1h each MAIL FROM, each domain of one
 *   newsletter@example.org 5000/1h      this MAIL FROM; @example.org: this domain
 *   user 200/1h, user:anna 1000/1h      each authenticated user, this one
 *   recipient 100/1h, recipient_domain 1000/1h   each, for each network of clients
 *   user 500/1d distinct lock 4h        different recipients; who tries more is locked
 *
 * PERIOD: 90s, 5m, 1h, 1d, or the unit alone (100/h). Words in either case; order of what follows NUMBER/PERIOD is
 * free. */
#ifndef MAILREEVE_POLICY_RATE_RULE_H
#define MAILREEVE_POLICY_RATE_RULE_H

#include "lib/base/arena.h"
#include "lib/base/ip.h"

enum rate_subject {
	RATE_CLIENT,
	RATE_NETWORK,
	RATE_SENDER,
	RATE_SENDER_DOMAIN,
	RATE_USER,
	RATE_RECIPIENT,
	RATE_RECIPIENT_DOMAIN,
	RATE_SUBJECT_COUNT
};

/* What is counted. The first four fill a bucket that empties steadily; the others are how many different ones there
 * were within the period. */
enum rate_unit {
	RATE_MESSAGES,
	RATE_RECIPIENTS,
	RATE_BYTES,
	RATE_FAILURES, /* recipients that were refused */
	RATE_DISTINCT, /* different recipients */
	RATE_NETWORKS, /* different networks of clients */
	RATE_COUNTRIES,
	RATE_UNIT_COUNT
};

struct rate_rule {
	bool inbound, outbound; /* which mail; each direction is counted by itself */
	enum rate_subject subject;
	enum rate_unit unit;
	const char *name; /* NULL: each; else this one: address, domain (canonical), user (small letters) or network */
	struct ip_network network; /* the named network */
	uint64_t amount;           /* in a period; 1 or more */
	uint64_t burst;            /* at once: amount unless given */
	uint64_t period;           /* nanoseconds */
	uint64_t lock;             /* nanoseconds; 0: nobody is locked */
	const char *text;          /* canonical form without the direction; reads back to the same */
};

struct rate_rules {
	size_t count;
	const struct rate_rule *items; /* each at most once */
};

/* False with *expected_r, a text that says what is wrong. Memory from arena. */
bool rate_rule_parse(struct arena *arena, const char *text, struct rate_rule *rule_r, const char **expected_r);
/* An option_parser; member: struct rate_rules. */
bool rate_rules_parse(struct arena *arena, const char *const *values, size_t count, void *member,
                      const char **expected_r);

const char *rate_subject_name(enum rate_subject subject); /* "sender_domain" */
const char *rate_unit_name(enum rate_unit unit);          /* "distinct" */
bool rate_unit_is_window(enum rate_unit unit);            /* distinct, networks, countries */

/* Buckets are counted in time: a full one holds rate_capacity(), n units cost rate_cost(), both in nanoseconds and at most
 * 2^62. What costs more than the capacity never fits, but for bytes: one message that is larger than the bucket takes all
 * of it. */
uint64_t rate_capacity(const struct rate_rule *rule);
uint64_t rate_cost(const struct rate_rule *rule, uint64_t n);
/* How many units are in so much time of the bucket. */
uint64_t rate_units(const struct rate_rule *rule, uint64_t ns);

#endif
