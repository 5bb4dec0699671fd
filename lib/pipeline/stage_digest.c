/* Reports to users, at the gate: mail to a reply address is taken for what its token asks for, when it is the user's
 * own; and a report that goes out is noted. Programs follow links and people forward mail, so the token alone opens
 * nothing: who replies must be the user, as far as that can be known. */
#include "lib/pipeline/stage_digest.h"

#include "lib/base/clock.h"
#include "lib/pipeline/housekeeping.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/record.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_lists.h"
#include "lib/pipeline/stage_quarantine.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

enum { REPLY, REPLY_AUTOMATIC, REPLY_UNKNOWN, REPLY_UNTRUSTED, UNAVAILABLE };

enum { MESSAGE_ID_MAX = 250 };

static const struct finding_code codes[] = {
    [REPLY] = {"digest.reply",
               {ACTION_DISCARD, 0},
               FINDING_ENFORCED,
               "0.0",
               "The reply was carried out",
               "a user's own reply to a report: it is taken, and what it asks for is done"},
    [REPLY_AUTOMATIC] =
        {"digest.reply_automatic",
         {ACTION_DISCARD, 0},
         FINDING_ENFORCED,
         "0.0",
         "Automatic mail is not carried out",
         "a bounce or an automatic answer to a reply address of a report: it is taken and does nothing"},
    [REPLY_UNKNOWN] = {"digest.reply_unknown",
                       {ACTION_REJECT, 0},
                       FINDING_ENFORCED | FINDING_AT_RCPT,
                       "1.1",
                       "There is no such reply address",
                       "an address in the form of a report's reply addresses that was not made here"},
    [REPLY_UNTRUSTED] = {"digest.reply_untrusted",
                         {ACTION_REJECT, 0},
                         FINDING_ENFORCED,
                         "7.1",
                         "This address takes mail only from the one whom the report was sent to, authenticated as him",
                         "a reply to a report that is not shown to be the user's own: nothing is done"},
    [UNAVAILABLE] = {"digest.unavailable",
                     {ACTION_TEMPFAIL, 0},
                     FINDING_ENFORCED | FINDING_AT_RCPT,
                     "3.0",
                     "Replies cannot be taken now, please try again later",
                     "the store is down: a reply could not be looked up or taken, or a report not be noted"},
    {.code = NULL},
};
const struct finding_code *const digest_unavailable = &codes[UNAVAILABLE];

/* ---- a reply address ---- */

static char delimiter_of(const struct session *session)
{
	const char *delimiter = session_globals(session)->recipient_delimiter;
	return delimiter[0] == '\0' ? '+' : delimiter[0];
}

static bool is_reply_address(const struct session *session, const struct digest_settings *settings,
                             const struct address *address, struct action_token *token_r)
{
	struct address ours;
	struct slice local = slice_from(address->local);
	if (settings->reply_address[0] == '\0' || !address_parse_path(session->arena, settings->reply_address, &ours) ||
	    strcmp(address->domain, ours.domain) != 0 || address->domain[0] == '\0') {
		return false;
	}
	size_t n = strlen(ours.local);
	return local.len > n + 1 && slice_starts_nocase(local, slice_from(ours.local)) &&
	       local.data[n] == delimiter_of(session) &&
	       action_token_parse((struct slice){local.data + n + 1, local.len - n - 1}, token_r);
}

static struct digest_state *state_of(struct session *session)
{
	if (session->digest == NULL) {
		session->digest = arena_alloc(session->arena, sizeof *session->digest);
	}
	return session->digest;
}

static enum stage_progress digest_rcpt(struct session *session, const void *settings)
{
	size_t index = session->recipient_count - 1;
	unsigned char key[RELEASE_KEY_SIZE];
	struct action_token token;
	struct store *store = engine_store(session->engine);
	if (!is_reply_address(session, settings, &session->recipients[index].address, &token)) {
		return STAGE_DONE;
	}
	if (store == NULL || quarantine_key(store, key) != QUARANTINE_OK) {
		session_find_for(session, index, &codes[UNAVAILABLE], "a reply address could not be looked up", NULL);
		return STAGE_DONE;
	}
	if (!action_token_verify(&token, key)) {
		session_find_for(session, index, &codes[REPLY_UNKNOWN], NULL, NULL);
		return STAGE_DONE;
	}
	struct digest_state *state = state_of(session);
	struct digest_reply *reply = arena_alloc(session->arena, sizeof *reply);
	*reply = (struct digest_reply){.recipient = index, .token = token, .next = state->replies};
	state->replies = reply;
	return STAGE_DONE;
}

/* ---- whose reply it is ---- */

static bool is_owner(struct session *session, const char *address, const char *owner)
{
	const char *found = digest_owner(session->arena, address, session_globals(session)->recipient_delimiter);
	return found != NULL && strcmp(found, owner) == 0;
}

/* A name without a domain is the local part of an address of that domain that the mail comes from. */
static bool is_login(struct session *session, const char *owner)
{
	const char *user = session->auth_user;
	size_t local = strcspn(owner, "@");
	if (strchr(user, '@') != NULL) {
		return is_owner(session, user, owner);
	}
	return slice_equal_nocase(slice_from(user), (struct slice){owner, local}) &&
	       is_owner(session, session->mail_from.text, owner);
}

static bool outbound_is_from(struct session *session, const struct digest_settings *settings, const char *author,
                             const char *owner)
{
	bool authenticated = session->auth_user[0] != '\0';
	if (authenticated && is_login(session, owner)) {
		return true;
	}
	enum digest_trust least = authenticated ? DIGEST_TRUST_SENDER : DIGEST_TRUST_NETWORK;
	return settings->reply_trust >= (int)least && is_owner(session, session->mail_from.text, owner) &&
	       is_owner(session, author, owner);
}

static bool is_signed_by(const struct session *session, const char *domain)
{
	for (size_t i = 0; session->inspected && i < session->inspection.signature_count; i++) {
		if (session->inspection.signatures[i].result == AUTH_PASS &&
		    strcmp(session->inspection.signatures[i].domain, domain) == 0) {
			return true;
		}
	}
	return false;
}

/* SPF knows domains, and of what comes from one of them MAIL FROM says whose it is. */
static bool inbound_is_from(struct session *session, const struct author *author, const char *owner)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	bool envelope = is_owner(session, session->mail_from.text, owner);
	if (author->status != AUTHOR_OK || !is_owner(session, author->address.text, owner)) {
		return false;
	}
	if (session->dmarc_known && dmarc->result == AUTH_PASS) {
		return dmarc->dkim_alignment != DMARC_NOT_ALIGNED || envelope;
	}
	if (session->dmarc_known && dmarc->result != AUTH_NONE) {
		return false;
	}
	return is_signed_by(session, author->address.domain) ||
	       (envelope && session->spf_known && session->spf.result == AUTH_PASS);
}

static bool is_automatic(const struct session *session)
{
	const struct header *field = headers_find(session_headers(session), "Auto-Submitted", 0);
	return session->mail_from.text[0] == '\0' ||
	       (field != NULL && !slice_starts_nocase(slice_trim(field->value), SLICE_LITERAL("no")));
}

static bool is_from(struct session *session, const struct digest_settings *settings, const char *owner)
{
	struct author author;
	author_find(session->arena, session_headers(session), &author);
	if (session->direction == DIRECTION_OUTBOUND) {
		return author.status == AUTHOR_OK && outbound_is_from(session, settings, author.address.text, owner);
	}
	return inbound_is_from(session, &author, owner);
}

/* A token that has expired is answered too. */
static void judge_reply(struct session *session, const struct digest_settings *settings, struct digest_reply *reply)
{
	struct digest_link link;
	const struct finding_code *code = &codes[UNAVAILABLE];
	enum digest_done known =
	    digest_action_look(engine_store(session->engine), session->arena, &reply->token, (int64_t)session->now, &link);
	const char *detail = action_verb_name(reply->token.verb);
	switch (known) {
	case DIGEST_DONE:
	case DIGEST_EXPIRED:
		code = &codes[REPLY_UNTRUSTED];
		if (is_automatic(session)) {
			code = &codes[REPLY_AUTOMATIC];
		} else if (is_from(session, settings, link.owner)) {
			code = &codes[REPLY];
			reply->taken = true;
		}
		break;
	case DIGEST_UNKNOWN:
		code = &codes[REPLY_UNKNOWN];
		break;
	case DIGEST_DONE_BEFORE:
	case DIGEST_FORBIDDEN:
	case DIGEST_NOT_NOW:
		break;
	}
	session_find_for(session, reply->recipient, code, detail, NULL);
}

/* ---- a report that goes out ---- */

static void find_report(struct session *session)
{
	const struct header *field = headers_find(session_headers(session), DIGEST_FIELD, 0);
	const char *delimiter = session_globals(session)->recipient_delimiter;
	if (field == NULL || session->direction != DIRECTION_OUTBOUND || session->mail_from.text[0] != '\0' ||
	    session->recipient_count != 1) {
		return;
	}
	struct slice nonce = slice_trim(field->value);
	if (nonce.len == ACTION_NONCE_SIZE - 1 && slice_is_ascii(nonce)) {
		state_of(session)->nonce = slice_dup(session->arena, nonce);
		state_of(session)->owner = digest_owner(session->arena, session->recipients[0].address.text, delimiter);
	}
}

/* ---- the hook at the end ---- */

static bool knows_sender(const struct session *session)
{
	return session->direction == DIRECTION_OUTBOUND ||
	       ((session->dmarc_known || !pipeline_runs(session, &stage_dmarc)) &&
	        (session->inspected || !pipeline_runs(session, &stage_inspect)) &&
	        (session->spf_known || !pipeline_runs(session, &stage_spf)));
}

static enum stage_progress digest_end(struct session *session, const void *settings)
{
	if (session->message == NULL || engine_store(session->engine) == NULL) {
		return STAGE_DONE;
	}
	if (session->digest != NULL && !knows_sender(session)) {
		return STAGE_PENDING;
	}
	for (struct digest_reply *reply = session->digest == NULL ? NULL : session->digest->replies; reply != NULL;
	     reply = reply->next) {
		judge_reply(session, settings, reply);
	}
	find_report(session);
	return STAGE_DONE;
}

/* ---- after the verdict ---- */

static bool is_taken(const struct session *session, const struct digest_reply *reply)
{
	const struct recipient *recipient = &session->recipients[reply->recipient];
	const struct finding *reason = recipient->verdict.reason;
	return reply->taken && recipient->fate == DELIVERY_DROPPED && reason != NULL && reason->code == &codes[REPLY];
}

/* Message-ID of the reply, where it is fit to be repeated. */
static const char *message_id_of(struct session *session)
{
	const struct header *field = headers_find(session_headers(session), "Message-ID", 0);
	struct slice id = field == NULL ? (struct slice){"", 0} : slice_trim(header_unfold(session->arena, field->value));
	bool good = id.len > 2 && id.len <= MESSAGE_ID_MAX && id.data[0] == '<' && slice_find(id, '>', 0) == id.len - 1;
	for (size_t i = 0; i < id.len; i++) {
		good = good && id.data[i] > ' ' && id.data[i] <= '~';
	}
	return good ? slice_dup(session->arena, id) : "";
}

bool stage_digest_commit(struct session *session)
{
	struct store *store = engine_store(session->engine);
	bool good = true;
	bool any = false;
	if (session->digest == NULL) {
		return true;
	}
	for (const struct digest_reply *reply = session->digest->replies; reply != NULL && good; reply = reply->next) {
		if (is_taken(session, reply)) {
			any = true;
			good = digests_add_request(store, &reply->token, message_id_of(session), (int64_t)session->now) == STORE_OK;
		}
	}
	if (good && any) {
		engine_wake(session->engine);
	}
	if (good && session->digest->nonce != NULL && session->digest->owner != NULL && session->answer == DELIVERY_PASS) {
		good = digests_passed(store, session->digest->nonce, session->digest->owner) == STORE_OK;
	}
	return good;
}

/* ---- for housekeeping and the commands ---- */

bool stage_digest_reporter(const struct config *config, struct store *store, int64_t now, struct arena *arena,
                           struct digest_reporter *reporter_r)
{
	size_t section = stages_section(&stage_digest);
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const struct record_options *record = config_settings(config, SECTION_HISTORY);
	*reporter_r = (struct digest_reporter){
	    .settings = config_settings(config, section),
	    .config = config,
	    .delimiter = globals->recipient_delimiter,
	    .helo = engine_name(config, arena),
	    .subjects = record->subject == RECORD_SUBJECT_FULL || record->subject == RECORD_SUBJECT_WORD,
	    .store = store,
	    .now = now,
	};
	return reporter_r->settings->from[0] != '\0' && config_mode(config, section) != MODE_OFF;
}

void stage_digest_action(const struct config *config, const struct digest_reporter *reporter,
                         struct digest_action *action_r)
{
	const struct quarantine_settings *quarantine = config_settings(config, stages_section(&stage_quarantine));
	const struct lists_settings *lists = config_settings(config, stages_section(&stage_lists));
	*action_r = (struct digest_action){
	    .reporter = reporter,
	    .release = {.store = reporter->store,
	                .relay = quarantine->relay,
	                .helo = reporter->helo,
	                .seconds = quarantine->release_time / CLOCK_NS_PER_S},
	    .lists = {.user_max = lists->user_max, .domain_max = lists->domain_max, .patterns_max = LISTS_PATTERNS_MAX},
	};
}

const struct stage stage_digest = {
    .section = {.name = "digest",
                .help = "Reports to users: what was rejected, quarantined or tagged of their mail, with links to "
                        "release and allow.",
                .options = digest_options,
                .settings_size = sizeof(struct digest_settings),
                .codes = codes,
                .mode = MODE_ENFORCE,
                .finish = digest_finish},
    .inbound = true,
    .outbound = true,
    .on = {[PHASE_RCPT] = digest_rcpt, [PHASE_END] = digest_end},
};
