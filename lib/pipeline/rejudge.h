/* rejudge: what the findings that the history has of a message come to under another configuration. Facts first, judgement
 * last: findings stay as they were found, only policy is asked again. What another option of a stage would have found,
 * or a stage that did not run, nobody knows. */
#ifndef MAILREEVE_PIPELINE_REJUDGE_H
#define MAILREEVE_PIPELINE_REJUDGE_H

#include "lib/policy/policy.h"
#include "lib/store/history.h"

/* Findings of a message, made from its rows. */
struct rejudge {
	struct arena *arena;
	const struct history_message *message;
	const struct config *config; /* that it was judged by, as far as that is known */
	struct finding **findings;
	size_t count;
};

/* The message and config are borrowed; everything else is in arena. Codes that this program does not know are left out.
 * What the history does not say is worked out from config: an action that a finding brought with it, its points, and
 * whether an allow entry has lifted it. */
void rejudge_begin(struct rejudge *rejudge_r, struct arena *arena, const struct config *config,
                   const struct history_message *message);

/* The verdict for message->recipients[index] under that configuration. What an allow entry lifted stays lifted, but where
 * the configuration enforces the code. */
void rejudge_verdict(const struct rejudge *rejudge, const struct config *config, size_t index, struct verdict *verdict_r);

#endif
