#include "lib/pipeline/pipeline.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

static bool stage_runs(const struct session *session, size_t i)
{
	const struct stage *stage = stages[i];
	bool wanted = session->direction == DIRECTION_INBOUND ? stage->inbound : stage->outbound;
	wanted = wanted && (session->release == NULL || stage->released);
	return wanted && config_mode(session->config, SECTION_FIRST_STAGE + i) != MODE_OFF;
}

bool pipeline_runs(const struct session *session, const struct stage *stage)
{
	for (size_t i = 0; i < stages_count; i++) {
		if (stages[i] == stage) {
			return stage_runs(session, i);
		}
	}
	return false;
}

enum stage_mode pipeline_mode(const struct session *session, const struct stage *stage)
{
	size_t i = 0;
	while (stages[i] != stage) {
		i++;
	}
	return config_mode(session->config, SECTION_FIRST_STAGE + i);
}

/* For who has asked for level debug of a stage. */
static void stage_tell(const struct session *session, const struct stage *stage, enum phase phase, enum stage_progress progress,
                       uint64_t took_ns)
{
	static const char *const names[PHASE_COUNT] = {[PHASE_CONNECT] = "connect",   [PHASE_HELO] = "HELO",
	                                               [PHASE_MAIL] = "MAIL",         [PHASE_RCPT] = "RCPT",
	                                               [PHASE_REJECTED] = "rejected", [PHASE_HEADERS] = "headers",
	                                               [PHASE_END] = "end"};
	struct arena *arena = arena_create(256);
	log_debug("%s: %s at %s: %s, %llu us", text_escape(arena, slice_from(session->queue_id), " :", false, 64),
	          stage->section.name, names[phase], progress == STAGE_DONE ? "done" : "waits", (unsigned long long)(took_ns / 1000));
	arena_destroy(arena);
}

static enum stage_progress stage_call(struct session *session, size_t i, enum phase phase)
{
	uint64_t start = clock_now();
	const void *settings = config_settings(session->config, SECTION_FIRST_STAGE + i);
	log_enter(i);
	enum stage_progress progress = stages[i]->on[phase](session, settings);
	uint64_t took = clock_now() - start;
	session->stage_ns[i] += took;
	if (log_wants(LOG_LEVEL_DEBUG)) {
		stage_tell(session, stages[i], phase, progress, took);
	}
	log_leave();
	return progress;
}

void pipeline_advance(struct session *session, enum phase phase)
{
	for (size_t i = 0; i < stages_count; i++) {
		if (stages[i]->on[phase] != NULL && stage_runs(session, i)) {
			stage_call(session, i, phase);
		}
	}
}

/* One pass over the stages that are not done. Returns how many are left; *progress_r: did one finish? A stage that
 * finished may be what another waits for. */
static size_t pipeline_pass(struct session *session, bool *progress_r)
{
	size_t left = 0;
	*progress_r = false;
	session->wake_at = 0; /* who still waits says so again */
	for (size_t i = 0; i < stages_count; i++) {
		uint32_t bit = UINT32_C(1) << i;
		if ((session->stages_done & bit) != 0) {
			continue;
		}
		if (stages[i]->on[PHASE_END] == NULL || !stage_runs(session, i) ||
		    stage_call(session, i, PHASE_END) == STAGE_DONE) {
			session->stages_done |= bit;
			*progress_r = true;
		} else {
			left++;
		}
	}
	return left;
}

/* For an answer, or until a stage wants to be called. False: the deadline has passed. */
static bool pipeline_wait(struct session *session, uint64_t deadline)
{
	bool early = session->wake_at != 0 && session->wake_at < deadline;
	if (lookups_wait(session->lookups, early ? session->wake_at : deadline) || early) {
		return true;
	}
	lookups_expire(session->lookups, "deadline");
	return false;
}

bool pipeline_finish(struct session *session)
{
	const struct dns_options *dns = config_settings(session->config, SECTION_DNS);
	uint64_t deadline = clock_now() + dns->deadline;
	uint64_t waited = 0;
	bool expired = false;
	bool progress;
	if (deadline > session->deadline) {
		deadline = session->deadline;
	}
	session->stages_done = 0;
	for (;;) {
		if (pipeline_pass(session, &progress) == 0) {
			meter_dns_wait(engine_meter(session->engine), waited);
			return true;
		}
		if (progress) {
			continue;
		}
		if (lookups_pending(session->lookups) > 0) {
			uint64_t start = clock_now();
			expired = !pipeline_wait(session, deadline) || expired;
			waited += clock_now() - start;
			continue;
		}
		/* Nothing moves any more. A stage may have read its last answer in this very pass and wait for one before it
		 * in the table: one more round tells. */
		pipeline_pass(session, &progress);
		if (!progress && lookups_pending(session->lookups) == 0) {
			log_error("%s: the pipeline stands still%s", session->queue_id, expired ? " after the DNS deadline" : "");
			return false;
		}
	}
}
