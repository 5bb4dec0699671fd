/* policy: from findings to a verdict. Pure: the same findings and snapshot give the same verdict. */
#ifndef MAILREEVE_POLICY_POLICY_H
#define MAILREEVE_POLICY_POLICY_H

#include "lib/base/arena.h"
#include "lib/policy/config.h"
#include "lib/policy/verdict.h"

/* What a finding of that code comes to under its stage's mode. */
enum action_kind policy_effective(const struct config *config, enum direction direction,
                                  const struct finding_code *code);

/* Judges for one recipient (index), or for all in common (FINDING_ALL_RECIPIENTS: every finding counts). Sets .action
 * and .effective of each finding it looks at. support_id goes into verdict_r->text. */
void policy_judge(const struct config *config, enum direction direction, struct finding *const *findings, size_t count,
                  int recipient, const char *support_id, struct arena *arena, struct verdict *verdict_r);

#endif
