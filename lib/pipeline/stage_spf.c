/* SPF (RFC 7208). Starts at HELO and MAIL and goes on in every phase, so that its chains of lookups run while the
 * client is still talking. Where the author's domain publishes a DMARC policy, that policy decides, not SPF alone: a
 * forwarded message that fails SPF but has an aligned DKIM signature is good mail.
 *
 * HELO is an identity of its own (2.3), checked beside MAIL FROM's; for the null path it is the same check (2.4). Of
 * the two only MAIL FROM's is waited for as long as it takes: HELO's has had the whole session's time. */
#include "lib/base/clock.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>

enum {
	HELO_AHEAD_MAX = 3,   /* HELO commands of a connection whose lookups start at once: what is asked there stays */
	HELO_PATIENCE = 250,  /* milliseconds that the end of message waits for nothing but HELO's check */
	EXPLANATION_MAX = 160 /* bytes of a domain's explanation in a reply */
};

struct spf_settings {
	bool helo;
	bool explanation;
};

enum {
	SPF_FAIL,
	SPF_FAIL_DMARC_POLICY,
	SPF_FAIL_DMARC_PASS,
	SPF_SOFTFAIL,
	SPF_PERMERROR,
	SPF_TEMPERROR,
	SPF_HELO_FAIL,
	SPF_HELO_SOFTFAIL,
	SPF_HELO_PERMERROR,
	SPF_HELO_TEMPERROR,
	SPF_PASS_ALL,
	SPF_RECORD_WEAK
};

static const struct finding_code codes[] = {
    [SPF_FAIL] = {"spf.fail",
                  {ACTION_REJECT, 0},
                  0,
                  "7.23",
                  "SPF: the client may not send mail for this domain",
                  "the domain's SPF record forbids this client, and the author's domain has no DMARC policy"},
    [SPF_FAIL_DMARC_POLICY] = {"spf.fail_dmarc_policy",
                               {ACTION_TAG, 0},
                               0,
                               "7.23",
                               "SPF: the client may not send mail for this domain",
                               "the same where the author's domain publishes a DMARC policy, which decides"},
    [SPF_FAIL_DMARC_PASS] = {"spf.fail_dmarc_pass",
                             {ACTION_IGNORE, 0},
                             0,
                             "7.23",
                             "SPF: the client may not send mail for this domain",
                             "the same where DMARC passed by DKIM, or a rule lifted its failure (forwarded mail)"},
    [SPF_SOFTFAIL] = {"spf.softfail",
                      {ACTION_IGNORE, 0},
                      0,
                      "7.23",
                      "SPF: the client probably may not send mail for this domain",
                      "the SPF record says ~"},
    [SPF_PERMERROR] = {"spf.permerror",
                       {ACTION_IGNORE, 0},
                       0,
                       "7.24",
                       "SPF: the domain's record is in error",
                       "the SPF record cannot be evaluated"},
    [SPF_TEMPERROR] = {"spf.temperror",
                       {ACTION_IGNORE, 0},
                       0,
                       "7.24",
                       "SPF: the domain's record could not be read, please try again later",
                       "DNS failed; where the author's domain has a DMARC policy, dmarc.temperror judges"},
    [SPF_HELO_FAIL] = {"spf.helo_fail",
                       {ACTION_TAG, 0},
                       0,
                       "7.23",
                       "SPF: the client may not use this HELO name",
                       "the SPF record of the HELO name forbids this client to call itself so"},
    [SPF_HELO_SOFTFAIL] = {"spf.helo_softfail",
                           {ACTION_IGNORE, 0},
                           0,
                           "7.23",
                           "SPF: the client probably may not use this HELO name",
                           "the SPF record of the HELO name says ~"},
    [SPF_HELO_PERMERROR] = {"spf.helo_permerror",
                            {ACTION_IGNORE, 0},
                            0,
                            "7.24",
                            "SPF: the record of the HELO name is in error",
                            "the SPF record of the HELO name cannot be evaluated"},
    [SPF_HELO_TEMPERROR] = {"spf.helo_temperror",
                            {ACTION_IGNORE, 0},
                            0,
                            "7.24",
                            "SPF: the record of the HELO name could not be read, please try again later",
                            "DNS failed, or did not answer in the time that the session took"},
    [SPF_PASS_ALL] = {"spf.pass_all",
                      {ACTION_IGNORE, 0},
                      0,
                      "7.23",
                      "SPF: the domain's record lets anyone send its mail",
                      "SPF passed by +all, 0.0.0.0/0 or the like, as it does for any client: the pass says nothing, "
                      "but counts for DMARC"},
    [SPF_RECORD_WEAK] = {"spf.record_weak",
                         {ACTION_IGNORE, 0},
                         0,
                         "7.24",
                         "SPF: the domain's record is weak",
                         "the SPF record hangs on the names of the client's address (ptr, %{p}), which is its owner's "
                         "word"},
    {.code = NULL},
};

static const struct option_row options[] = {
    {.name = "helo",
     .type = OPTION_BOOL,
     .offset = offsetof(struct spf_settings, helo),
     .fallback = "yes",
     .help = "check the HELO name on its own too; for the null sender it is checked in any case"},
    {.name = "explanation",
     .type = OPTION_BOOL,
     .offset = offsetof(struct spf_settings, explanation),
     .fallback = "yes",
     .help = "give the explanation that the domain publishes (exp=) in the reply, as the domain's words"},
    {.name = NULL},
};

static bool spf_run(struct session *session, enum spf_scope scope, struct arena *arena, struct spf_verdict *verdict_r)
{
	struct spf_request request = {
	    .client = session->client,
	    .helo = session->helo,
	    .mail_from = session->mail_from.text,
	    .receiver = session->authserv_id,
	    .now = session->now,
	    .scope = scope,
	};
	if (session->client.family == IP_UNKNOWN) {
		const char *domain = scope == SPF_SCOPE_HELO ? "" : session->mail_from.domain;
		*verdict_r = (struct spf_verdict){
		    .result = AUTH_NONE, .scope = scope, .domain = domain, .problem = "the client's address is not known"};
		return true;
	}
	return spf_check(&request, session->lookups, arena, verdict_r);
}

/* The lookups start; the verdict is made in the transaction. */
static enum stage_progress spf_start_helo(struct session *session, const void *settings)
{
	const struct spf_settings *spf = settings;
	struct spf_verdict verdict;
	if (spf->helo && session->client_known && session->helo_count <= HELO_AHEAD_MAX) {
		struct arena *arena = arena_create(1024);
		spf_run(session, SPF_SCOPE_HELO, arena, &verdict);
		arena_destroy(arena);
	}
	return STAGE_DONE;
}

static enum stage_progress spf_advance(struct session *session, const void *settings)
{
	const struct spf_settings *spf = settings;
	if (!session->client_known) {
		return STAGE_PENDING;
	}
	if (!session->spf_known) {
		session->spf_known = spf_run(session, SPF_SCOPE_MFROM, session->arena, &session->spf);
	}
	if (session->spf_helo_known) {
		return session->spf_known ? STAGE_DONE : STAGE_PENDING;
	}
	if (session->mail_from.text[0] == '\0') {
		session->spf_helo_known = session->spf_known;
		session->spf_helo = session->spf;
	} else {
		session->spf_helo_checked = spf->helo;
		session->spf_helo_known = !spf->helo || spf_run(session, SPF_SCOPE_HELO, session->arena, &session->spf_helo);
	}
	return session->spf_known && session->spf_helo_known ? STAGE_DONE : STAGE_PENDING;
}

/* All else is known: nobody waits long for HELO's check alone. */
static void spf_hurry_helo(struct session *session)
{
	uint64_t now = clock_now();
	if (session->helo_until == 0) {
		session->helo_until = now + HELO_PATIENCE * CLOCK_NS_PER_MS;
	}
	session_wake(session, session->helo_until);
	if (session->helo_until <= now) {
		session->spf_helo.result = AUTH_TEMPERROR;
		session->spf_helo.problem = "DNS did not answer in time";
		session->spf_helo_known = true;
	}
}

/* The words of our own replies, which nobody else may say in them. */
static bool spf_is_misleading(const char *text)
{
	char letters[EXPLANATION_MAX + 1];
	size_t n = 0;
	for (; *text != '\0' && n < EXPLANATION_MAX; text++) {
		if (ascii_is_alpha(*text)) {
			letters[n++] = ascii_lower(*text);
		}
	}
	letters[n] = '\0';
	return strstr(letters, "supportid") != NULL;
}

/* 6.2: with a word on whose text it is. It was expanded to printable ASCII. */
static const char *spf_reply(struct session *session, const struct spf_verdict *spf,
                             const struct spf_settings *settings, const char *reason)
{
	const char *text = spf->explanation;
	if (text == NULL || !settings->explanation || spf_is_misleading(text)) {
		return reason;
	}
	return arena_printf(session->arena, "%s; %s explains: %.*s%s", reason, spf->domain, EXPLANATION_MAX, text,
	                    strlen(text) > EXPLANATION_MAX ? "..." : "");
}

static void spf_find_fail(struct session *session, const struct spf_settings *settings)
{
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	const struct finding_code *code = &codes[SPF_FAIL];
	if (session->dmarc_known && (session->dmarc.result == AUTH_PASS || session->dmarc.overridden)) {
		code = &codes[SPF_FAIL_DMARC_PASS];
	} else if (session->dmarc_known && session->dmarc.record != NULL) {
		code = &codes[SPF_FAIL_DMARC_POLICY];
	}
	const struct spf_verdict *spf = &session->spf;
	const char *matched = spf->mechanism == NULL ? "" : arena_printf(session->arena, " (%s)", spf->mechanism);
	const char *reason =
	    arena_printf(session->arena, "SPF: %s does not permit %s to send its mail", spf->domain, client);
	session_find(session, code, arena_printf(session->arena, "%s does not permit %s%s", spf->domain, client, matched),
	             spf_reply(session, spf, settings, reason));
}

static void spf_find_pass(struct session *session)
{
	const struct spf_verdict *spf = &session->spf;
	if (spf->pass_all != NULL) {
		session_find(session, &codes[SPF_PASS_ALL], arena_printf(session->arena, "%s: %s", spf->domain, spf->pass_all),
		             NULL);
	}
}

static void spf_find(struct session *session, const struct spf_settings *settings)
{
	const char *problem = session->spf.problem == NULL ? "" : session->spf.problem;
	const char *detail = arena_printf(session->arena, "%s: %s", session->spf.domain, problem);
	switch (session->spf.result) {
	case AUTH_FAIL:
		spf_find_fail(session, settings);
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
	case AUTH_PASS:
		spf_find_pass(session);
		break;
	case AUTH_NONE:
	case AUTH_NEUTRAL:
	case AUTH_POLICY:
		break;
	}
	if (session->spf.ptr) {
		session_find(session, &codes[SPF_RECORD_WEAK], arena_printf(session->arena, "%s: ptr", session->spf.domain),
		             NULL);
	}
}

static void spf_find_helo_fail(struct session *session, const struct spf_settings *settings)
{
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	const struct spf_verdict *spf = &session->spf_helo;
	const char *detail = arena_printf(session->arena, "%s does not permit %s", spf->domain, client);
	const char *reason =
	    arena_printf(session->arena, "SPF: %s does not permit %s to use its name", spf->domain, client);
	session_find(session, &codes[SPF_HELO_FAIL], detail, spf_reply(session, spf, settings, reason));
}

static void spf_find_helo(struct session *session, const struct spf_settings *settings)
{
	const struct spf_verdict *spf = &session->spf_helo;
	const char *problem = spf->problem == NULL ? "" : spf->problem;
	const char *detail = arena_printf(session->arena, "%s: %s", spf->domain, problem);
	switch (spf->result) {
	case AUTH_FAIL:
		spf_find_helo_fail(session, settings);
		break;
	case AUTH_SOFTFAIL:
		session_find(session, &codes[SPF_HELO_SOFTFAIL], spf->domain, NULL);
		break;
	case AUTH_PERMERROR:
		session_find(session, &codes[SPF_HELO_PERMERROR], detail, NULL);
		break;
	case AUTH_TEMPERROR:
		session_find(session, &codes[SPF_HELO_TEMPERROR], detail, NULL);
		break;
	case AUTH_NONE:
	case AUTH_PASS:
	case AUTH_NEUTRAL:
	case AUTH_POLICY:
		break;
	}
}

static enum stage_progress spf_end(struct session *session, const void *settings)
{
	bool dmarc = pipeline_runs(session, &stage_dmarc) && session->message != NULL;
	enum stage_progress progress = spf_advance(session, settings);
	if (!session->spf_known || (dmarc && !session->dmarc_known)) {
		return STAGE_PENDING;
	}
	if (progress == STAGE_PENDING) {
		spf_hurry_helo(session);
		if (!session->spf_helo_known) {
			return STAGE_PENDING;
		}
	}
	spf_find(session, settings);
	if (session->spf_helo_checked) {
		spf_find_helo(session, settings);
	}
	return STAGE_DONE;
}

const struct stage stage_spf = {
    .section = {.name = "spf",
                .help = "SPF of the envelope sender and of HELO (RFC 7208).",
                .options = options,
                .settings_size = sizeof(struct spf_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
    .inbound = true,
    .on = {[PHASE_HELO] = spf_start_helo,
           [PHASE_MAIL] = spf_advance,
           [PHASE_RCPT] = spf_advance,
           [PHASE_HEADERS] = spf_advance,
           [PHASE_END] = spf_end},
};
