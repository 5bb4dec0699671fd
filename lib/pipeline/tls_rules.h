/* tls_rules: which mail has to come by TLS, and by which version at least. */
#ifndef MAILREEVE_PIPELINE_TLS_RULES_H
#define MAILREEVE_PIPELINE_TLS_RULES_H

#include "lib/base/arena.h"
#include "lib/base/ip.h"
#include "lib/base/slice.h"

/* A protocol version, in the order of age. */
enum tls_version {
	TLS_NONE,    /* no TLS at all */
	TLS_UNKNOWN, /* a word that is no version: older than any that a rule can ask for */
	TLS_SSL,
	TLS_1_0,
	TLS_1_1,
	TLS_1_2,
	TLS_1_3,
	TLS_NEWER
};

/* As MTAs write it: "TLSv1" (1.0), "TLSv1.3", "TLS1_2", "SSLv3"; "" and "none": TLS_NONE. */
enum tls_version tls_version_parse(struct slice text);
const char *tls_version_name(enum tls_version version); /* "TLSv1.2" */

/* What a rule asks for. */
enum tls_demand_kind {
	TLS_DEMAND_NOTHING,
	TLS_DEMAND_DEFAULT, /* TLS, of tls.minimum_version */
	TLS_DEMAND_VERSION  /* of .version at least */
};
struct tls_demand {
	enum tls_demand_kind kind;
	enum tls_version version;
};

/* Elements "DOMAIN [VERSION]" or "NETWORK [VERSION]"; VERSION: TLSv1.2 and so on, any (of whatever version), or none
 * (TLS is not needed: an exception from a wider rule). */
struct tls_domain_rules {
	size_t count;
	const struct tls_domain_rule {
		const char *pattern; /* domain_pattern() */
		struct tls_demand demand;
	} * items;
};
struct tls_network_rules {
	size_t count;
	const struct tls_network_rule {
		struct ip_network network;
		struct tls_demand demand;
	} * items;
};

/* option_parser (policy/option.h), for struct tls_domain_rules and struct tls_network_rules. */
bool tls_domains_parse(struct arena *arena, const char *const *values, size_t count, void *rules_r,
                       const char **expected_r);
bool tls_networks_parse(struct arena *arena, const char *const *values, size_t count, void *rules_r,
                        const char **expected_r);

/* Of the rule that names it most closely; of two equal ones the first. */
struct tls_demand tls_domains_demand(const struct tls_domain_rules *rules, const char *domain);
struct tls_demand tls_networks_demand(const struct tls_network_rules *rules, const struct ip *client);

/* Has the cipher one of these words in its name, in letters of either case? NULL, or the word. */
const char *tls_cipher_weak(const char *cipher, const char *const *words);

#endif
