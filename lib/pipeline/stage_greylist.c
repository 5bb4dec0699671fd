/* Greylisting, of suspicious mail only. It is the last judge at end of message: it needs to know what the others have
 * found, and what they refuse anyway does not get a place in its list. Who is known by a domain that SPF or DKIM has
 * shown to be the author's passes from whatever machine; others by their network and sender. */
#include "lib/base/clock.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/client_key.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_greylist.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/policy.h"
#include "lib/store/greylist.h"

#include <stddef.h>

enum { GREYLIST_DELAYED, GREYLIST_UNAVAILABLE };

static const struct finding_code codes[] = {
    [GREYLIST_DELAYED] = {.code = "greylist.delayed",
                          .fallback = {ACTION_TEMPFAIL, 0},
                          .status = "7.1",
                          .reply = "Greylisted, please try again later",
                          .help = "suspicious mail from a sender that is not known: it has to come again"},
    [GREYLIST_UNAVAILABLE] = {.code = "greylist.unavailable",
                              .fallback = {ACTION_IGNORE, 0},
                              .status = "3.0",
                              .reply = "Local error, please try again later",
                              .help = "suspicious mail, but the store did not answer: nobody has to wait"},
    {.code = NULL},
};

#define SECONDS(n) ((n)*CLOCK_NS_PER_S)
#define DAYS(n) SECONDS((n)*UINT64_C(86400))

static const struct option_row options[] = {
    {.name = "suspicious",
     .type = OPTION_RULES,
     .offset = offsetof(struct greylist_settings, suspicious),
     .fallback = "client.ptr_missing, client.ptr_unconfirmed, client.ptr_generic, client.helo_missing, "
                 "client.helo_malformed, client.helo_unqualified, client.helo_unresolved, client.helo_ours, "
                 "client.helo_our_address, dnsbl.listed, dnsbl.domain, dnsbl.url, dnsbl.rule, spf.fail*, spf.softfail, "
                 "spf.permerror, unauthenticated",
     .parse = greylist_causes_parse,
     .help = "who has to wait: codes of findings (* for any text), unauthenticated, score NUMBER, or all"},
    {.name = "delay",
     .type = OPTION_DURATION,
     .offset = offsetof(struct greylist_settings, delay),
     .fallback = "5m",
     .min = SECONDS(1),
     .max = DAYS(1),
     .help = "a try before this time after the first one is put off again"},
    {.name = "retry_window",
     .type = OPTION_DURATION,
     .offset = offsetof(struct greylist_settings, retry_window),
     .fallback = "2d",
     .min = SECONDS(60),
     .max = DAYS(30),
     .help = "a try after this time is a first one"},
    {.name = "lifetime",
     .type = OPTION_DURATION,
     .offset = offsetof(struct greylist_settings, lifetime),
     .fallback = "36d",
     .min = SECONDS(60),
     .max = DAYS(400),
     .help = "who has passed passes for this time after his last message"},
    {.name = "network_after",
     .type = OPTION_UINT,
     .offset = offsetof(struct greylist_settings, network_after),
     .fallback = "5",
     .max = 100000,
     .help = "once so many senders of a network have passed all of it passes; 0: never"},
    {.name = "rows_max",
     .type = OPTION_UINT,
     .offset = offsetof(struct greylist_settings, rows_max),
     .fallback = "1000000",
     .min = 1000,
     .max = 100000000,
     .help = "most senders that wait; beyond it the oldest are forgotten"},
    {.name = NULL},
};

/* ---- is it suspicious? ---- */

static bool dkim_passed(const struct session *session)
{
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		if (session->inspection.signatures[i].result == AUTH_PASS) {
			return true;
		}
	}
	return false;
}

static bool spf_passed(const struct session *session)
{
	return session->spf_known && session->spf.result == AUTH_PASS && session->spf.pass_all == NULL;
}

/* A finding that speaks for the message makes nobody suspicious. */
static const char *code_matches(const struct session *session, const struct greylist_cause *cause)
{
	for (size_t i = 0; i < session->finding_count; i++) {
		const struct finding_code *code = session->findings[i]->code;
		struct action action = config_action(session->config, session->direction, code);
		bool good = action.kind == ACTION_SCORE && action.score < 0;
		if (!good && greylist_cause_matches(cause, code->code)) {
			return code->code;
		}
	}
	return NULL;
}

/* The first cause that holds, or NULL. */
static const char *suspicion(struct session *session, const struct greylist_causes *causes, double score)
{
	for (size_t i = 0; i < causes->count; i++) {
		const struct greylist_cause *cause = &causes->items[i];
		const char *why = NULL;
		switch (cause->kind) {
		case GREYLIST_ALL:
			return cause->text;
		case GREYLIST_UNAUTHENTICATED:
			why = spf_passed(session) || dkim_passed(session) ? NULL : cause->text;
			break;
		case GREYLIST_SCORE:
			why = score >= cause->score ? arena_printf(session->arena, "a score of %g", score) : NULL;
			break;
		case GREYLIST_CODE:
			why = code_matches(session, cause);
			break;
		}
		if (why != NULL) {
			return why;
		}
	}
	return NULL;
}

/* ---- who is it? ---- */

static bool aligned(const char *a, const char *b)
{
	return a[0] != '\0' && b[0] != '\0' && (domain_is_below(a, b) || domain_is_below(b, a));
}

/* The domain of the author, where it is shown to be his; NULL: it is not. Without a DMARC policy there is no tree walk
 * to rely on: then the name itself, or one above or below it, has to have passed. */
static const char *author_domain(const struct session *session)
{
	const char *author = session->author.status == AUTHOR_OK ? session->author.address.domain : "";
	if (session->dmarc_known && session->dmarc.result == AUTH_PASS) {
		return session->dmarc.org_domain[0] != '\0' ? session->dmarc.org_domain : session->dmarc.domain;
	}
	if (spf_passed(session) && aligned(session->spf.domain, author)) {
		return session->spf.domain;
	}
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		const struct inspect_signature *signature = &session->inspection.signatures[i];
		if (signature->result == AUTH_PASS && aligned(signature->domain, author)) {
			return signature->domain;
		}
	}
	return NULL;
}

/* Without what changes from message to message: numbers, and what follows a "+". */
static const char *steady_sender(struct session *session)
{
	const char *sender = client_key_mailbox(session->arena, &session->mail_from);
	char *steady = arena_alloc(session->arena, strlen(sender) + 1);
	size_t n = 0;
	bool extension = false;
	for (const char *c = sender; *c != '\0'; c++) {
		extension = (extension || (*c == '+' && n > 0)) && *c != '@';
		if (extension || (ascii_is_digit(*c) && n > 0 && steady[n - 1] == '#')) {
			continue;
		}
		steady[n++] = ascii_is_digit(*c) ? '#' : *c;
	}
	return steady;
}

/* A bounce has no sender: it is told from others by whom it is for. */
static const char *greylist_key(struct session *session, const char *network)
{
	const char *domain = author_domain(session);
	if (domain != NULL) {
		return arena_printf(session->arena, "domain:%s", domain);
	}
	if (session->mail_from.text[0] != '\0' || session->recipient_count == 0) {
		return arena_printf(session->arena, "%s <%s>", network, steady_sender(session));
	}
	return arena_printf(session->arena, "%s <> %s", network,
	                    client_key_mailbox(session->arena, &session->recipients[0].address));
}

/* ---- the hook ---- */

static void find_delayed(struct session *session, const char *key, const char *why,
                         const struct greylist_answer *answer)
{
	session_find(
	    session, &codes[GREYLIST_DELAYED],
	    arena_printf(session->arena, "%s: first seen %llu s ago, another %llu s to wait, because of %s", key,
	                 (unsigned long long)(session->now - answer->first), (unsigned long long)answer->wait, why),
	    arena_printf(session->arena, "Greylisted, please try again in %llu seconds", (unsigned long long)answer->wait));
}

static void greylist_judge(struct session *session, const struct greylist_settings *settings, const char *why)
{
	struct greylist_terms terms = {.delay = settings->delay / CLOCK_NS_PER_S,
	                               .window = settings->retry_window / CLOCK_NS_PER_S,
	                               .lifetime = settings->lifetime / CLOCK_NS_PER_S,
	                               .network_after = settings->network_after};
	struct store *store = engine_store(session->engine);
	struct greylist_answer answer;
	bool known = session->client.family != IP_UNKNOWN;
	const char *network = known ? client_key_network(session->arena, &session->client) : "";
	const char *key = greylist_key(session, network);
	if (!known && author_domain(session) == NULL) {
		return; /* nothing to know him by */
	}
	if (store == NULL || greylist_check(store, &terms, key, network, session->now,
	                                    store_is_read_only(engine_store(session->engine)), &answer) != STORE_OK) {
		session_find(session, &codes[GREYLIST_UNAVAILABLE], store == NULL ? "there is no store" : "it does not answer",
		             NULL);
		return;
	}
	if (!answer.pass) {
		find_delayed(session, key, why, &answer);
	}
}

/* Is there a recipient whom the message would reach, and who has not said that he wants it? *score_r: the highest of
 * theirs. */
static bool anyone_waits(struct session *session, double *score_r)
{
	bool waits = false;
	*score_r = 0;
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		if (recipient->refused || recipient->allow != POLICY_NONE) {
			continue;
		}
		session_judge_recipient(session, i, 0, false);
		waits = waits || recipient->verdict.action < VERDICT_TEMPFAIL;
		*score_r = recipient->verdict.score > *score_r ? recipient->verdict.score : *score_r;
	}
	return waits;
}

/* All stages before it in the table. */
static bool others_done(const struct session *session)
{
	for (size_t i = 0; stages[i] != &stage_greylist; i++) {
		if ((session->stages_done & UINT32_C(1) << i) == 0) {
			return false;
		}
	}
	return true;
}

static enum stage_progress greylist_end(struct session *session, const void *settings)
{
	const struct greylist_settings *greylist = settings;
	double score;
	if (!others_done(session)) {
		return STAGE_PENDING;
	}
	if (session->message_status != MESSAGE_OK || !anyone_waits(session, &score)) {
		return STAGE_DONE;
	}
	const char *why = suspicion(session, &greylist->suspicious, score);
	if (why != NULL) {
		greylist_judge(session, greylist, why);
	}
	return STAGE_DONE;
}

const struct stage stage_greylist = {
    .section = {.name = "greylist",
                .help = "Greylisting of suspicious mail: who does not try again is no mail server.",
                .options = options,
                .settings_size = sizeof(struct greylist_settings),
                .codes = codes,
                .mode = MODE_OFF},
    .inbound = true,
    .on = {[PHASE_END] = greylist_end},
};
