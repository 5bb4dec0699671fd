/* SPF (RFC 7208). Starts at MAIL and goes on in every phase, so that its chain of lookups runs while the client is
 * still talking. Where the author's domain publishes a DMARC policy, that policy decides, not SPF alone: a forwarded
 * message that fails SPF but has an aligned DKIM signature is good mail. */
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

enum { SPF_FAIL, SPF_FAIL_DMARC_POLICY, SPF_FAIL_DMARC_PASS, SPF_SOFTFAIL, SPF_PERMERROR, SPF_TEMPERROR };

static const struct finding_code codes[] = {
	[SPF_FAIL] = {"spf.fail", {ACTION_REJECT, 0}, false, "7.23", "SPF: the client may not send mail for this domain",
                  "the domain's SPF record forbids this client, and the author's domain has no DMARC policy"},
	[SPF_FAIL_DMARC_POLICY] = {"spf.fail_dmarc_policy", {ACTION_TAG, 0}, false, "7.23",
                               "SPF: the client may not send mail for this domain",
                               "the same where the author's domain publishes a DMARC policy, which decides"},
	[SPF_FAIL_DMARC_PASS] = {"spf.fail_dmarc_pass", {ACTION_IGNORE, 0}, false, "7.23",
                             "SPF: the client may not send mail for this domain",
                             "the same where DMARC passed by DKIM (forwarded mail)"},
	[SPF_SOFTFAIL] = {"spf.softfail", {ACTION_IGNORE, 0}, false, "7.23",
                      "SPF: the client probably may not send mail for this domain", "the SPF record says ~"},
	[SPF_PERMERROR] = {"spf.permerror", {ACTION_IGNORE, 0}, false, "7.24", "SPF: the domain's record is in error",
                       "the SPF record cannot be evaluated"},
	[SPF_TEMPERROR] = {"spf.temperror", {ACTION_IGNORE, 0}, false, "7.24",
                       "SPF: the domain's record could not be read, please try again later",
                       "DNS failed; where the author's domain has a DMARC policy, dmarc.temperror judges"},
	{.code = NULL},
};

static enum stage_progress spf_advance(struct session *session, const void *settings)
{
	(void)settings;
	struct spf_request request = {
		.client = session->client,
		.helo = session->helo,
		.mail_from = session->mail_from.text,
		.receiver = session->authserv_id,
		.now = session->now,
		.scope = SPF_SCOPE_MFROM,
	};
	if (!session->spf_known) {
		if (session->client.family == IP_UNKNOWN) {
			session->spf = (struct spf_verdict){
				.result = AUTH_NONE, .domain = session->mail_from.domain, .problem = "the client's address is not known"};
			session->spf_known = true;
		} else {
			session->spf_known = spf_check(&request, session->lookups, session->arena, &session->spf);
		}
	}
	return session->spf_known ? STAGE_DONE : STAGE_PENDING;
}

static void spf_find_fail(struct session *session)
{
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	const struct finding_code *code = &codes[SPF_FAIL];
	if (session->dmarc_known && session->dmarc.result == AUTH_PASS) {
		code = &codes[SPF_FAIL_DMARC_PASS];
	} else if (session->dmarc_known && session->dmarc.record != NULL) {
		code = &codes[SPF_FAIL_DMARC_POLICY];
	}
	const struct spf_verdict *spf = &session->spf;
	const char *matched = spf->mechanism == NULL ? "" : arena_printf(session->arena, " (%s)", spf->mechanism);
	session_find(session, code, arena_printf(session->arena, "%s does not permit %s%s", spf->domain, client, matched),
	             arena_printf(session->arena, "SPF: %s does not permit %s to send its mail", spf->domain, client));
}

static enum stage_progress spf_end(struct session *session, const void *settings)
{
	bool dmarc = pipeline_runs(session, &stage_dmarc) && session->message != NULL;
	if (spf_advance(session, settings) == STAGE_PENDING || (dmarc && !session->dmarc_known)) {
		return STAGE_PENDING;
	}
	const char *problem = session->spf.problem == NULL ? "" : session->spf.problem;
	const char *detail = arena_printf(session->arena, "%s: %s", session->spf.domain, problem);
	switch (session->spf.result) {
	case AUTH_FAIL:
		spf_find_fail(session);
		break;
	case AUTH_SOFTFAIL:
		session_find(session, &codes[SPF_SOFTFAIL], session->spf.domain, NULL);
		break;
	case AUTH_PERMERROR:
		session_find(session, &codes[SPF_PERMERROR], detail, NULL);
		break;
	case AUTH_TEMPERROR:
		session_find(session, &codes[SPF_TEMPERROR], detail, NULL);
		break;
	case AUTH_NONE:
	case AUTH_PASS:
	case AUTH_NEUTRAL:
	case AUTH_POLICY:
		break;
	}
	return STAGE_DONE;
}

const struct stage stage_spf = {
	.section = {.name = "spf",
                .help = "SPF of the envelope sender, or of HELO for the null sender (RFC 7208).",
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_MAIL] = spf_advance, [PHASE_RCPT] = spf_advance, [PHASE_HEADERS] = spf_advance, [PHASE_END] = spf_end},
};
