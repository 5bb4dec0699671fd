/* ARC (RFC 8617): fetches the keys while the body is still coming; the chain is verified by a worker (stage_inspect). A
 * chain by itself decides nothing: what a trusted sealer saw may lift a DMARC failure (dmarc_override.h). */
#include "lib/pipeline/stage_arc.h"

#include "lib/mail/domain.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>

enum { ARC_FAIL, ARC_TEMPERROR, ARC_TOO_LONG };

static const struct finding_code codes[] = {
	[ARC_FAIL] = {"arc.fail", {ACTION_IGNORE, 0}, false, "7.29", "ARC: the chain of the message is not valid",
                  "the ARC chain is broken, or a forwarder found it broken"},
	[ARC_TEMPERROR] = {"arc.temperror", {ACTION_IGNORE, 0}, false, "7.29",
                       "ARC: a key could not be read, please try again later",
                       "DNS failed; where it decides about DMARC, dmarc.temperror judges"},
	[ARC_TOO_LONG] = {"arc.too_long", {ACTION_IGNORE, 0}, false, "7.29", "ARC: the chain of the message is too long",
                      "more than 50 ARC sets, or a field of more than 16384 bytes: not verified, the chain fails"},
	{.code = NULL},
};

static const struct option_row options[] = {
	{.name = "trusted_sealers",
     .type = OPTION_DOMAINS,
     .offset = offsetof(struct arc_settings, trusted_sealers),
     .fallback = "",
     .help = "domains, and all below, that seal honestly: what they saw can lift a DMARC failure"},
	{.name = NULL},
};

static enum stage_progress arc_headers(struct session *session, const void *settings)
{
	(void)settings;
	session->arc_keys = arena_alloc(session->arena, sizeof *session->arc_keys);
	arc_keys_collect(session->arena, session_headers(session), session->arc_keys);
	return arc_keys_resolve(session->arc_keys, session->lookups) ? STAGE_DONE : STAGE_PENDING;
}

static bool is_trusted(const struct arc_settings *settings, const struct arc_set *set)
{
	for (const char *const *entry = settings->trusted_sealers; *entry != NULL; entry++) {
		if (domain_is_below(set->domain, *entry)) {
			return true;
		}
	}
	return false;
}

/* Who has sealed last vouches for the body, and for all that he found below: only as long as each sealer from the top down
 * is trusted, the next one's word counts. Behind one that is not, anything may be a chain that was lifted from another
 * message: his seal covers it, and his message signature the new body. */
static size_t count_trusted(const struct arc_verdict *arc, const struct arc_settings *settings)
{
	size_t trusted = 0;
	while (arc->result == AUTH_PASS && trusted < arc->count && is_trusted(settings, &arc->sets[arc->count - 1 - trusted])) {
		trusted++;
	}
	return trusted;
}

static void arc_find(struct session *session)
{
	const struct arc_verdict *arc = &session->inspection.arc;
	if (arc->result == AUTH_FAIL) {
		session_find(session, &codes[arc->too_long ? ARC_TOO_LONG : ARC_FAIL], arc->problem, NULL);
	} else if (arc->result == AUTH_TEMPERROR) {
		session_find(session, &codes[ARC_TEMPERROR], arc->problem, NULL);
	}
}

static enum stage_progress arc_end(struct session *session, const void *settings)
{
	if (session->message == NULL) {
		session->arc_known = true;
		return STAGE_DONE;
	}
	session->arc_keys_known = arc_keys_resolve(session->arc_keys, session->lookups);
	if (!session->arc_keys_known || !session->inspected) {
		return STAGE_PENDING;
	}
	session->arc_known = true;
	session->arc_trusted = count_trusted(&session->inspection.arc, settings);
	arc_find(session);
	return STAGE_DONE;
}

const struct stage stage_arc = {
	.section = {.name = "arc",
                .help = "Authenticated Received Chains of forwarders (RFC 8617).",
                .options = options,
                .settings_size = sizeof(struct arc_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_HEADERS] = arc_headers, [PHASE_END] = arc_end},
};
