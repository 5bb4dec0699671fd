/* DMARC (RFC 9989). The tree walk starts when the header is there; the judgement waits for SPF and DKIM. */
#include "lib/auth/dmarc.h"

#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

enum {
	DMARC_REJECT,
	DMARC_QUARANTINE,
	DMARC_FAIL_NONE,
	DMARC_TEMPERROR,
	DMARC_FROM_MANY,
	DMARC_FROM_UNUSABLE,
};

static const struct finding_code codes[] = {
	[DMARC_REJECT] = {"dmarc.reject", {ACTION_REJECT, 0}, false, "7.1", "DMARC: the author's domain asks to reject this",
                      "DMARC failed and the author's domain asks for rejection"},
	[DMARC_QUARANTINE] = {"dmarc.quarantine", {ACTION_QUARANTINE, 0}, false, "7.1",
                          "DMARC: the author's domain asks to quarantine this",
                          "DMARC failed and the author's domain asks for quarantine"},
	[DMARC_FAIL_NONE] = {"dmarc.fail_none", {ACTION_IGNORE, 0}, false, "7.1", "DMARC: the message failed",
                         "DMARC failed and the author's domain asks for nothing (p=none, or t=y)"},
	[DMARC_TEMPERROR] = {"dmarc.temperror", {ACTION_TEMPFAIL, 0}, false, "7.24",
                         "DMARC could not be evaluated, please try again later",
                         "DNS failed where the answer decides: never taken for a pass, never for a failure"},
	[DMARC_FROM_MANY] = {"dmarc.from_many", {ACTION_REJECT, 0}, false, "7.1",
                         "The message must have one From field with authors of one domain",
                         "more than one From field, or authors of different domains: a way around DMARC"},
	[DMARC_FROM_UNUSABLE] = {"dmarc.from_unusable", {ACTION_TAG, 0}, false, "7.1",
                             "The message has no usable From field",
                             "no From field, or one without an address that can be read"},
	{.code = NULL},
};

/* The d= domains of the signatures with that result, NULL-ended. */
static const char *const *dmarc_dkim_domains(struct session *session, enum auth_result result)
{
	const struct inspect_reply *reply = &session->inspection;
	const char **domains = arena_alloc(session->arena, (reply->signature_count + 1) * sizeof *domains);
	size_t n = 0;
	for (size_t i = 0; i < reply->signature_count; i++) {
		if (reply->signatures[i].result == result && reply->signatures[i].domain[0] != '\0') {
			domains[n++] = reply->signatures[i].domain;
		}
	}
	return domains;
}

static enum stage_progress dmarc_headers(struct session *session, const void *settings)
{
	(void)settings;
	author_find(session->arena, session_headers(session), &session->author);
	struct dmarc_verdict early;
	struct dmarc_request request = {.author = &session->author};
	return dmarc_check(&request, session->lookups, session->arena, &early) ? STAGE_DONE : STAGE_PENDING;
}

static void dmarc_find_author(struct session *session)
{
	const char *detail = author_status_text(session->author.status);
	switch (session->author.status) {
	case AUTHOR_OK:
		break;
	case AUTHOR_MANY_FROM:
	case AUTHOR_MANY_DOMAINS:
		session_find(session, &codes[DMARC_FROM_MANY], detail, NULL);
		break;
	case AUTHOR_NO_FROM:
	case AUTHOR_EMPTY:
	case AUTHOR_MALFORMED:
		session_find(session, &codes[DMARC_FROM_UNUSABLE], detail, NULL);
		break;
	}
}

static void dmarc_find_fail(struct session *session)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	const char *detail = arena_printf(session->arena, "%s: p=%s%s, neither SPF nor DKIM passed for it", dmarc->domain,
	                                  dmarc_policy_name(dmarc->policy), dmarc->testing ? " t=y" : "");
	const struct finding_code *code = &codes[DMARC_FAIL_NONE];
	switch (dmarc->disposition) {
	case DMARC_POLICY_NONE:
		break;
	case DMARC_POLICY_QUARANTINE:
		code = &codes[DMARC_QUARANTINE];
		break;
	case DMARC_POLICY_REJECT:
		code = &codes[DMARC_REJECT];
		break;
	}
	session_find(session, code, detail,
	             arena_printf(session->arena, "DMARC: mail from %s must pass SPF or DKIM for that domain; its policy asks for %s",
	                          dmarc->domain, dmarc_policy_name(dmarc->disposition)));
}

static enum stage_progress dmarc_end(struct session *session, const void *settings)
{
	(void)settings;
	if (session->message == NULL) {
		return STAGE_DONE;
	}
	bool spf = pipeline_runs(session, &stage_spf);
	if ((spf && !session->spf_known) || !session->inspected) {
		return STAGE_PENDING;
	}
	struct dmarc_request request = {
		.author = &session->author,
		.spf = spf ? &session->spf : NULL,
		.dkim_pass = dmarc_dkim_domains(session, AUTH_PASS),
		.dkim_temporary_domains = dmarc_dkim_domains(session, AUTH_TEMPERROR),
	};
	session->dmarc_known = dmarc_check(&request, session->lookups, session->arena, &session->dmarc);
	if (!session->dmarc_known) {
		return STAGE_PENDING;
	}
	dmarc_find_author(session);
	if (session->dmarc.result == AUTH_FAIL) {
		dmarc_find_fail(session);
	} else if (session->dmarc.result == AUTH_TEMPERROR && !session->poison &&
	           (session->dmarc.record == NULL || session->dmarc.disposition != DMARC_POLICY_NONE)) {
		/* Where the domain asks for nothing anyway, nothing is gained by a delay; nor where content.poison holds it. */
		session_find(session, &codes[DMARC_TEMPERROR], session->dmarc.problem, NULL);
	}
	return STAGE_DONE;
}

const struct stage stage_dmarc = {
	.section = {.name = "dmarc",
                .help = "DMARC policy of the author's domain (RFC 9989).",
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_HEADERS] = dmarc_headers, [PHASE_END] = dmarc_end},
};
