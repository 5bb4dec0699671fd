/* Rate limits, judged at RCPT as far as they can be: what is known by then (client, user, recipient, mostly SPF) is
 * counted there, so that one message to very many is refused in part; the rest at end of message.
 *
 * Nobody's bucket is emptied by somebody else: a sender counts once SPF has shown that it is his (outbound: the users
 * and networks are the operator's own), a recipient for each network of clients by itself. What was refused takes
 * nothing from the other buckets that it was counted in; what was taken and refused later, for other reasons, stays
 * counted. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/client_key.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/rate_whose.h"
#include "lib/pipeline/stage_list.h"
#include "lib/store/rates.h"

#include <stddef.h>
#include <time.h>

enum {
	RATE_EXCEEDED, /* + enum rate_subject */
	RATE_TOO_MANY_FAILURES = RATE_EXCEEDED + RATE_SUBJECT_COUNT,
	RATE_TOO_MANY_RECIPIENTS,
	RATE_TOO_MANY_NETWORKS,
	RATE_TOO_MANY_COUNTRIES,
	RATE_LOCKED,
	RATE_UNAVAILABLE
};

#define EXCEEDED(who, status_, reply_, help_)                                                                          \
	{                                                                                                                  \
		.code = "rate." who, .fallback = {ACTION_TEMPFAIL, 0}, .traits = FINDING_AT_RCPT, .status = status_,           \
		.reply = reply_, .help = help_                                                                                 \
	}

static const struct finding_code codes[] = {
    [RATE_EXCEEDED + RATE_CLIENT] = EXCEEDED("exceeded_client", "7.28", "Too much mail from your address",
                                             "a limit of rate.limits for the client is used up"),
    [RATE_EXCEEDED + RATE_NETWORK] = EXCEEDED("exceeded_network", "7.28", "Too much mail from your network",
                                              "a limit of rate.limits for the client's network is used up"),
    [RATE_EXCEEDED + RATE_SENDER] = EXCEEDED("exceeded_sender", "7.28", "Too much mail from this sender",
                                             "a limit of rate.limits for the envelope sender is used up"),
    [RATE_EXCEEDED + RATE_SENDER_DOMAIN] = EXCEEDED("exceeded_sender_domain", "7.28", "Too much mail from this domain",
                                                    "a limit of rate.limits for the sender's domain is used up"),
    [RATE_EXCEEDED + RATE_USER] = EXCEEDED("exceeded_user", "7.28", "You have sent too much mail",
                                           "a limit of rate.limits for the authenticated user is used up"),
    [RATE_EXCEEDED + RATE_RECIPIENT] =
        EXCEEDED("exceeded_recipient", "7.28", "Too much mail from you to this recipient",
                 "a limit of rate.limits for the recipient is used up"),
    [RATE_EXCEEDED + RATE_RECIPIENT_DOMAIN] =
        EXCEEDED("exceeded_recipient_domain", "7.28", "Too much mail from you to this domain",
                 "a limit of rate.limits for the recipient's domain is used up"),
    [RATE_TOO_MANY_FAILURES] = EXCEEDED("too_many_failures", "7.28", "Too many of your recipients were refused",
                                        "a limit of rate.limits for refused recipients (failures) is used up"),
    [RATE_TOO_MANY_RECIPIENTS] = EXCEEDED("too_many_recipients", "7.28", "You have sent to too many recipients",
                                          "a limit of rate.limits for different recipients (distinct) is used up"),
    [RATE_TOO_MANY_NETWORKS] =
        EXCEEDED("too_many_networks", "7.28", "Your account is used from too many places",
                 "the user sends from more networks at a time than a limit of rate.limits allows"),
    [RATE_TOO_MANY_COUNTRIES] =
        EXCEEDED("too_many_countries", "7.28", "Your account is used from too many places",
                 "the user sends from more countries at a time than a limit of rate.limits allows"),
    [RATE_LOCKED] =
        EXCEEDED("locked", "7.13", "Your account may not send mail at the moment, please call your administrator",
                 "the user is locked, by a limit with lock or by mailreeve rate lock"),
    [RATE_UNAVAILABLE] = {.code = "rate.unavailable",
                          .fallback = {ACTION_IGNORE, 0},
                          .status = "3.0",
                          .reply = "Local error, please try again later",
                          .help = "the store did not answer: nothing was counted"},
    {.code = NULL},
};

static const struct option_row options[] = {
    {.name = "limits",
     .type = OPTION_RULES,
     .offset = offsetof(struct rate_settings, limits),
     .fallback = "",
     .parse = rate_rules_parse,
     .help = "limits such as user 200/1h burst 400, or inbound client 60/1m; see section rate of mailreeve.conf(5)"},
    {.name = "exempt_networks",
     .type = OPTION_NETWORKS,
     .offset = offsetof(struct rate_settings, exempt_networks),
     .fallback = "",
     .help = "clients that limits for client, network and recipient do not hold for"},
    {.name = "rows_max",
     .type = OPTION_UINT,
     .offset = offsetof(struct rate_settings, rows_max),
     .fallback = "1000000",
     .min = 1000,
     .max = 100000000,
     .help = "most buckets in the store; beyond it those that are nearest to full are forgotten"},
    {.name = NULL},
};

/* Of a transaction, in its arena. */
struct rate_state {
	size_t *counted;  /* by rule: recipients, or for what is counted once in a message 1 */
	size_t *fresh;    /* by rule, where nothing is written: new values of a window so far */
	size_t failures;  /* recipients that were refused, and charged */
	bool user_asked;  /* for a lock */
	bool refused;     /* as a whole: nothing more is counted */
	bool unavailable; /* stated; the store is not asked again */
};

/* A check on its way, with what it is about. */
struct rate_item {
	size_t rule;
	int recipient; /* or FINDING_ALL_RECIPIENTS */
};

struct rate_batch {
	struct session *session;
	const struct rate_settings *settings;
	struct rate_state *state;
	size_t count;
	struct rates_check checks[RATES_CHECKS_MAX];
	struct rate_item items[RATES_CHECKS_MAX];
};

/* ---- what is counted ---- */

static bool is_of_recipient(const struct rate_rule *rule)
{
	return rule->subject == RATE_RECIPIENT || rule->subject == RATE_RECIPIENT_DOMAIN;
}

static void batch_run(struct rate_batch *batch);

static bool is_looking(const struct rate_batch *batch)
{
	return store_is_read_only(engine_store(batch->session->engine));
}

static void batch_add(struct rate_batch *batch, size_t index, int recipient, const char *name, uint64_t units,
                      bool look)
{
	struct session *session = batch->session;
	const struct rate_rule *rule = &batch->settings->limits.items[index];
	const char *value = rate_value_seen(session, rule, recipient < 0 ? 0 : (size_t)recipient);
	if (value == NULL) {
		return;
	}
	if (batch->count == RATES_CHECKS_MAX) {
		batch_run(batch);
	}
	batch->items[batch->count] = (struct rate_item){.rule = index, .recipient = recipient};
	batch->checks[batch->count++] = (struct rates_check){
	    .rule = rule,
	    .key = arena_printf(session->arena, "%s %s", direction_name(session->direction), rule->text),
	    .name = name,
	    .units = rate_unit_is_window(rule->unit) ? batch->state->fresh[index] : units,
	    .value = value,
	    .look = look || is_looking(batch),
	};
	/* Where nothing is written the next one has to know of this. */
	if (is_looking(batch)) {
		batch_run(batch);
	}
}

/* Explain takes nothing: there the recipients before this one with the same bucket are added to it. */
static uint64_t units_before(const struct rate_batch *batch, const struct rate_rule *rule, size_t recipient,
                             const char *name)
{
	uint64_t units = 0;
	const char *other;
	for (size_t i = 0; is_looking(batch) && i < recipient; i++) {
		units += !batch->session->recipients[i].refused &&
		         rate_whose(batch->session, batch->settings, rule, i, &other) == WHOSE_KNOWN &&
		         strcmp(name, other) == 0;
	}
	return units;
}

/* Counted for each recipient by itself. */
static bool is_each(const struct rate_rule *rule)
{
	return rule->unit == RATE_DISTINCT || (rule->unit == RATE_MESSAGES && is_of_recipient(rule));
}

static void count_each(struct rate_batch *batch, size_t index)
{
	const struct rate_rule *rule = &batch->settings->limits.items[index];
	size_t *counted = &batch->state->counted[index];
	const char *name;
	while (*counted < batch->session->recipient_count && !batch->state->refused) {
		enum whose whose = rate_whose(batch->session, batch->settings, rule, *counted, &name);
		if (whose == WHOSE_LATER) {
			return;
		}
		if (whose == WHOSE_KNOWN && !rate_rule_replaced(batch->session, batch->settings, rule, *counted)) {
			batch_add(batch, index, (int)*counted, name, 1 + units_before(batch, rule, *counted, name), false);
		}
		++*counted;
	}
}

static void count_bytes(struct rate_batch *batch, size_t index)
{
	struct session *session = batch->session;
	const struct rate_rule *rule = &batch->settings->limits.items[index];
	size_t times = is_of_recipient(rule) ? session->recipient_count : 1;
	const char *name;
	for (size_t i = 0; i < times && session->message != NULL; i++) {
		if (rate_whose(batch->session, batch->settings, rule, i, &name) == WHOSE_KNOWN &&
		    !rate_rule_replaced(batch->session, batch->settings, rule, i)) {
			batch_add(batch, index, is_of_recipient(rule) ? (int)i : FINDING_ALL_RECIPIENTS, name,
			          message_size(session->message), false);
		}
	}
}

/* At RCPT for the newest recipient, at the end for what could not be counted there. */
static void count_rule(struct rate_batch *batch, size_t index, bool end)
{
	struct session *session = batch->session;
	const struct rate_rule *rule = &batch->settings->limits.items[index];
	size_t *counted = &batch->state->counted[index];
	size_t newest = session->recipient_count == 0 ? 0 : session->recipient_count - 1;
	const char *name;
	if (is_each(rule)) {
		count_each(batch, index);
		return;
	}
	if (rule->unit == RATE_BYTES) {
		if (end) {
			count_bytes(batch, index);
		}
		return;
	}
	if (rate_whose(batch->session, batch->settings, rule, newest, &name) != WHOSE_KNOWN ||
	    rate_rule_replaced(batch->session, batch->settings, rule, newest)) {
		return;
	}
	if (rule->unit == RATE_FAILURES) {
		if (!end) {
			batch_add(batch, index, (int)newest, name, 1, true);
		}
	} else if (rule->unit == RATE_RECIPIENTS && *counted < session->recipient_count) {
		uint64_t units =
		    is_looking(batch) ? session->recipient_count - session->refused_count : session->recipient_count - *counted;
		batch_add(batch, index, end ? FINDING_ALL_RECIPIENTS : (int)newest, name, units, false);
		*counted = session->recipient_count;
	} else if (rule->unit != RATE_RECIPIENTS && *counted == 0) {
		batch_add(batch, index, FINDING_ALL_RECIPIENTS, name, 1, false);
		*counted = 1;
	}
}

/* ---- what comes of it ---- */

static const struct finding_code *code_of(const struct rate_rule *rule)
{
	switch (rule->unit) {
	case RATE_MESSAGES:
	case RATE_RECIPIENTS:
	case RATE_BYTES:
	case RATE_UNIT_COUNT:
		break;
	case RATE_FAILURES:
		return &codes[RATE_TOO_MANY_FAILURES];
	case RATE_DISTINCT:
		return &codes[RATE_TOO_MANY_RECIPIENTS];
	case RATE_NETWORKS:
		return &codes[RATE_TOO_MANY_NETWORKS];
	case RATE_COUNTRIES:
		return &codes[RATE_TOO_MANY_COUNTRIES];
	}
	return &codes[RATE_EXCEEDED + rule->subject];
}

static void lock_user(struct rate_batch *batch, const struct rates_check *check)
{
	struct session *session = batch->session;
	uint64_t until = session->now + check->rule->lock / CLOCK_NS_PER_S;
	if (check->rule->lock == 0 || store_is_read_only(engine_store(session->engine)) ||
	    pipeline_mode(session, &stage_rate) < MODE_ENFORCE) {
		return;
	}
	if (rates_lock(engine_store(session->engine), check->name, check->key, session->now, until) == STORE_OK) {
		log_warning("%s: user %s is locked for %llu s, limit \"%s\": see mailreeve rate show",
		            session->queue_id[0] == '\0' ? "NOQUEUE" : session->queue_id, check->name,
		            (unsigned long long)(until - session->now), check->rule->text);
	}
}

static void find_exceeded(struct rate_batch *batch, const struct rates_check *check, const struct rate_item *item)
{
	struct session *session = batch->session;
	const struct finding_code *code = code_of(check->rule);
	unsigned long long wait = check->wait;
	const char *detail = arena_printf(session->arena, "%s: %s", check->name, check->rule->text);
	const char *reply = NULL;
	if (wait > 0) {
		detail = arena_printf(session->arena, "%s, again in %llu s", detail, wait);
		reply = arena_printf(session->arena, "%s, please try again in %llu seconds", code->reply, wait);
	}
	if (item->recipient == FINDING_ALL_RECIPIENTS) {
		session_find(session, code, detail, reply);
		batch->state->refused = true;
	} else {
		session_find_for(session, (size_t)item->recipient, code, detail, reply);
	}
	lock_user(batch, check);
}

/* What was allowed for a recipient, or a message, that another limit refuses is given back. */
static void batch_refund(struct rate_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct rates_check *check = &batch->checks[i];
		bool refused = batch->state->refused;
		for (size_t k = 0; k < batch->count && !refused && batch->items[i].recipient >= 0; k++) {
			refused = !batch->checks[k].allowed && batch->items[k].recipient == batch->items[i].recipient;
		}
		if (refused && check->allowed && !check->look) {
			rates_refund(engine_store(batch->session->engine), check, 1);
		}
	}
}

static void find_unavailable(struct rate_batch *batch, const char *why)
{
	batch->state->unavailable = true;
	session_find(batch->session, &codes[RATE_UNAVAILABLE], why, NULL);
}

static void batch_run(struct rate_batch *batch)
{
	struct session *session = batch->session;
	bool exceeded = false;
	if (batch->count == 0 || batch->state->unavailable) {
		batch->count = 0;
		return;
	}
	if (rates_check(engine_store(session->engine), batch->checks, batch->count, session->now) != STORE_OK) {
		find_unavailable(batch, "the store does not answer");
		batch->count = 0;
		return;
	}
	for (size_t i = 0; i < batch->count; i++) {
		batch->state->fresh[batch->items[i].rule] += batch->checks[i].fresh;
		if (!batch->checks[i].allowed) {
			find_exceeded(batch, &batch->checks[i], &batch->items[i]);
			exceeded = true;
		}
	}
	if (exceeded) {
		batch_refund(batch);
	}
	batch->count = 0;
}

/* ---- users: locks, failures ---- */

static void check_lock(struct rate_batch *batch)
{
	struct session *session = batch->session;
	struct rates_lock lock;
	if (session->auth_user[0] == '\0' || batch->state->user_asked) {
		return;
	}
	batch->state->user_asked = true;
	const char *name = client_key_user(session->arena, session->auth_user);
	if (rates_lock_find(engine_store(session->engine), name, session->now, &lock) != STORE_OK) {
		find_unavailable(batch, "the store does not answer");
	} else if (lock.until > 0) {
		batch->state->refused = true;
		session_find(session, &codes[RATE_LOCKED],
		             arena_printf(session->arena, "%s: locked for another %llu s: %s", name,
		                          (unsigned long long)(lock.until - session->now), lock.reason),
		             NULL);
	}
}

/* Recipients that were refused since the last look, by us or by the MTA. */
static void charge_failures(struct rate_batch *batch)
{
	struct session *session = batch->session;
	size_t refused = session->rejected_count;
	for (size_t i = 0; i < session->recipient_count; i++) {
		refused += session->recipients[i].refused && session->recipients[i].verdict.action == VERDICT_REJECT;
	}
	size_t fresh = refused - batch->state->failures;
	batch->state->failures = refused;
	const char *name;
	for (size_t i = 0; fresh > 0 && !batch->state->unavailable && i < batch->settings->limits.count; i++) {
		const struct rate_rule *rule = &batch->settings->limits.items[i];
		if (rule->unit != RATE_FAILURES || !rate_rule_holds(session, rule) ||
		    store_is_read_only(engine_store(session->engine)) ||
		    rate_whose(batch->session, batch->settings, rule, 0, &name) != WHOSE_KNOWN ||
		    rate_rule_replaced(batch->session, batch->settings, rule, 0)) {
			continue;
		}
		struct rates_check check = {
		    .rule = rule,
		    .key = arena_printf(session->arena, "%s %s", direction_name(session->direction), rule->text),
		    .name = name,
		    .units = fresh,
		};
		rates_charge(engine_store(session->engine), &check, session->now);
	}
}

/* ---- the hooks ---- */

static bool batch_open(struct rate_batch *batch, struct session *session, const struct rate_settings *settings)
{
	if (settings->limits.count == 0 && session->auth_user[0] == '\0') {
		return false;
	}
	if (session->rate == NULL) {
		session->rate = arena_alloc(session->arena, sizeof *session->rate);
		session->rate->counted = arena_alloc(session->arena, settings->limits.count * sizeof *session->rate->counted);
		session->rate->fresh = arena_alloc(session->arena, settings->limits.count * sizeof *session->rate->fresh);
	}
	batch->session = session;
	batch->settings = settings;
	batch->state = session->rate;
	batch->count = 0;
	if (batch->state->unavailable) {
		return false;
	}
	if (engine_store(session->engine) == NULL) {
		find_unavailable(batch, "there is no store");
		return false;
	}
	return true;
}

static void rate_count(struct session *session, const struct rate_settings *settings, bool end)
{
	struct rate_batch batch_data;
	struct rate_batch *batch = &batch_data; /* not in the arena: it is large, and there may be 10,000 recipients */
	if (!batch_open(batch, session, settings)) {
		return;
	}
	charge_failures(batch);
	check_lock(batch);
	for (size_t i = 0; i < settings->limits.count && !batch->state->refused; i++) {
		if (rate_rule_holds(session, &settings->limits.items[i])) {
			count_rule(batch, i, end);
		}
	}
	batch_run(batch);
}

static enum stage_progress rate_rcpt(struct session *session, const void *settings)
{
	rate_count(session, settings, false);
	return STAGE_DONE;
}

static enum stage_progress rate_rejected(struct session *session, const void *settings)
{
	struct rate_batch batch;
	if (batch_open(&batch, session, settings)) {
		charge_failures(&batch);
	}
	return STAGE_DONE;
}

static enum stage_progress rate_end(struct session *session, const void *settings)
{
	bool inbound = session->direction == DIRECTION_INBOUND;
	if (inbound && pipeline_runs(session, &stage_spf) && !session->spf_known) {
		return STAGE_PENDING;
	}
	rate_count(session, settings, true);
	return STAGE_DONE;
}

const struct stage stage_rate = {
    .section = {.name = "rate",
                .help =
                    "Rate limits by client, sender, user and recipient, and locks for accounts that were taken over.",
                .options = options,
                .settings_size = sizeof(struct rate_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
    .inbound = true,
    .outbound = true,
    .on = {[PHASE_RCPT] = rate_rcpt, [PHASE_REJECTED] = rate_rejected, [PHASE_END] = rate_end},
};
