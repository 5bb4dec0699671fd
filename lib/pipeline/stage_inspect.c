/* The one request to a content worker, for all stages that need the message's bytes looked at. The only hook that
 * waits: for the worker, at most until content.deadline. DNS goes on meanwhile. */
#include "lib/base/clock.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_bayes.h"
#include "lib/pipeline/stage_dnsbl.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

enum { INSPECT_FAILED, INSPECT_POISON };

static const struct finding_code codes[] = {
	{"inspect.failed", {ACTION_TEMPFAIL, 0}, FINDING_ENFORCED, "3.0", "The message could not be inspected, please try again later",
	 "no content worker gave an answer: all busy, crashed or hung on this message, or not running"},
	{"content.poison", {ACTION_QUARANTINE, 0}, FINDING_ENFORCED, "7.0", "The message could not be inspected",
	 "content workers have crashed or hung twice on this very content: it is not given to another, and not inspected"},
	{.code = NULL},
};

static unsigned inspect_tasks(const struct session *session)
{
	unsigned tasks = 0;
	if (session->message == NULL) {
		return 0;
	}
	if (pipeline_runs(session, &stage_dkim) && session->keys.count > 0) {
		tasks |= INSPECT_DKIM;
	}
	if (session->arc_keys != NULL && session->arc_keys->any) {
		tasks |= INSPECT_ARC;
	}
	if (session->arc_sealing) {
		tasks |= INSPECT_BODY;
	}
	if (pipeline_runs(session, &stage_virus)) {
		tasks |= INSPECT_VIRUS;
	}
	if (pipeline_runs(session, &stage_mime) || pipeline_runs(session, &stage_attachment)) {
		tasks |= INSPECT_FILES;
	}
	if (dnsbl_wants_links(session)) {
		tasks |= INSPECT_URLS;
	}
	if (bayes_wants_tokens(session)) {
		tasks |= INSPECT_TOKENS;
	}
	return tasks;
}

/* Where no worker looked at the message, a signature or a chain that might be good is not a bad one. */
static void inspect_reply_failed(struct session *session, const char *problem)
{
	const struct dkim_keys *keys = &session->keys;
	struct inspect_signature *signatures = arena_alloc(session->arena, keys->count * sizeof *signatures);
	for (size_t i = 0; i < keys->count; i++) {
		signatures[i] = (struct inspect_signature){.result = AUTH_TEMPERROR,
		                                           .domain = keys->items[i].domain,
		                                           .selector = keys->items[i].selector,
		                                           .identity = "",
		                                           .algorithm = "",
		                                           .b = "",
		                                           .problem = "not verified"};
	}
	session->inspection = (struct inspect_reply){.signature_count = keys->count,
	                                             .signatures = signatures,
	                                             .virus = INSPECT_VIRUS_NOT_SCANNED,
	                                             .virus_problem = problem};
	if (session->arc_keys != NULL && session->arc_keys->any) {
		session->inspection.arc = (struct arc_verdict){.result = AUTH_TEMPERROR, .problem = "not verified"};
	}
}

/* Whose fault it may be: a worker that was busy, or not there, has not seen the message. */
static bool is_blamed(enum pool_result result)
{
	switch (result) {
	case POOL_OK:
	case POOL_BUSY:
	case POOL_DOWN:
		return false;
	case POOL_TIMEOUT:
	case POOL_CRASHED:
	case POOL_NONSENSE:
		break;
	}
	return true;
}

/* Only where content.poison may act: elsewhere each failure stays the temporary one that it may be. */
static bool inspect_poisoned(struct session *session, bool failed_now)
{
	if (pipeline_mode(session, &stage_inspect) != MODE_ENFORCE) {
		return false;
	}
	struct poison *poison = engine_poison(session->engine);
	bool is = failed_now ? poison_count(poison, session->message, clock_now())
	                     : poison_is(poison, session->message, clock_now());
	session->poison = session->poison || is;
	return is;
}

static void inspect_failed(struct session *session, enum pool_result result)
{
	const char *text = pool_result_text(result);
	session->pool_result = result;
	inspect_reply_failed(session, text);
	if (is_blamed(result) && inspect_poisoned(session, true)) {
		session_find(session, &codes[INSPECT_POISON], arena_printf(session->arena, "%s, again", text), NULL);
	} else {
		session_find(session, &codes[INSPECT_FAILED], text, NULL);
	}
}

static void inspect_ask(struct session *session, unsigned tasks)
{
	const struct content_options *content = config_settings(session->config, SECTION_CONTENT);
	uint64_t deadline = clock_now() + content->deadline;
	if (deadline > session->deadline) {
		deadline = session->deadline;
	}
	struct inspect_request request = {
		.tasks = tasks,
		.message_fd = message_fd(session->message),
		.message_size = message_size(session->message),
		.now = session->now,
		.deadline_ms = (uint32_t)clock_poll_timeout(deadline),
		.keys = &session->keys,
		.dkim = session->dkim_rules,
		.arc_keys = session->arc_keys,
	};
	enum pool_result result =
		keeper_inspect(engine_keeper(session->engine), &request, deadline, session->arena, &session->inspection);
	if (result != POOL_OK) {
		inspect_failed(session, result);
	}
}

static enum stage_progress inspect_end(struct session *session, const void *settings)
{
	(void)settings;
	bool dkim = pipeline_runs(session, &stage_dkim);
	bool arc = pipeline_runs(session, &stage_arc) && session->message != NULL;
	if ((dkim && !session->keys_known) || (arc && !session->arc_keys_known)) {
		return STAGE_PENDING;
	}
	session->inspected = true;
	if (session->message_status != MESSAGE_OK) {
		/* Too large, or no room for it, of which stage_message tells: its signatures are unknown, not missing. */
		inspect_reply_failed(session, NULL);
		session->inspection.virus = INSPECT_VIRUS_NOT_ASKED;
		return STAGE_DONE;
	}
	session->inspection = (struct inspect_reply){.virus = INSPECT_VIRUS_NOT_ASKED};
	unsigned tasks = inspect_tasks(session);
	if (tasks == 0) {
		return STAGE_DONE;
	}
	if (inspect_poisoned(session, false)) {
		inspect_reply_failed(session, "not scanned: content workers have failed on it twice");
		session_find(session, &codes[INSPECT_POISON], "skipped: content workers have failed on it twice", NULL);
	} else {
		inspect_ask(session, tasks);
	}
	return STAGE_DONE;
}

const struct stage stage_inspect = {
	.section = {.name = "inspect",
                .help = "The content workers' answer; the options of the workers are in content { }.",
                .codes = codes,
                .mode = MODE_ENFORCE,
                .needed = true},
	.inbound = true,
	.outbound = true,
	.released = true,
	.on = {[PHASE_END] = inspect_end},
};
