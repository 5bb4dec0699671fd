#include "lib/pipeline/tagging.h"

#include "lib/pipeline/stages.h"

#include <stddef.h>

enum { LEVEL_MAX = 50, TESTS_MAX = 40 };

static const struct option_row options[] = {
	{.name = "verdict",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tagging_settings, verdict),
     .fallback = "yes",
     .help = "X-Mailreeve-Verdict with the findings, on mail that is tagged or quarantined"},
	{.name = "score",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tagging_settings, score),
     .fallback = "no",
     .help = "X-Mailreeve-Score with the points and where they come from, on all inbound mail"},
	{.name = "spam_flag",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tagging_settings, spam_flag),
     .fallback = "no",
     .help = "X-Spam-Flag: YES on inbound mail that is tagged or quarantined, for older filters; a forged one is removed"},
	{.name = "spam_status",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tagging_settings, spam_status),
     .fallback = "no",
     .help = "X-Spam-Status: Yes or No with points and findings, on all inbound mail; a forged one is removed"},
	{.name = "spam_score",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tagging_settings, spam_score),
     .fallback = "no",
     .help = "X-Spam-Score with the points, on all inbound mail; a forged one is removed"},
	{.name = "spam_level",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tagging_settings, spam_level),
     .fallback = "no",
     .help = "X-Spam-Level with an asterisk for each point, on all inbound mail; a forged one is removed"},
	{.name = NULL},
};

const struct section tagging_section = {
	.name = "headers",
	.help = "Header fields that tell what was found. Fields X-Mailreeve-* that come with a message are always removed.",
	.options = options,
	.settings_size = sizeof(struct tagging_settings),
};

static const char own_prefix[] = "X-Mailreeve-";

static bool tagging_is_forged(const struct tagging_settings *settings, bool inbound, struct slice name)
{
	const struct {
		bool on;
		const char *name;
	} fields[] = {{settings->spam_flag, "X-Spam-Flag"},
	              {settings->spam_status, "X-Spam-Status"},
	              {settings->spam_score, "X-Spam-Score"},
	              {settings->spam_level, "X-Spam-Level"}};
	if (slice_starts_nocase(name, slice_from(own_prefix))) {
		return true;
	}
	for (size_t i = 0; inbound && i < sizeof fields / sizeof *fields; i++) {
		if (fields[i].on && slice_equal_nocase(name, slice_from(fields[i].name))) {
			return true;
		}
	}
	return false;
}

/* Which field of its name the one at `at` is, from 1. */
static size_t tagging_nth(const struct headers *headers, size_t at)
{
	size_t n = 0;
	for (size_t i = 0; i <= at; i++) {
		n += slice_equal_nocase(headers->items[i].name, headers->items[at].name);
	}
	return n;
}

/* From the last field up: a deletion renumbers those below it. */
static void tagging_strip(struct session *session, const struct tagging_settings *settings)
{
	const struct headers *headers = session_headers(session);
	bool inbound = session->direction == DIRECTION_INBOUND;
	for (size_t i = headers->count; i > 0; i--) {
		struct slice name = headers->items[i - 1].name;
		if (tagging_is_forged(settings, inbound, name)) {
			session_edit_add(session, (struct edit){EDIT_DELETE_HEADER, slice_dup(session->arena, name), NULL,
			                                        tagging_nth(headers, i - 1)});
		}
	}
}

static void tagging_insert(struct session *session, const char *name, const char *value)
{
	session_edit_add(session, (struct edit){EDIT_INSERT_HEADER, name, value, 0});
}

static void tagging_verdict(struct session *session)
{
	struct strbuf value;
	strbuf_init(&value, session->arena);
	strbuf_printf(&value, "%s; id=%s", verdict_action_name(session->verdict.action), session->support_id);
	for (size_t i = 0; i < session->finding_count; i++) {
		if (session->findings[i]->effective >= ACTION_TAG && !session_found_before(session, i, ACTION_TAG)) {
			strbuf_printf(&value, ";\n\tfinding=%s", session->findings[i]->code->code);
		}
	}
	tagging_insert(session, "X-Mailreeve-Verdict", value.data);
}

/* One finding to a line, so that no line gets long; each is "code=points", or the bare code. */
static const char *tagging_tests(struct session *session, bool points, const char *none)
{
	struct strbuf tests;
	size_t shown = 0;
	strbuf_init(&tests, session->arena);
	for (size_t i = 0; i < session->finding_count && shown < TESTS_MAX; i++) {
		const struct finding *finding = session->findings[i];
		bool named = points ? finding->effective == ACTION_SCORE : finding->effective != ACTION_IGNORE;
		if (!named || (!points && session_found_before(session, i, ACTION_SCORE))) {
			continue;
		}
		strbuf_printf(&tests, "%s%s", shown++ == 0 ? "" : ",\n\t", finding->code->code);
		if (points) {
			strbuf_printf(&tests, "=%g", finding->action.score);
		}
	}
	return shown == 0 ? none : tests.data;
}

static void tagging_status(struct session *session, bool spam)
{
	const struct scores *scores = config_settings(session->config, SECTION_SCORES);
	tagging_insert(session, "X-Spam-Status",
	               arena_printf(session->arena, "%s, score=%.1f required=%.1f\n\ttests=%s", spam ? "Yes" : "No",
	                            session->verdict.score, scores->tag, tagging_tests(session, false, "none")));
}

static void tagging_level(struct session *session)
{
	static const char stars[LEVEL_MAX + 1] = "**************************************************";
	double score = session->verdict.score;
	int n = score <= 0 ? 0 : score > LEVEL_MAX ? LEVEL_MAX : (int)score;
	tagging_insert(session, "X-Spam-Level", arena_printf(session->arena, "%.*s", n, stars));
}

/* Each goes on top: the last one here stands above the others. */
static void tagging_inbound(struct session *session, const struct tagging_settings *settings, bool tagged)
{
	if (settings->spam_level && session->verdict.score >= 1) {
		tagging_level(session);
	}
	if (settings->spam_score) {
		tagging_insert(session, "X-Spam-Score", arena_printf(session->arena, "%.1f", session->verdict.score));
	}
	if (settings->spam_status) {
		tagging_status(session, tagged);
	}
	if (settings->spam_flag && tagged) {
		tagging_insert(session, "X-Spam-Flag", "YES");
	}
	if (settings->score) {
		const char *tests = tagging_tests(session, true, NULL);
		tagging_insert(session, "X-Mailreeve-Score",
		               tests == NULL ? arena_printf(session->arena, "%g", session->verdict.score)
		                             : arena_printf(session->arena, "%g (%s)", session->verdict.score, tests));
	}
}

void tagging_apply(struct session *session)
{
	const struct tagging_settings *settings = config_settings(session->config, SECTION_HEADERS);
	bool tagged = session->verdict.action == VERDICT_TAG || session->verdict.action == VERDICT_QUARANTINE;
	struct edit *others = session->edits;
	size_t count = session->edit_count;
	session->edits = NULL;
	session->edit_count = session->edit_capacity = 0;
	tagging_strip(session, settings);
	if (session->direction == DIRECTION_INBOUND) {
		tagging_inbound(session, settings, tagged);
	}
	if (settings->verdict && tagged) {
		tagging_verdict(session);
	}
	for (size_t i = 0; i < count; i++) {
		session_edit_add(session, others[i]);
	}
}
