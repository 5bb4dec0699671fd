/* policy: from findings to a verdict. Pure: the same findings and snapshot give the same verdict.
 *
 * Precedence: enforced global > enforced domain > user > domain > global. An allow entry lifts what is not enforced and
 * is no rule of a more specific level than its own. */
#ifndef MAILREEVE_POLICY_POLICY_H
#define MAILREEVE_POLICY_POLICY_H

#include "lib/base/arena.h"
#include "lib/policy/config.h"
#include "lib/policy/scores.h"
#include "lib/policy/verdict.h"

/* What a finding of that code comes to under its stage's mode, where no domain or user block says otherwise. */
enum action_kind policy_effective(const struct config *config, enum direction direction,
                                  const struct finding_code *code);

struct policy_context {
	const struct config *config;
	enum direction direction;
	const struct scores *scores;
	const char *support_id; /* goes into verdict_r->text */
	struct arena *arena;
};

struct policy_recipient {
	int index;                 /* in session->recipients, or FINDING_ALL_RECIPIENTS where there is none */
	struct config_scope scope; /* its domain's and its own block */
	enum policy_level allow;   /* the level of the allow entry that acts for it, POLICY_NONE: none does */
	bool forced;               /* the administrator releases it: enforced findings are lifted too */
};

/* For a new finding: as if no recipient had been judged. */
void policy_begin(const struct policy_context *context, struct finding *finding);

/* Judges for one recipient. traits: only findings whose code has all of these; 0: every finding. In each finding it
 * looks at it raises .action and .effective to what they are for this recipient, and sets .lifted. */
void policy_judge(const struct policy_context *context, struct finding *const *findings, size_t count,
                  const struct policy_recipient *recipient, unsigned traits, struct verdict *verdict_r);

#endif
