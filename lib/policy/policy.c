#include "lib/policy/policy.h"

#include <string.h>

static enum action_kind policy_under_mode(const struct config *config, const struct finding_code *code,
                                          enum action_kind kind)
{
	switch (config_mode(config, config_section_of(config, code))) {
	case MODE_OFF:
	case MODE_OBSERVE:
		return ACTION_IGNORE;
	case MODE_TAG:
		return kind > ACTION_TAG ? ACTION_TAG : kind;
	case MODE_ENFORCE:
		break;
	}
	return kind;
}

enum action_kind policy_effective(const struct config *config, enum direction direction,
                                  const struct finding_code *code)
{
	return policy_under_mode(config, code, config_action(config, direction, code).kind);
}

static enum verdict_action policy_verdict_action(enum action_kind kind)
{
	switch (kind) {
	case ACTION_IGNORE:
	case ACTION_SCORE:
		break;
	case ACTION_TAG:
		return VERDICT_TAG;
	case ACTION_QUARANTINE:
		return VERDICT_QUARANTINE;
	case ACTION_TEMPFAIL:
		return VERDICT_TEMPFAIL;
	case ACTION_DISCARD:
		return VERDICT_DISCARD;
	case ACTION_REJECT:
		return VERDICT_REJECT;
	}
	return VERDICT_ACCEPT;
}

/* Storage (RFC 3463 X.3.1 full, X.3.4 too large) has reply codes of its own, 452 and 552 (RFC 5321 4.2.3). */
static bool is_storage(const char *status)
{
	return strcmp(status, "3.1") == 0 || strcmp(status, "3.4") == 0;
}

static void policy_reply(const char *support_id, struct arena *arena, struct verdict *verdict)
{
	const struct finding *reason = verdict->reason;
	const char *text = reason->reply != NULL ? reason->reply : reason->code->reply;
	bool temporary = verdict->action == VERDICT_TEMPFAIL;
	bool storage = is_storage(reason->code->status);
	verdict->code = temporary ? (storage ? 452 : 451) : (storage ? 552 : 550);
	verdict->enhanced = arena_printf(arena, "%c.%s", temporary ? '4' : '5', reason->code->status);
	verdict->text = arena_printf(arena, "%s (support id %s)", text, support_id);
}

/* Where the operator has not named the code, the finding's own action goes before the code's default. */
static struct config_rule policy_rule(const struct policy_context *context, const struct finding *finding,
                                      const struct config_scope *scope)
{
	struct config_rule rule = config_rule(context->config, context->direction, finding->code, scope);
	if (!rule.given && finding->own != NULL) {
		rule.action = *finding->own;
	}
	return rule;
}

void policy_begin(const struct policy_context *context, struct finding *finding)
{
	finding->action = config_action(context->config, context->direction, finding->code);
	finding->effective = ACTION_IGNORE;
	finding->lifted = false;
}

static bool policy_concerns(const struct finding *finding, const struct policy_recipient *recipient, unsigned traits)
{
	return (finding->code->traits & traits) == traits &&
	       (finding->recipient == FINDING_ALL_RECIPIENTS || finding->recipient == recipient->index);
}

/* What the finding comes to for the recipient, and its points. */
static enum action_kind policy_weigh(const struct policy_context *context, struct finding *finding,
                                     const struct policy_recipient *recipient, double *score_r)
{
	const struct config_scope *scope =
		context->direction == DIRECTION_INBOUND && !finding->enforced ? &recipient->scope : NULL;
	struct config_rule rule = policy_rule(context, finding, scope);
	enum action_kind kind = policy_under_mode(context->config, finding->code, rule.action.kind);
	bool enforced = (rule.enforced || finding->enforced) && !recipient->forced;
	*score_r = rule.action.score;
	if (!enforced && recipient->allow != POLICY_NONE && finding->level <= recipient->allow) {
		finding->lifted = finding->lifted || kind != ACTION_IGNORE;
		kind = ACTION_IGNORE;
	}
	if (kind >= finding->effective) {
		finding->action = rule.action;
		finding->effective = kind;
	}
	return kind;
}

static enum action_kind policy_by_score(const struct policy_context *context, const struct policy_recipient *recipient,
                                        double score)
{
	struct scores scores = config_scores(&recipient->scope, context->scores);
	if (scores.reject > 0 && score >= scores.reject) {
		return ACTION_REJECT;
	}
	if (scores.quarantine > 0 && score >= scores.quarantine) {
		return ACTION_QUARANTINE;
	}
	return scores.tag > 0 && score >= scores.tag ? ACTION_TAG : ACTION_IGNORE;
}

static void policy_set_action(const struct policy_context *context, enum action_kind strictest, struct verdict *verdict)
{
	verdict->action = policy_verdict_action(strictest);
	switch (verdict->action) {
	case VERDICT_ACCEPT:
	case VERDICT_TAG:
	case VERDICT_DISCARD:
		break;
	case VERDICT_QUARANTINE:
	case VERDICT_TEMPFAIL:
	case VERDICT_REJECT:
		policy_reply(context->support_id, context->arena, verdict);
		break;
	}
}

void policy_judge(const struct policy_context *context, struct finding *const *findings, size_t count,
                  const struct policy_recipient *recipient, unsigned traits, struct verdict *verdict_r)
{
	enum action_kind strictest = ACTION_IGNORE;
	const struct finding *heaviest = NULL;
	double most = 0;
	*verdict_r = (struct verdict){.action = VERDICT_ACCEPT};
	for (size_t i = 0; i < count; i++) {
		double score;
		if (!policy_concerns(findings[i], recipient, traits)) {
			continue;
		}
		enum action_kind kind = policy_weigh(context, findings[i], recipient, &score);
		if (kind == ACTION_SCORE) {
			verdict_r->score += score;
			if (score > most) {
				most = score;
				heaviest = findings[i];
			}
		} else if (kind > strictest) {
			strictest = kind;
			verdict_r->reason = findings[i];
		}
	}
	enum action_kind by_score = policy_by_score(context, recipient, verdict_r->score);
	if (heaviest != NULL && by_score > strictest) {
		strictest = by_score;
		verdict_r->reason = heaviest;
		verdict_r->by_score = true;
	}
	policy_set_action(context, strictest, verdict_r);
}
