#include "lib/pipeline/rejudge.h"

#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <string.h>

static const struct finding_code *find_code(const char *name)
{
	for (size_t i = 0; i < stages_count; i++) {
		for (const struct finding_code *code = stages[i]->section.codes; code->code != NULL; code++) {
			if (strcmp(code->code, name) == 0) {
				return code;
			}
		}
	}
	return NULL;
}

static enum direction direction_of(const struct history_message *message)
{
	return strcmp(message->direction, direction_name(DIRECTION_OUTBOUND)) == 0 ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
}

static enum action_kind kind_of(const char *name)
{
	for (enum action_kind kind = ACTION_IGNORE; kind <= ACTION_REJECT; kind++) {
		if (strcmp(action_kind_name(kind), name) == 0) {
			return kind;
		}
	}
	return ACTION_IGNORE;
}

static struct config_scope scope_of(const struct rejudge *rejudge, const struct config *config, size_t index)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	struct address address;
	if (!address_parse_path(rejudge->arena, rejudge->message->recipients[index].address, &address)) {
		return (struct config_scope){NULL, NULL};
	}
	return config_scope(config, &address, globals->recipient_delimiter);
}

/* Has an operator written an action for the code that concerned a recipient? */
static bool was_given(const struct rejudge *rejudge, const struct finding_code *code)
{
	enum direction direction = direction_of(rejudge->message);
	bool given = config_rule(rejudge->config, direction, code, NULL).given;
	for (size_t i = 0; i < rejudge->message->recipients_given && !given && direction == DIRECTION_INBOUND; i++) {
		struct config_scope scope = scope_of(rejudge, rejudge->config, i);
		given = config_rule(rejudge->config, direction, code, &scope).given;
	}
	return given;
}

static struct finding *make_finding(const struct rejudge *rejudge, const struct history_finding *row)
{
	const struct finding_code *code = find_code(row->code);
	if (code == NULL) {
		return NULL;
	}
	struct finding *finding = arena_alloc(rejudge->arena, sizeof *finding);
	enum action_kind kind = kind_of(row->action);
	*finding = (struct finding){.code = code,
	                            .detail = row->detail,
	                            .recipient = row->recipient == HISTORY_ALL_RECIPIENTS ? FINDING_ALL_RECIPIENTS : (int)row->recipient,
	                            .level = POLICY_GLOBAL,
	                            .lifted = kind != ACTION_IGNORE && !row->would && strcmp(row->effective, action_kind_name(ACTION_IGNORE)) == 0};
	if (kind != code->fallback.kind && !was_given(rejudge, code)) {
		struct action *own = arena_alloc(rejudge->arena, sizeof *own);
		own->kind = kind;
		finding->own = own;
	}
	return finding;
}

static void judge(const struct rejudge *rejudge, const struct config *config, struct finding *const *findings, size_t count,
                  size_t index, struct verdict *verdict_r)
{
	const struct policy_context context = {.config = config,
	                                       .direction = direction_of(rejudge->message),
	                                       .scores = config_settings(config, SECTION_SCORES),
	                                       .support_id = rejudge->message->support_id,
	                                       .arena = rejudge->arena};
	const struct policy_recipient recipient = {.index = (int)index, .scope = scope_of(rejudge, config, index)};
	for (size_t i = 0; i < count; i++) {
		policy_begin(&context, findings[i]);
	}
	policy_judge(&context, findings, count, &recipient, 0, verdict_r);
}

/* The history has the sum of all points: what the known ones leave of it is of those that findings brought with them. */
static void find_points(struct rejudge *rejudge)
{
	struct action *unknown = NULL;
	struct verdict verdict;
	for (size_t i = 0; i < rejudge->count && unknown == NULL; i++) {
		const struct action *own = rejudge->findings[i]->own;
		unknown = own != NULL && own->kind == ACTION_SCORE ? (struct action *)(uintptr_t)own : NULL;
	}
	if (unknown != NULL && rejudge->message->recipients_given > 0) {
		rejudge_verdict(rejudge, rejudge->config, 0, &verdict);
		unknown->score = rejudge->message->score - verdict.score;
	}
}

void rejudge_begin(struct rejudge *rejudge_r, struct arena *arena, const struct config *config,
                   const struct history_message *message)
{
	*rejudge_r = (struct rejudge){.arena = arena, .message = message, .config = config};
	rejudge_r->findings = arena_alloc(arena, (message->findings_given + 1) * sizeof *rejudge_r->findings);
	for (size_t i = 0; i < message->findings_given; i++) {
		struct finding *finding = make_finding(rejudge_r, &message->findings[i]);
		if (finding != NULL) {
			rejudge_r->findings[rejudge_r->count++] = finding;
		}
	}
	find_points(rejudge_r);
}

void rejudge_verdict(const struct rejudge *rejudge, const struct config *config, size_t index, struct verdict *verdict_r)
{
	enum direction direction = direction_of(rejudge->message);
	struct finding **acting = arena_alloc(rejudge->arena, (rejudge->count + 1) * sizeof *acting);
	size_t count = 0;
	for (size_t i = 0; i < rejudge->count; i++) {
		struct finding *copy = arena_alloc(rejudge->arena, sizeof *copy);
		*copy = *rejudge->findings[i];
		if (!copy->lifted || config_rule(config, direction, copy->code, NULL).enforced) {
			acting[count++] = copy;
		}
	}
	judge(rejudge, config, acting, count, index, verdict_r);
}
