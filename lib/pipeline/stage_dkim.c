/* DKIM (RFC 6376): fetches the keys while the body is still coming; the signatures are verified by a worker
 * (stage_inspect). A failed signature alone means no more than none (RFC 6376 6.1), so nothing acts by default. */
#include "lib/base/clock.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"

enum { DKIM_FAIL, DKIM_POLICY, DKIM_PERMERROR, DKIM_TEMPERROR, DKIM_TOO_MANY };

static const struct finding_code codes[] = {
	[DKIM_FAIL] = {"dkim.fail", {ACTION_IGNORE, 0}, 0, "7.20", "DKIM: no signature of the message is valid",
                   "a signature does not verify: the message was changed, or the signature is forged"},
	[DKIM_POLICY] = {"dkim.policy", {ACTION_IGNORE, 0}, 0, "7.21", "DKIM: no signature of the message is acceptable",
                     "a signature is not accepted: a short key, its time, or l= that leaves text unsigned"},
	[DKIM_PERMERROR] = {"dkim.permerror", {ACTION_IGNORE, 0}, 0, "7.21",
                        "DKIM: no signature of the message is acceptable",
                        "a signature or its key record cannot be used"},
	[DKIM_TEMPERROR] = {"dkim.temperror", {ACTION_IGNORE, 0}, 0, "7.20",
                        "DKIM: a key could not be read, please try again later",
                        "DNS failed; where it decides about DMARC, dmarc.temperror judges"},
	[DKIM_TOO_MANY] = {"dkim.too_many", {ACTION_IGNORE, 0}, 0, "7.20", "DKIM: too many signatures",
                       "signatures beyond dkim.signatures_max were not looked at"},
	{.code = NULL},
};

struct dkim_settings {
	uint64_t signatures_max;
	uint64_t key_bits_min;
	uint64_t clock_drift; /* nanoseconds */
};

#define ROW(name, type, fallback, min, max, help)                                                                      \
	{                                                                                                                  \
		#name, type, offsetof(struct dkim_settings, name), fallback, min, max, NULL, help, NULL                        \
	}

static const struct option_row options[] = {
	ROW(signatures_max, OPTION_UINT, "8", 1, DKIM_MAX_SIGNATURES, "signatures that are verified, from the top of the header"),
	ROW(key_bits_min, OPTION_UINT, "1024", 1024, 4096, "a signature by a shorter RSA key is not accepted (RFC 8301: 1024)"),
	/* There are signers whose clock is set to local time. */
	ROW(clock_drift, OPTION_DURATION, "12h", 0, 7 * 86400 * CLOCK_NS_PER_S,
        "how far the time of a signature (t=) may lie ahead"),
	{.name = NULL},
};

static enum stage_progress dkim_headers(struct session *session, const void *settings)
{
	const struct dkim_settings *dkim = settings;
	session->dkim_rules = (struct dkim_rules){.key_bits_min = (unsigned)dkim->key_bits_min,
	                                          .clock_drift = (uint32_t)(dkim->clock_drift / CLOCK_NS_PER_S)};
	dkim_keys_collect(session->arena, session_headers(session), dkim->signatures_max, &session->keys);
	return dkim_keys_resolve(&session->keys, session->lookups) ? STAGE_DONE : STAGE_PENDING;
}

static void dkim_find(struct session *session, const struct inspect_signature *signature)
{
	/* Of a domain that is testing DKIM a signature that is not good is like none (RFC 6376 3.6.1): it is shown, but there
	 * is nothing to act upon. */
	if (signature->testing) {
		return;
	}
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
                .options = options,
                .settings_size = sizeof(struct dkim_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_HEADERS] = dkim_headers, [PHASE_END] = dkim_end},
};
