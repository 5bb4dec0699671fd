/* Mail to learn.spam_address and learn.ham_address: our own users report what Bayes got wrong, by redirecting the
 * message (Resent-*) or by forwarding it as attachment. It is learnt and goes no further; who is not one of ours is
 * refused at RCPT. What is forwarded as text is the user's own: to learn that would be wrong. */
#include "lib/pipeline/stage_learn.h"

#include "lib/pipeline/learner.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <stddef.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

enum { TAKEN, REFUSED, NOTHING, UNAVAILABLE };

static const struct finding_code codes[] = {
    [TAKEN] = {"learn.taken",
               {ACTION_DISCARD, 0},
               FINDING_ENFORCED,
               "0.0",
               "The message was learnt",
               "mail of our own users to learn.spam_address or learn.ham_address: it is learnt and not delivered"},
    [REFUSED] = {"learn.refused",
                 {ACTION_REJECT, 0},
                 FINDING_ENFORCED | FINDING_AT_RCPT,
                 "7.1",
                 "Only our own users may send to this address",
                 "mail to learn.spam_address or learn.ham_address that is not outbound: neither authenticated nor from "
                 "own_networks"},
    [NOTHING] = {"learn.nothing",
                 {ACTION_REJECT, 0},
                 FINDING_ENFORCED,
                 "6.0",
                 "Forward the message as an attachment, or redirect it: what is forwarded as text is not what came",
                 "mail to these addresses that was neither redirected (Resent-From, Resent-Date) nor has a message "
                 "attached"},
    [UNAVAILABLE] = {"learn.unavailable",
                     {ACTION_TEMPFAIL, 0},
                     FINDING_ENFORCED,
                     "3.0",
                     "The message could not be learnt now, please try again later",
                     "the store is down, or no content worker gave an answer"},
    {.code = NULL},
};

static const struct option_word scopes[] = {
    {"off", LEARN_OFF}, {"user", LEARN_USER}, {"everybody", LEARN_EVERYBODY}, {NULL, 0}};
static const struct option_word address_scopes[] = {{"user", LEARN_USER}, {"everybody", LEARN_EVERYBODY}, {NULL, 0}};

#define ROW(member, kind, default_text, least, most, help_text)                                                        \
	{                                                                                                                  \
		.name = #member, .type = (kind), .offset = offsetof(struct learn_settings, member),                            \
		.fallback = (default_text), .min = (least), .max = (most), .help = (help_text)                                 \
	}
#define WORD_ROW(member, default_text, list, help_text)                                                                \
	{                                                                                                                  \
		.name = #member, .type = OPTION_WORD, .offset = offsetof(struct learn_settings, member),                       \
		.fallback = (default_text), .words = (list), .help = (help_text)                                               \
	}

static const struct option_row options[] = {
    WORD_ROW(socket, "user", scopes,
             "what members of control_group may teach by the control socket: off, a user's own (user), or everybody's"),
    ROW(spam_address, OPTION_STRING, "", 0, 320,
        "mail of our own users to this address, redirected or with messages attached, is learnt as spam; empty: none"),
    ROW(ham_address, OPTION_STRING, "", 0, 320, "likewise, as good mail"),
    WORD_ROW(addresses, "everybody", address_scopes,
             "whom that teaches: the sender alone (user; see bayes.per_user), or everybody"),
    ROW(message_max, OPTION_SIZE, "10M", 64 * KIB, LEARN_BODY_MAX, "a larger message is not learnt"),
    ROW(release, OPTION_BOOL, "yes", 0, 0,
        "what is released from the quarantine is learnt as good mail; never what has an enforced finding"),
    {.name = "auto",
     .type = OPTION_BOOL,
     .offset = offsetof(struct learn_settings, automatic),
     .fallback = "no",
     .help = "inbound mail of extreme scores is learnt for everybody by the daemon itself"},
    ROW(auto_spam_score, OPTION_REAL, "15", 1, 10000,
        "auto: as spam from so many points on, without those of bayes { }, nor what a recipient's own rules give"),
    ROW(auto_ham_points, OPTION_REAL, "1", 0, 10000,
        "auto: as good mail where so many points at least are taken off, likewise, its author's domain is authenticated "
        "and nothing speaks against it"),
    ROW(auto_daily_max, OPTION_UINT, "200", 1, 1000000,
        "auto: so many messages of each kind a day, of all who share the store"),
    ROW(auto_client_max, OPTION_UINT, "5", 1, 1000000, "auto: of these so many from a network (/24, of IPv6 /64)"),
    ROW(auto_balance, OPTION_REAL, "3", 1, 1000,
        "auto: of a kind at most so many times what is learnt of the other one, by whomever"),
    ROW(auto_tokens_min, OPTION_UINT, "30", 1, BAYES_TOKENS_MAX, "auto: a message that has fewer tokens is not learnt"),
    {.name = NULL},
};

static const char *learn_finish(void *settings, struct arena *arena)
{
	const struct learn_settings *learn = settings;
	const char *const addresses[] = {learn->spam_address, learn->ham_address};
	for (size_t i = 0; i < 2; i++) {
		struct address address;
		if (addresses[i][0] != '\0' &&
		    (!address_parse_path(arena, addresses[i], &address) || address.domain[0] == '\0')) {
			return arena_printf(arena, "learn.%s: \"%s\" is no address", i == 0 ? "spam_address" : "ham_address",
			                    addresses[i]);
		}
	}
	return NULL;
}

/* ---- whom is it for? ---- */

static bool is_address(const struct session *session, const char *option, const char *owner)
{
	const char *wanted = option[0] == '\0' ? NULL : learner_owner(session->config, option, session->arena);
	return wanted != NULL && owner != NULL && strcmp(wanted, owner) == 0;
}

/* 0: the recipient is another. */
static enum bayes_class class_of(const struct session *session, const struct learn_settings *learn,
                                 const struct recipient *recipient)
{
	if (learn->spam_address[0] == '\0' && learn->ham_address[0] == '\0') {
		return 0;
	}
	const char *owner = learner_owner(session->config, recipient->address.text, session->arena);
	return is_address(session, learn->spam_address, owner)  ? BAYES_SPAM
	       : is_address(session, learn->ham_address, owner) ? BAYES_HAM
	                                                        : 0;
}

static enum stage_progress learn_rcpt(struct session *session, const void *settings)
{
	size_t last = session->recipient_count - 1;
	if (session->direction != DIRECTION_OUTBOUND && class_of(session, settings, &session->recipients[last]) != 0) {
		session_find_for(session, last, &codes[REFUSED], NULL, NULL);
	}
	return STAGE_DONE;
}

/* ---- learning ---- */

/* Who reports: an MTA's user names are addresses often, not always. NULL: it cannot be told. */
static const char *reporter(struct session *session)
{
	const char *user = learner_owner(session->config, session->auth_user, session->arena);
	return user != NULL ? user : learner_owner(session->config, session->mail_from.text, session->arena);
}

static bool was_redirected(const struct session *session)
{
	const struct headers *headers = session_headers(session);
	return headers_find(headers, "Resent-From", 0) != NULL || headers_find(headers, "Resent-Date", 0) != NULL;
}

/* This waits for a worker, and for the store: there are few of these messages, and whoever sends one wants to know. */
static void learn_for(struct session *session, const struct learn_settings *learn, size_t index, enum bayes_class class)
{
	struct learner_order order = {.class = class,
	                              .attached = !was_redirected(session),
	                              .owner = learn->addresses == LEARN_USER ? reporter(session) : "",
	                              .now = (int64_t)session->now};
	struct learner_entries entries = {.count = 0};
	struct learner_counts counts = {{0}};
	struct store *store = engine_store(session->engine);
	const char *problem = "there is no store";
	if (order.owner == NULL || message_size(session->message) > learn->message_max) {
		const char *why = order.owner == NULL ? "the sender has no address" : "it is larger than learn.message_max";
		session_find_for(session, index, &codes[NOTHING], why, NULL);
		return;
	}
	bool read = learner_read_fd(engine_keeper(session->engine), session->config, &order, message_fd(session->message),
	                            message_size(session->message), session->arena, &entries, &problem);
	if (!read && order.attached && strcmp(problem, learner_nothing_attached) == 0) {
		session_find_for(session, index, &codes[NOTHING], NULL, NULL);
		return;
	}
	bool does = engine_is_daemon(session->engine);
	if (!read || (does && (store == NULL || !learner_write(store, &order, &entries, &counts, &problem)))) {
		session_find_for(session, index, &codes[UNAVAILABLE], problem, NULL);
		return;
	}
	const char *what = does ? learner_counts_text(&counts, session->arena) : "would be learnt";
	session_find_for(session, index, &codes[TAKEN],
	                 arena_printf(session->arena, "as %s%s%s: %s", class == BAYES_SPAM ? "spam" : "ham",
	                              order.owner[0] == '\0' ? "" : " of ", order.owner, what),
	                 NULL);
}

static enum stage_progress learn_end(struct session *session, const void *settings)
{
	const struct learn_settings *learn = settings;
	if (session->direction != DIRECTION_OUTBOUND || session->message == NULL) {
		return STAGE_DONE;
	}
	if (!session->inspected) {
		return STAGE_PENDING;
	}
	bool bad =
	    session->message_status != MESSAGE_OK || session->poison || session->inspection.virus == INSPECT_VIRUS_FOUND;
	for (size_t i = 0; i < session->recipient_count && !bad; i++) {
		enum bayes_class class = session->recipients[i].refused ? 0 : class_of(session, learn, &session->recipients[i]);
		if (class != 0) {
			learn_for(session, learn, i, class);
		}
	}
	return STAGE_DONE;
}

const struct stage stage_learn = {
    .section = {.name = "learn",
                .help =
                    "Who may teach Bayes, and how: mail to addresses of its own, the control socket, the quarantine.",
                .options = options,
                .settings_size = sizeof(struct learn_settings),
                .codes = codes,
                .mode = MODE_ENFORCE,
                .needed = true,
                .finish = learn_finish},
    .inbound = true,
    .outbound = true,
    .on = {[PHASE_RCPT] = learn_rcpt, [PHASE_END] = learn_end},
};
