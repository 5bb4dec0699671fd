/* DMARC (RFC 9989). The tree walk starts when the header is there; the judgement waits for SPF and DKIM. */
#include "lib/auth/dmarc.h"

#include "lib/pipeline/dmarc_override.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>

enum {
	DMARC_REJECT,
	DMARC_QUARANTINE,
	DMARC_FAIL_NONE,
	DMARC_OVERRIDE,
	DMARC_TEMPERROR,
	DMARC_FROM_MANY,
	DMARC_FROM_MALFORMED,
	DMARC_FROM_UNUSABLE,
};

static const struct finding_code codes[] = {
	[DMARC_REJECT] = {"dmarc.reject", {ACTION_REJECT, 0}, 0, "7.1", "DMARC: the author's domain asks to reject this",
                      "DMARC failed and the author's domain asks for rejection"},
	[DMARC_QUARANTINE] = {"dmarc.quarantine", {ACTION_QUARANTINE, 0}, 0, "7.1",
                          "DMARC: the author's domain asks to quarantine this",
                          "DMARC failed and the author's domain asks for quarantine"},
	[DMARC_FAIL_NONE] = {"dmarc.fail_none", {ACTION_IGNORE, 0}, 0, "7.1", "DMARC: the message failed",
                         "DMARC failed and the author's domain asks for nothing (p=none, or t=y)"},
	[DMARC_OVERRIDE] = {"dmarc.override", {ACTION_IGNORE, 0}, 0, "7.1", "DMARC: the message failed",
                        "DMARC failed and the author's domain asks for more, but a rule in dmarc { } lifts it"},
	[DMARC_TEMPERROR] = {"dmarc.temperror", {ACTION_TEMPFAIL, 0}, 0, "7.24",
                         "DMARC could not be evaluated, please try again later",
                         "DNS failed where the answer decides: never taken for a pass, never for a failure"},
	[DMARC_FROM_MANY] = {"dmarc.from_many", {ACTION_REJECT, 0}, 0, "7.1",
                         "The message must have one From field with authors of one domain",
                         "more than one From field, or authors of different domains: a way around DMARC"},
	[DMARC_FROM_MALFORMED] = {"dmarc.from_malformed", {ACTION_REJECT, 0}, 0, "7.1",
                              "The From field of the message cannot be read",
                              "a From field that programs read in different ways: a way around DMARC"},
	[DMARC_FROM_UNUSABLE] = {"dmarc.from_unusable", {ACTION_TAG, 0}, 0, "7.1",
                             "The message has no usable From field",
                             "no From field, or one without any address that has a domain"},
	{.code = NULL},
};

#define ROW(member, type_, help_)                                                                                      \
	{.name = #member, .type = type_, .offset = offsetof(struct dmarc_settings, member), .fallback = "", .help = help_}

static const struct option_row options[] = {
	ROW(trusted_forwarders, OPTION_NETWORKS,
        "clients that forward mail: a DMARC failure of what they send is recorded and not acted on"),
	ROW(trusted_forwarder_domains, OPTION_DOMAINS,
        "the same for mail whose MAIL FROM passes SPF, or a signature DKIM, for one of these domains or below"),
	ROW(mailing_lists, OPTION_DOMAINS,
        "the same for mail with a List-Id in one of these domains which itself passes SPF or DKIM"),
	ROW(exempt_domains, OPTION_DOMAINS,
        "authors' domains, and all below, whose DMARC policy is never acted on: anybody can write in their name"),
	{.name = NULL},
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
	case AUTHOR_MALFORMED:
		session_find(session, &codes[DMARC_FROM_MALFORMED], detail, NULL);
		break;
	case AUTHOR_NO_FROM:
	case AUTHOR_EMPTY:
	case AUTHOR_NO_DOMAIN:
		session_find(session, &codes[DMARC_FROM_UNUSABLE], detail, NULL);
		break;
	}
}

static const struct finding_code *dmarc_fail_code(const struct dmarc_verdict *dmarc)
{
	switch (dmarc->asked) {
	case DMARC_POLICY_NONE:
		break;
	case DMARC_POLICY_QUARANTINE:
		return &codes[DMARC_QUARANTINE];
	case DMARC_POLICY_REJECT:
		return &codes[DMARC_REJECT];
	}
	return &codes[DMARC_FAIL_NONE];
}

/* An action in DMARC's words. What is not taken, for now or silently, is not delivered: reject (RFC 9989 7.2). */
static enum dmarc_policy dmarc_disposition(enum action_kind kind)
{
	return kind > ACTION_QUARANTINE    ? DMARC_POLICY_REJECT
	       : kind == ACTION_QUARANTINE ? DMARC_POLICY_QUARANTINE
	                                   : DMARC_POLICY_NONE;
}

/* Where the configuration makes less or more of a failure than the domain asks, its owner is told (RFC 9989 5.4). */
static void dmarc_local_policy(struct session *session, const struct finding_code *code)
{
	struct dmarc_verdict *dmarc = &session->dmarc;
	enum action_kind kind = policy_effective(session->config, session->direction, code);
	dmarc->disposition = dmarc_disposition(kind);
	if (dmarc->disposition != dmarc->asked) {
		dmarc->override.type = DMARC_OVERRIDE_LOCAL_POLICY;
		dmarc->override.comment = arena_printf(session->arena, "%s comes to %s here", code->code, action_kind_name(kind));
	}
}

static void dmarc_find_fail(struct session *session)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	const struct finding_code *code = dmarc_fail_code(dmarc);
	const char *detail = arena_printf(session->arena, "%s: p=%s%s, neither SPF nor DKIM passed for it", dmarc->domain,
	                                  dmarc_policy_name(dmarc->policy), dmarc->testing ? " t=y" : "");
	dmarc_local_policy(session, code);
	session_find(session, code, detail,
	             arena_printf(session->arena, "DMARC: mail from %s must pass SPF or DKIM for that domain; its policy asks for %s",
	                          dmarc->domain, dmarc_policy_name(dmarc->asked)));
}

static void dmarc_find_override(struct session *session, const struct dmarc_override *override)
{
	struct dmarc_verdict *dmarc = &session->dmarc;
	dmarc->override = *override;
	dmarc->overridden = true;
	dmarc->disposition = DMARC_POLICY_NONE;
	session_find(session, &codes[DMARC_OVERRIDE],
	             arena_printf(session->arena, "%s, %s: %s asks for %s", dmarc_override_name(override->type),
	                          override->comment, dmarc->domain, dmarc_policy_name(dmarc->asked)),
	             NULL);
}

/* A failure that its domain wants something done about: unless one of the operator's rules lifts it. */
static void dmarc_find_fail_or_override(struct session *session, const struct dmarc_settings *settings,
                                        const struct dmarc_request *request)
{
	struct dmarc_override override = {.type = DMARC_OVERRIDE_NONE};
	struct override_request rules = {
		.settings = settings,
		.client = &session->client,
		.headers = session_headers(session),
		.dmarc = request,
		.author_domain = session->dmarc.domain,
		.arc = &session->inspection.arc,
		.arc_trusted = session->arc_trusted,
	};
	if (session->upstream.relayed && !session->upstream.recovered) {
		override.type = DMARC_OVERRIDE_LOCAL_POLICY;
		override.comment = "the client behind the upstream relay is not known, so SPF could not be asked";
		dmarc_find_override(session, &override);
		return;
	}
	switch (dmarc_override_find(&rules, session->arena, &override)) {
	case OVERRIDE_FOUND:
		dmarc_find_override(session, &override);
		return;
	case OVERRIDE_UNDECIDED:
		/* Where temporary errors do not put mail off, the domain's own wish is the safe side. */
		if (policy_effective(session->config, session->direction, &codes[DMARC_TEMPERROR]) >= ACTION_TEMPFAIL) {
			session_find(session, &codes[DMARC_TEMPERROR],
			             arena_printf(session->arena, "whether the failure is lifted is not known: %s", override.comment),
			             NULL);
			return;
		}
		break;
	case OVERRIDE_NONE:
		break;
	}
	dmarc_find_fail(session);
}

static void dmarc_state(struct session *session, const struct dmarc_settings *settings,
                        const struct dmarc_request *request)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	if (dmarc->result == AUTH_FAIL && dmarc->asked != DMARC_POLICY_NONE) {
		dmarc_find_fail_or_override(session, settings, request);
	} else if (dmarc->result == AUTH_FAIL) {
		dmarc_find_fail(session);
	} else if (dmarc->result == AUTH_TEMPERROR && !session->poison &&
	           (dmarc->record == NULL || dmarc->asked != DMARC_POLICY_NONE)) {
		/* Where the domain asks for nothing anyway, nothing is gained by a delay; nor where content.poison holds it. */
		session_find(session, &codes[DMARC_TEMPERROR], dmarc->problem, NULL);
	}
}

static enum stage_progress dmarc_end(struct session *session, const void *settings)
{
	if (session->message == NULL) {
		return STAGE_DONE;
	}
	bool spf = pipeline_runs(session, &stage_spf);
	bool arc = pipeline_runs(session, &stage_arc);
	if ((spf && !session->spf_known) || !session->inspected || (arc && !session->arc_known)) {
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
	dmarc_state(session, settings, &request);
	return STAGE_DONE;
}

const struct stage stage_dmarc = {
	.section = {.name = "dmarc",
                .help = "DMARC policy of the author's domain (RFC 9989), and the rules by which a failure is not acted on.",
                .options = options,
                .settings_size = sizeof(struct dmarc_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_HEADERS] = dmarc_headers, [PHASE_END] = dmarc_end},
};
