/* DKIM (RFC 6376): fetches the keys while the body is still coming; the signatures are verified by a worker
 * (stage_inspect). A failed signature alone means no more than none (RFC 6376 6.1), so nothing acts by default. */
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"

enum { DKIM_FAIL, DKIM_POLICY, DKIM_PERMERROR, DKIM_TEMPERROR, DKIM_TOO_MANY };

static const struct finding_code codes[] = {
	[DKIM_FAIL] = {"dkim.fail", {ACTION_IGNORE, 0}, false, "7.20", "DKIM: no signature of the message is valid",
                   "a signature does not verify: the message was changed, or the signature is forged"},
	[DKIM_POLICY] = {"dkim.policy", {ACTION_IGNORE, 0}, false, "7.21", "DKIM: no signature of the message is acceptable",
                     "a signature is not accepted: rsa-sha1, a short key, or l= that leaves text unsigned"},
	[DKIM_PERMERROR] = {"dkim.permerror", {ACTION_IGNORE, 0}, false, "7.21",
                        "DKIM: no signature of the message is acceptable",
                        "a signature or its key record cannot be used"},
	[DKIM_TEMPERROR] = {"dkim.temperror", {ACTION_IGNORE, 0}, false, "7.20",
                        "DKIM: a key could not be read, please try again later",
                        "DNS failed; where it decides about DMARC, dmarc.temperror judges"},
	[DKIM_TOO_MANY] = {"dkim.too_many", {ACTION_IGNORE, 0}, false, "7.20", "DKIM: too many signatures",
                       "signatures beyond the eighth were not looked at"},
	{.code = NULL},
};

static enum stage_progress dkim_headers(struct session *session, const void *settings)
{
	(void)settings;
	dkim_keys_collect(session->arena, session_headers(session), &session->keys);
	return dkim_keys_resolve(&session->keys, session->lookups) ? STAGE_DONE : STAGE_PENDING;
}

static void dkim_find(struct session *session, const struct inspect_signature *signature)
{
	const char *detail = arena_printf(session->arena, "d=%s s=%s: %s", signature->domain, signature->selector,
	                                  signature->problem == NULL ? "" : signature->problem);
	switch (signature->result) {
	case AUTH_FAIL:
		session_find(session, &codes[DKIM_FAIL], detail, NULL);
		break;
	case AUTH_POLICY:
	case AUTH_NEUTRAL:
		session_find(session, &codes[DKIM_POLICY], detail, NULL);
		break;
	case AUTH_PERMERROR:
		session_find(session, &codes[DKIM_PERMERROR], detail, NULL);
		break;
	case AUTH_TEMPERROR:
		session_find(session, &codes[DKIM_TEMPERROR], detail, NULL);
		break;
	case AUTH_NONE:
	case AUTH_PASS:
	case AUTH_SOFTFAIL:
		break;
	}
}

static enum stage_progress dkim_end(struct session *session, const void *settings)
{
	(void)settings;
	if (!dkim_keys_resolve(&session->keys, session->lookups)) {
		return STAGE_PENDING;
	}
	session->keys_known = true;
	if (!session->inspected) {
		return STAGE_PENDING;
	}
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		dkim_find(session, &session->inspection.signatures[i]);
	}
	if (session->keys.ignored > 0) {
		session_find(session, &codes[DKIM_TOO_MANY], arena_printf(session->arena, "%zu ignored", session->keys.ignored),
		             NULL);
	}
	return STAGE_DONE;
}

const struct stage stage_dkim = {
	.section = {.name = "dkim",
                .help = "DKIM signatures of the message (RFC 6376).",
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_HEADERS] = dkim_headers, [PHASE_END] = dkim_end},
};
