#include "lib/policy/policy.h"

#include <string.h>

enum action_kind policy_effective(const struct config *config, enum direction direction,
                                  const struct finding_code *code)
{
	enum action_kind kind = config_action(config, direction, code).kind;
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

void policy_judge(const struct config *config, enum direction direction, struct finding *const *findings, size_t count,
                  int recipient, const char *support_id, struct arena *arena, struct verdict *verdict_r)
{
	enum action_kind strictest = ACTION_IGNORE;
	*verdict_r = (struct verdict){.action = VERDICT_ACCEPT};
	for (size_t i = 0; i < count; i++) {
		struct finding *finding = findings[i];
		if (recipient != FINDING_ALL_RECIPIENTS && finding->recipient != FINDING_ALL_RECIPIENTS &&
		    finding->recipient != recipient) {
			continue;
		}
		finding->action = config_action(config, direction, finding->code);
		enum action_kind kind = finding->effective = policy_effective(config, direction, finding->code);
		if (kind == ACTION_SCORE) {
			verdict_r->score += finding->action.score;
		} else if (kind > strictest) {
			strictest = kind;
			verdict_r->reason = finding;
		}
	}
	verdict_r->action = policy_verdict_action(strictest);
	switch (verdict_r->action) {
	case VERDICT_ACCEPT:
	case VERDICT_TAG:
	case VERDICT_DISCARD:
		break;
	case VERDICT_QUARANTINE:
	case VERDICT_TEMPFAIL:
	case VERDICT_REJECT:
		policy_reply(support_id, arena, verdict_r);
		break;
	}
}
