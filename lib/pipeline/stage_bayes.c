/* Bayes: how likely it is that a message is spam, by what was learnt from others. Its tokens come from the one request
 * to the content worker; what is known of them from memory (bayes_cache.h). */
#include "lib/pipeline/stage_bayes.h"

#include "lib/base/clock.h"
#include "lib/bayes/classifier.h"
#include "lib/pipeline/bayes_cache.h"
#include "lib/pipeline/list_names.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

_Static_assert((int)BAYES_TOKENS_MAX == (int)INSPECT_TOKENS_MAX, "what a worker tells can be asked for and learnt");

enum { BAYES_SPAM_FOUND, BAYES_HAM_FOUND, BAYES_UNSURE, BAYES_UNAVAILABLE };
enum { USERS_MAX = 50 }; /* recipients who get a verdict of their own; the others get everybody's */

static const struct finding_code codes[] = {
    {"bayes.spam",
     {ACTION_IGNORE, 0},
     0,
     "7.1",
     "The message looks like spam",
     "by what was learnt it is spam: bayes.spam_at; its points are those of bayes.spam_points unless policy names it"},
    {"bayes.ham",
     {ACTION_IGNORE, 0},
     0,
     "7.1",
     "The message looks like spam",
     "by what was learnt it is good mail: bayes.ham_at; its points, which are taken off, are those of "
     "bayes.ham_points"},
    {"bayes.unsure",
     {ACTION_IGNORE, 0},
     0,
     "7.1",
     "The message looks like spam",
     "what was learnt does not tell: between ham_at and spam_at, with up to half of bayes.spam_points"},
    {"bayes.unavailable",
     {ACTION_IGNORE, 0},
     0,
     "3.0",
     "The message could not be checked, please try again later",
     "the store did not say what was learnt, and it is not in memory"},
    {.code = NULL},
};

#define ROW(member, name_, type_, fallback_, min_, max_, help_)                                                        \
	{                                                                                                                  \
		.name = name_, .type = type_, .offset = offsetof(struct bayes_settings, member), .fallback = fallback_,        \
		.min = min_, .max = max_, .help = help_                                                                        \
	}

static const struct option_row options[] = {
    ROW(min_learnt, "min_learnt", OPTION_UINT, "200", 1, 1000000,
        "spam and ham that must have been learnt, of each so many, before there is a verdict"),
    ROW(per_user, "per_user", OPTION_BOOL, "no", 0, 0,
        "what a recipient has learnt counts for his mail, on top of what everybody has"),
    ROW(user_weight, "user_weight", OPTION_REAL, "10", 1, 1000,
        "a message that the recipient himself has learnt counts as so many of everybody's"),
    ROW(spam_at, "spam_at", OPTION_REAL, "0.95", 0, 1, "probability from which a message is bayes.spam"),
    ROW(ham_at, "ham_at", OPTION_REAL, "0.2", 0, 1, "probability up to which a message is bayes.ham"),
    ROW(spam_points, "spam_points", OPTION_REAL, "6", 0, 1000,
        "points at probability 1; half as many at spam_at, none at ham_at, and evenly between these"),
    ROW(ham_points, "ham_points", OPTION_REAL, "2", 0, 1000,
        "points that are taken off at probability 0; none at ham_at, and evenly between these"),
    ROW(cache_size, "cache_size", OPTION_SIZE, "128M", 1 << 20, UINT64_C(1) << 36,
        "memory for what was learnt, 16 to 43 bytes a token; owners beyond it are read from the store"),
    ROW(keep, "keep", OPTION_DURATION, "180d", 86400 * CLOCK_NS_PER_S, (uint64_t)36500 * 86400 * CLOCK_NS_PER_S,
        "so long a message that was learnt can be moved or un-learnt, for 8 bytes a token in the store"),
    ROW(expire, "expire", OPTION_DURATION, "180d", 86400 * CLOCK_NS_PER_S, (uint64_t)36500 * 86400 * CLOCK_NS_PER_S,
        "a token that was in one message only is forgotten after that time; not less than keep"),
    {.name = NULL},
};

static const char *finish(void *settings, struct arena *arena)
{
	const struct bayes_settings *bayes = settings;
	(void)arena;
	if (bayes->ham_at >= bayes->spam_at) {
		return "ham_at must be less than spam_at";
	}
	return bayes->expire < bayes->keep ? "expire must not be less than keep" : NULL;
}

bool bayes_wants_tokens(const struct session *session)
{
	return pipeline_runs(session, &stage_bayes) && session->message != NULL && engine_store(session->engine) != NULL;
}

double bayes_points(const struct bayes_settings *settings, double probability)
{
	double half = settings->spam_points / 2;
	if (probability <= settings->ham_at) {
		return settings->ham_at > 0 ? -settings->ham_points * (1 - probability / settings->ham_at) : 0;
	}
	if (probability < settings->spam_at) {
		return half * (probability - settings->ham_at) / (settings->spam_at - settings->ham_at);
	}
	return settings->spam_at < 1 ? half + half * (probability - settings->spam_at) / (1 - settings->spam_at)
	                             : settings->spam_points;
}

const char *bayes_owner_of(const struct session *session, const struct recipient *recipient)
{
	const char *users[LIST_NAMES_USERS];
	if (recipient->address.domain[0] == '\0') {
		return NULL;
	}
	size_t count =
	    list_names_users(session->arena, &recipient->address, session_globals(session)->recipient_delimiter, users);
	return strlen(users[count - 1]) <= BAYES_OWNER_MAX ? users[count - 1] : NULL;
}

/* ---- one verdict ---- */

static uint32_t times(uint32_t count, double weight)
{
	double product = (double)count * weight + 0.5;
	return product < UINT32_MAX ? (uint32_t)product : UINT32_MAX;
}

static uint32_t sum(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static struct classifier_counts together(struct bayes_counts all, struct bayes_counts own, double weight)
{
	return (struct classifier_counts){.spam = sum(all.spam, times(own.spam, weight)),
	                                  .ham = sum(all.ham, times(own.ham, weight))};
}

/* What everybody and (owner_count 2) a recipient have learnt. */
static void judge(struct session *session, const struct bayes_settings *settings, size_t owner_count,
                  const struct bayes_counts *totals, const struct bayes_counts *counts, struct session_bayes *bayes_r)
{
	size_t count = session->inspection.token_count;
	struct classifier_counts *tokens = arena_alloc(session->arena, count * sizeof *tokens);
	struct bayes_counts *known = arena_alloc(session->arena, count * sizeof *known);
	double *weights = engine_is_daemon(session->engine) ? NULL : arena_alloc(session->arena, count * sizeof *weights);
	struct bayes_counts none = {0, 0};
	struct bayes_counts own = owner_count > 1 ? totals[1] : none;
	*bayes_r = (struct session_bayes){.state = SESSION_BAYES_FEW,
	                                  .min_learnt = settings->min_learnt,
	                                  .learnt = {sum(totals[0].spam, own.spam), sum(totals[0].ham, own.ham)},
	                                  .tokens = count,
	                                  .counts = known,
	                                  .weights = weights};
	for (size_t i = 0; i < count; i++) {
		struct bayes_counts own_counts = owner_count > 1 ? counts[count + i] : none;
		tokens[i] = together(counts[i], own_counts, settings->user_weight);
		known[i] = (struct bayes_counts){sum(counts[i].spam, own_counts.spam), sum(counts[i].ham, own_counts.ham)};
		bayes_r->known += known[i].spam > 0 || known[i].ham > 0;
	}
	if (bayes_r->learnt.spam >= settings->min_learnt && bayes_r->learnt.ham >= settings->min_learnt) {
		bayes_r->state = SESSION_BAYES_JUDGED;
		bayes_r->probability = classifier_classify(together(totals[0], own, settings->user_weight),
		                                           session->inspection.tokens, tokens, count, weights);
	}
}

/* recipient: FINDING_ALL_RECIPIENTS, or an index. */
static void state(struct session *session, const struct bayes_settings *settings, const struct session_bayes *bayes,
                  int recipient, bool own)
{
	double p = bayes->probability;
	if (bayes->state != SESSION_BAYES_JUDGED) {
		return;
	}
	const struct finding_code *code = p >= settings->spam_at  ? &codes[BAYES_SPAM_FOUND]
	                                  : p <= settings->ham_at ? &codes[BAYES_HAM_FOUND]
	                                                          : &codes[BAYES_UNSURE];
	const char *detail = arena_printf(session->arena, "probability %.4f, %zu of %zu tokens known%s", p, bayes->known,
	                                  bayes->tokens, own ? ", with what the recipient has learnt" : "");
	struct action *action = arena_alloc(session->arena, sizeof *action);
	*action = (struct action){.kind = ACTION_SCORE, .score = bayes_points(settings, p)};
	struct finding *finding = recipient == FINDING_ALL_RECIPIENTS
	                              ? session_find(session, code, detail, NULL)
	                              : session_find_for(session, (size_t)recipient, code, detail, NULL);
	finding->own = action;
}

/* ---- for whom ---- */

struct reading {
	struct bayes_counts totals[2];
	struct bayes_counts *counts;
};

static bool read_counts(struct session *session, const char *owner, struct reading *reading)
{
	const char *const owners[] = {"", owner};
	const struct inspect_reply *reply = &session->inspection;
	size_t owner_count = owner == NULL ? 1 : 2;
	reading->counts = arena_alloc(session->arena, 2 * reply->token_count * sizeof *reading->counts);
	reading->totals[1] = (struct bayes_counts){0, 0};
	return bayes_cache_read(engine_bayes(session->engine), owners, owner_count, reply->tokens, reply->token_count,
	                        reading->totals, reading->counts);
}

/* Has he learnt anything? Then he gets a verdict of his own. */
static bool judge_recipient(struct session *session, const struct bayes_settings *settings, size_t index,
                            struct session_bayes *bayes_r)
{
	struct reading reading;
	const char *owner = bayes_owner_of(session, &session->recipients[index]);
	if (owner == NULL || !read_counts(session, owner, &reading) ||
	    (reading.totals[1].spam == 0 && reading.totals[1].ham == 0)) {
		return false;
	}
	judge(session, settings, 2, reading.totals, reading.counts, bayes_r);
	return true;
}

/* Where nobody has learnt anything by himself there is one finding for all. */
static void judge_recipients(struct session *session, const struct bayes_settings *settings)
{
	size_t count = session->recipient_count < USERS_MAX ? session->recipient_count : USERS_MAX;
	struct session_bayes *own = arena_alloc(session->arena, count * sizeof *own);
	bool *is_own = arena_alloc(session->arena, count * sizeof *is_own);
	bool any = false;
	for (size_t i = 0; i < count && settings->per_user; i++) {
		is_own[i] = !session->recipients[i].refused && judge_recipient(session, settings, i, &own[i]);
		any = any || is_own[i];
	}
	if (!any) {
		state(session, settings, session->bayes, FINDING_ALL_RECIPIENTS, false);
		return;
	}
	for (size_t i = 0; i < session->recipient_count; i++) {
		bool his = i < count && is_own[i];
		state(session, settings, his ? &own[i] : session->bayes, (int)i, his);
	}
	if (session->recipient_count == 1) {
		*session->bayes = own[0];
	}
}

static enum stage_progress bayes_end(struct session *session, const void *settings)
{
	struct reading reading;
	if (!bayes_wants_tokens(session)) {
		return STAGE_DONE;
	}
	if (!session->inspected) {
		return STAGE_PENDING;
	}
	if (session->inspection.token_count == 0) {
		return STAGE_DONE; /* no worker has looked at it, of which stage_inspect tells; or there is nothing in it */
	}
	session->bayes = arena_alloc(session->arena, sizeof *session->bayes);
	if (!read_counts(session, NULL, &reading)) {
		session->bayes->state = SESSION_BAYES_UNAVAILABLE;
		session_find(session, &codes[BAYES_UNAVAILABLE], "the store did not answer", NULL);
		return STAGE_DONE;
	}
	judge(session, settings, 1, reading.totals, reading.counts, session->bayes);
	judge_recipients(session, settings);
	return STAGE_DONE;
}

const struct stage stage_bayes = {
    .section = {.name = "bayes",
                .help = "What was learnt from spam and good mail (mailreeve learn) gives the points of inbound mail. "
                        "Nothing happens before enough is learnt.",
                .options = options,
                .settings_size = sizeof(struct bayes_settings),
                .codes = codes,
                .mode = MODE_ENFORCE,
                .finish = finish},
    .inbound = true,
    .on = {[PHASE_END] = bayes_end},
};
