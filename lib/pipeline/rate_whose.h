/* rate_whose: whose bucket a transaction draws from, by a rule of rate.limits. For stage_rate.c. */
#ifndef MAILREEVE_PIPELINE_RATE_WHOSE_H
#define MAILREEVE_PIPELINE_RATE_WHOSE_H

#include "lib/pipeline/session.h"
#include "lib/policy/rate_rule.h"

/* rate { } */
struct rate_settings {
	struct rate_rules limits;
	struct option_networks exempt_networks;
	uint64_t rows_max;
};

enum whose {
	WHOSE_NOBODY, /* the rule does not concern the transaction */
	WHOSE_LATER,  /* SPF, or the client behind an upstream relay, is not known yet */
	WHOSE_KNOWN
};

/* recipient: index, for rules about recipients. WHOSE_KNOWN: *name_r, in the session's arena. */
enum whose rate_whose(struct session *session, const struct rate_settings *settings, const struct rate_rule *rule,
                      size_t recipient, const char **name_r);

/* For the direction of the transaction? */
bool rate_rule_holds(const struct session *session, const struct rate_rule *rule);

/* A rule for one by name stands in place of the rules for each: does one stand in place of this? */
bool rate_rule_replaced(struct session *session, const struct rate_settings *settings, const struct rate_rule *rule,
                        size_t recipient);

/* What a window remembers, "" for a bucket; NULL: nothing is known. */
const char *rate_value_seen(struct session *session, const struct rate_rule *rule, size_t recipient);

#endif
