/* ARC (RFC 8617): fetches the keys while the body is still coming; the chain is verified by a worker (stage_inspect). A
 * chain by itself decides nothing: what a trusted sealer saw may lift a DMARC failure (dmarc_override.h). */
#include "lib/pipeline/stage_arc.h"

#include "lib/mail/domain.h"
#include "lib/pipeline/arc_sealing.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>

enum { ARC_FAIL, ARC_TEMPERROR, ARC_TOO_LONG, ARC_UNSEALED };

static const struct finding_code codes[] = {
	[ARC_FAIL] = {"arc.fail", {ACTION_IGNORE, 0}, 0, "7.29", "ARC: the chain of the message is not valid",
                  "the ARC chain is broken, or a forwarder found it broken"},
	[ARC_TEMPERROR] = {"arc.temperror", {ACTION_IGNORE, 0}, 0, "7.29",
                       "ARC: a key could not be read, please try again later",
                       "DNS failed; where it decides about DMARC, dmarc.temperror judges"},
	[ARC_TOO_LONG] = {"arc.too_long", {ACTION_IGNORE, 0}, 0, "7.29", "ARC: the chain of the message is too long",
                      "more than 50 ARC sets, or a field of more than 16384 bytes: not verified, the chain fails"},
	[ARC_UNSEALED] = {"arc.unsealed", {ACTION_IGNORE, 0}, 0, "7.5", "ARC: the message could not be sealed",
                      "seal is on, but there is no key that can be used, or the chain is full: it goes on without a seal"},
	{.code = NULL},
};

static const struct option_row options[] = {
	{.name = "trusted_sealers",
     .type = OPTION_DOMAINS,
     .offset = offsetof(struct arc_settings, trusted_sealers),
     .fallback = "",
     .help = "domains, and all below, that seal honestly: what they saw can lift a DMARC failure"},
	{.name = "seal",
     .type = OPTION_BOOL,
     .offset = offsetof(struct arc_settings, seal),
     .fallback = "no",
     .help = "add an ARC set with our results to mail that passes: for a relay that forwards mail to others"},
	{.name = "seal_domain",
     .type = OPTION_STRING,
     .offset = offsetof(struct arc_settings, seal_domain),
     .fallback = "",
     .max = 253,
     .help = "the domain that seals; its keys are in sign.keys_dir, see mailreeve key in mailreeve(1)"},
	{.name = "seal_selector",
     .type = OPTION_STRING,
     .offset = offsetof(struct arc_settings, seal_selector),
     .fallback = "",
     .max = 200,
     .help = "the key that seals; empty: the domain's active one, RSA where there are several"},
	{.name = NULL},
};

static enum stage_progress arc_headers(struct session *session, const void *settings)
{
	session->arc_sealing = arc_sealing_wanted(session, settings);
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
	bool sound = arc->result == AUTH_PASS || arc->result == AUTH_TEMPERROR;
	for (size_t i = arc->count; sound && i > 0 && is_trusted(settings, &arc->sets[i - 1]); i--) {
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

/* True when the verdict is there; states its findings once. */
static bool arc_judge(struct session *session, const struct arc_settings *settings)
{
	if (session->arc_known) {
		return true;
	}
	session->arc_keys_known = arc_keys_resolve(session->arc_keys, session->lookups);
	if (!session->arc_keys_known || !session->inspected) {
		return false;
	}
	session->arc_known = true;
	session->arc_trusted = count_trusted(&session->inspection.arc, settings);
	arc_find(session);
	return true;
}

static enum stage_progress arc_end(struct session *session, const void *settings)
{
	const char *problem = NULL;
	if (session->message == NULL) {
		session->arc_known = true;
		return STAGE_DONE;
	}
	if (!arc_judge(session, settings)) {
		return STAGE_PENDING;
	}
	if (!session->arc_sealing) {
		return STAGE_DONE;
	}
	enum stage_progress progress = arc_sealing_end(session, settings, &problem);
	if (problem != NULL) {
		session_find(session, &codes[ARC_UNSEALED], problem, NULL);
	}
	return progress;
}

const struct stage stage_arc = {
	.section = {.name = "arc",
                .help = "Authenticated Received Chains of forwarders (RFC 8617), and a seal of our own.",
                .options = options,
                .settings_size = sizeof(struct arc_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.on = {[PHASE_HEADERS] = arc_headers, [PHASE_END] = arc_end},
};
