/* session_stages: what stages say to their session: findings and edits. */
#include "lib/pipeline/session.h"
#include "lib/pipeline/stages.h"
#include "lib/pipeline/verdict_line.h"

enum { DETAIL_MAX = 300 }; /* bytes of a finding's detail and reply */

static struct finding *finding_create(struct session *session, const struct finding_code *code, const char *detail,
                                      const char *reply)
{
	struct finding *finding = arena_alloc(session->arena, sizeof *finding);
	*finding = (struct finding){
		.code = code,
		.detail = text_escape(session->arena, slice_from(detail), "", true, DETAIL_MAX),
		.reply = reply == NULL ? NULL : text_escape(session->arena, slice_from(reply), "", false, DETAIL_MAX),
		.recipient = FINDING_ALL_RECIPIENTS,
		.level = POLICY_GLOBAL,
	};
	struct policy_context context = session_policy(session);
	policy_begin(&context, finding);
	verdict_line_debug(session, finding);
	return finding;
}

static void finding_add(struct session *session, struct finding *finding)
{
	session->findings = arena_grow(session->arena, session->findings, sizeof(struct finding *), session->finding_count,
	                               &session->finding_capacity);
	session->findings[session->finding_count++] = finding;
}

/* The newest of those for all that is not enforced, or NULL. */
static struct finding **finding_to_drop(struct session *session)
{
	for (size_t i = session->finding_count; i > 0; i--) {
		const struct finding *finding = session->findings[i - 1];
		if (finding->recipient == FINDING_ALL_RECIPIENTS && (finding->code->traits & FINDING_ENFORCED) == 0) {
			return &session->findings[i - 1];
		}
	}
	return NULL;
}

struct finding *session_find(struct session *session, const struct finding_code *code, const char *detail,
                             const char *reply)
{
	struct finding *finding = finding_create(session, code, detail, reply);
	if (session->common_count < SESSION_MAX_FINDINGS) {
		session->common_count++;
		finding_add(session, finding);
		return finding;
	}
	struct finding **place = (code->traits & FINDING_ENFORCED) != 0 ? finding_to_drop(session) : NULL;
	if (place != NULL) {
		*place = finding;
	}
	return finding;
}

struct finding *session_find_for(struct session *session, size_t recipient, const struct finding_code *code,
                                 const char *detail, const char *reply)
{
	struct finding *finding = finding_create(session, code, detail, reply);
	finding->recipient = (int)recipient;
	finding_add(session, finding);
	return finding;
}

bool session_found_before(const struct session *session, size_t index, enum action_kind least)
{
	for (size_t i = 0; i < index; i++) {
		if (session->findings[i]->code == session->findings[index]->code && session->findings[i]->effective >= least) {
			return true;
		}
	}
	return false;
}

void session_wake(struct session *session, uint64_t at)
{
	session->wake_at = session->wake_at == 0 || at < session->wake_at ? at : session->wake_at;
}

static bool stage_may_edit(const struct session *session, const struct stage *stage)
{
	for (size_t i = 0; i < stages_count; i++) {
		if (stages[i] == stage) {
			return config_mode(session->config, SECTION_FIRST_STAGE + i) >= MODE_TAG;
		}
	}
	return false;
}

void session_edit_add(struct session *session, struct edit edit)
{
	session->edits = arena_grow(session->arena, session->edits, sizeof *session->edits, session->edit_count,
	                            &session->edit_capacity);
	session->edits[session->edit_count++] = edit;
}

bool session_edit(struct session *session, const struct stage *stage, enum edit_kind kind, const char *name,
                  const char *value, size_t index)
{
	bool may = stage_may_edit(session, stage);
	if (may) {
		session_edit_add(session, (struct edit){kind, name, value, index});
	}
	return may;
}
