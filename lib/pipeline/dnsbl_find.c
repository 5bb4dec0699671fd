#include "lib/pipeline/dnsbl_find.h"

#include "lib/pipeline/dnsbl_check.h"
#include "lib/pipeline/dnsbl_health.h"
#include "lib/pipeline/pipeline.h"

enum { LISTED, DOMAIN, URL, RULE, ALLOWED, ERROR, SICK, LINKS_LIMIT };

const struct finding_code dnsbl_codes[] = {
    [LISTED] = {"dnsbl.listed",
                {ACTION_REJECT, 0},
                FINDING_AT_RCPT,
                "7.1",
                "The client's address is on a block list",
                "a list of clients names the client; the action of the list in dnsbl.lists goes before this default"},
    [DOMAIN] = {"dnsbl.domain",
                {ACTION_REJECT, 0},
                0,
                "7.1",
                "A domain of the message is on a block list",
                "a list of domains names one of From, Reply-To, envelope sender, HELO, PTR or a DKIM signature; the "
                "list's own "
                "action goes first"},
    [URL] = {"dnsbl.url",
             {ACTION_TAG, 0},
             0,
             "7.1",
             "The message links to a site on a block list",
             "a list of domains names a host that a link leads to; the list's own action goes first"},
    [RULE] = {"dnsbl.rule",
              {ACTION_REJECT, 0},
              0,
              "7.1",
              "The client or its message is on several block lists",
              "as many lists as one of dnsbl.rules asks for; the rule's own action goes first"},
    [ALLOWED] = {"dnsbl.allowed",
                 {ACTION_IGNORE, 0},
                 0,
                 "7.1",
                 "The client is on a list of good ones",
                 "a list of good clients names the client; where the list says lift, dnsbl.listed is not found"},
    [ERROR] = {"dnsbl.error",
               {ACTION_IGNORE, 0},
               0,
               "4.3",
               "A block list could not be asked, please try again later",
               "a list gave no answer in time, or one that does not mean listed (127.255.255.0/24, not in codes)"},
    [SICK] = {"dnsbl.sick",
              {ACTION_IGNORE, 0},
              0,
              "4.3",
              "A block list is out of order, please try again later",
              "a list failed its test (RFC 5782 5) or lists everything: it is not believed"},
    [LINKS_LIMIT] = {"dnsbl.links_limit",
                     {ACTION_IGNORE, 0},
                     0,
                     "7.1",
                     "The message has too many links",
                     "links lead to more hosts than dnsbl.links_max, and not all were asked about"},
    {.code = NULL},
};

enum { SUBJECTS_TOLD = 4 };

/* Findings of one list are one: its points count once. */
struct hits {
	const struct dnsbl_question *worst; /* the strictest; NULL: none */
	size_t count;
	struct strbuf subjects;
};

typedef bool hits_filter(const struct dnsbl_question *question);

static bool is_listed(const struct dnsbl_question *question)
{
	return question->done && question->result == DNSBL_LISTED;
}

static bool of_client(const struct dnsbl_question *question)
{
	return (question->places & DNSBL_PLACE_BIT(DNSBL_PLACE_CLIENT)) != 0 && is_listed(question);
}

static bool of_domain(const struct dnsbl_question *question)
{
	unsigned others = DNSBL_PLACE_BIT(DNSBL_PLACE_CLIENT) | DNSBL_PLACE_BIT(DNSBL_URL);
	return (question->places & ~others) != 0 && is_listed(question);
}

static bool of_url(const struct dnsbl_question *question)
{
	return (question->places & DNSBL_PLACE_BIT(DNSBL_URL)) != 0 && is_listed(question);
}

static bool is_error(const struct dnsbl_question *question)
{
	return question->done && question->result == DNSBL_ERROR && !question->wildcard;
}

static bool is_wildcard(const struct dnsbl_question *question)
{
	return question->done && question->wildcard;
}

/* How much a listing counts: its action, then its points. */
static bool is_worse(const struct dnsbl_question *a, const struct dnsbl_question *b)
{
	if (a->result != DNSBL_LISTED || b->result != DNSBL_LISTED) {
		return false;
	}
	struct action x = dnsbl_action_of(a->list, a->match.code).action;
	struct action y = dnsbl_action_of(b->list, b->match.code).action;
	return x.kind != y.kind ? x.kind > y.kind : x.score > y.score;
}

static void hits_add(struct session *session, const struct dnsbl_check *check, const struct dnsbl_list *list,
                     hits_filter *filter, struct hits *hits)
{
	for (size_t i = 0; check != NULL && i < check->count; i++) {
		const struct dnsbl_question *question = &check->questions[i];
		if (question->list != list || !filter(question)) {
			continue;
		}
		if (hits->count++ < SUBJECTS_TOLD) {
			strbuf_printf(&hits->subjects, "%s%s", hits->count == 1 ? "" : ", ",
			              dnsbl_question_subject(session->arena, question));
		}
		if (hits->worst == NULL || is_worse(question, hits->worst)) {
			hits->worst = question;
		}
	}
}

static struct hits hits_of(struct session *session, const struct dnsbl_list *list, hits_filter *filter)
{
	struct hits hits = {.worst = NULL};
	strbuf_init(&hits.subjects, session->arena);
	hits_add(session, session->direction == DIRECTION_INBOUND ? session->dnsbl_client : NULL, list, filter, &hits);
	hits_add(session, session->dnsbl, list, filter, &hits);
	if (hits.count > SUBJECTS_TOLD) {
		strbuf_printf(&hits.subjects, " and %zu more", hits.count - SUBJECTS_TOLD);
	}
	return hits;
}

/* ---- findings ---- */

static void set_own(struct session *session, struct finding *finding, struct dnsbl_action own)
{
	if (own.given && !own.lift) {
		struct action *action = arena_alloc(session->arena, sizeof *action);
		*action = own.action;
		finding->own = action;
	}
}

/* "192.0.2.1 is listed by spamcop (SBL); see https://..." */
static const char *listing_reply(struct session *session, const struct dnsbl_question *question)
{
	struct arena *arena = session->arena;
	const char *page = dnsbl_page(arena, question->list, question->subject);
	const char *what = of_client(question) ? "Client host" : of_domain(question) ? "Domain" : "Linked site";
	return arena_printf(arena, "%s %s is listed by %s (%s)%s%s%s%s", what, question->subject, question->list->name,
	                    question->match.names, page == NULL ? "" : "; see ", page == NULL ? "" : page,
	                    question->text == NULL ? "" : "; it says: ", question->text == NULL ? "" : question->text);
}

static void find_listing(struct session *session, const struct finding_code *code, const struct hits *hits)
{
	const struct dnsbl_question *worst = hits->worst;
	const char *detail =
	    arena_printf(session->arena, "%s (%s): %s%s%s", worst->list->name, worst->match.names, hits->subjects.data,
	                 worst->text == NULL ? "" : "; ", worst->text == NULL ? "" : worst->text);
	struct finding *finding = session_find(session, code, detail, listing_reply(session, worst));
	set_own(session, finding, dnsbl_action_of(worst->list, worst->match.code));
}

/* Good lists come first: is there one that lifts what the others say? */
static void find_allowed(struct session *session, const struct dnsbl_lists *lists)
{
	for (size_t i = 0; i < lists->count; i++) {
		struct hits hits = hits_of(session, &lists->items[i], of_client);
		if (lists->items[i].kind == DNSBL_ALLOW && hits.count > 0) {
			struct dnsbl_action own = dnsbl_action_of(hits.worst->list, hits.worst->match.code);
			session->dnsbl_allowed = session->dnsbl_allowed || own.lift;
			struct finding *finding = session_find(session, &dnsbl_codes[ALLOWED],
			                                       arena_printf(session->arena, "%s (%s): %s", hits.worst->list->name,
			                                                    hits.worst->match.names, hits.subjects.data),
			                                       NULL);
			set_own(session, finding, own);
		}
	}
}

void dnsbl_find_client(struct session *session, const struct dnsbl_settings *settings)
{
	const struct dnsbl_lists *lists = &settings->lists;
	if (session->dnsbl->stated || session->direction != DIRECTION_INBOUND) {
		return;
	}
	session->dnsbl->stated = true;
	find_allowed(session, lists);
	for (size_t i = 0; i < lists->count && !session->dnsbl_allowed; i++) {
		struct hits hits = hits_of(session, &lists->items[i], of_client);
		if (lists->items[i].kind == DNSBL_CLIENT && hits.count > 0) {
			find_listing(session, &dnsbl_codes[LISTED], &hits);
		}
	}
}

/* Bit i: lists[i] names the client or a domain. */
static uint64_t lists_that_name(struct session *session, const struct dnsbl_lists *lists)
{
	uint64_t found = 0;
	for (size_t i = 0; i < lists->count; i++) {
		const struct dnsbl_list *list = &lists->items[i];
		bool client = list->kind == DNSBL_CLIENT && session->direction == DIRECTION_INBOUND &&
		              !session->dnsbl_allowed && hits_of(session, list, of_client).count > 0;
		bool domain = list->kind == DNSBL_DOMAIN && hits_of(session, list, is_listed).count > 0;
		found |= (uint64_t)(client || domain) << i;
	}
	return found;
}

static void find_rules(struct session *session, const struct dnsbl_lists *lists)
{
	uint64_t found = lists->rule_count == 0 ? 0 : lists_that_name(session, lists);
	for (size_t i = 0; i < lists->rule_count; i++) {
		const struct dnsbl_rule *rule = &lists->rules[i];
		unsigned count = (unsigned)__builtin_popcountll(found & rule->members);
		if (count < rule->least) {
			continue;
		}
		struct strbuf names;
		strbuf_init(&names, session->arena);
		for (size_t k = 0; k < lists->count; k++) {
			if ((found & rule->members & UINT64_C(1) << k) != 0) {
				strbuf_printf(&names, "%s%s", names.len == 0 ? "" : ", ", lists->items[k].name);
			}
		}
		struct finding *finding = session_find(
		    session, &dnsbl_codes[RULE], arena_printf(session->arena, "\"%s\": %s", rule->text, names.data),
		    arena_printf(session->arena, "The client or its message is listed by %s", names.data));
		set_own(session, finding, rule->action);
	}
}

static void find_trouble(struct session *session, const struct dnsbl_list *list)
{
	const char *problem;
	enum dnsbl_state state = dnsbl_health_state(engine_dnsbl_health(session->engine), list, session->arena, &problem);
	struct hits wild = hits_of(session, list, is_wildcard);
	struct hits errors = hits_of(session, list, is_error);
	if (state == DNSBL_STATE_SICK) {
		session_find(session, &dnsbl_codes[SICK], arena_printf(session->arena, "%s: %s", list->name, problem), NULL);
	} else if (wild.count > 0) {
		session_find(session, &dnsbl_codes[SICK],
		             arena_printf(session->arena, "%s: %s", list->name, wild.worst->match.problem), NULL);
	}
	if (errors.count > 0) {
		session_find(
		    session, &dnsbl_codes[ERROR],
		    arena_printf(session->arena, "%s: %s: %s", list->name, errors.subjects.data, errors.worst->match.problem),
		    NULL);
	}
}

void dnsbl_find_message(struct session *session, const struct dnsbl_settings *settings)
{
	const struct dnsbl_lists *lists = &settings->lists;
	for (size_t i = 0; i < lists->count; i++) {
		struct hits domains = hits_of(session, &lists->items[i], of_domain);
		struct hits urls = hits_of(session, &lists->items[i], of_url);
		if (domains.count > 0) {
			find_listing(session, &dnsbl_codes[DOMAIN], &domains);
		}
		if (urls.count > 0) {
			find_listing(session, &dnsbl_codes[URL], &urls);
		}
		if (lists->items[i].kind == DNSBL_DOMAIN || session->direction == DIRECTION_INBOUND) {
			find_trouble(session, &lists->items[i]);
		}
	}
	find_rules(session, lists);
	if (session->dnsbl->unasked > 0 || (session->dnsbl->links && session->inspection.hosts_cut)) {
		session_find(session, &dnsbl_codes[LINKS_LIMIT],
		             arena_printf(session->arena, "%zu hosts not asked about%s", session->dnsbl->unasked,
		                          session->inspection.hosts_cut ? ", and more that were not counted" : ""),
		             NULL);
	}
}

static void summary_add(struct session *session, const struct dnsbl_check *check, struct strbuf *text)
{
	for (size_t i = 0; check != NULL && i < check->count; i++) {
		const struct dnsbl_question *question = &check->questions[i];
		if (is_listed(question)) {
			strbuf_printf(text, "; %s: %s", question->list->name, dnsbl_question_subject(session->arena, question));
		}
	}
}

const char *dnsbl_summary(struct session *session)
{
	struct strbuf text;
	size_t questions = (session->dnsbl_client == NULL ? 0 : session->dnsbl_client->count) +
	                   (session->dnsbl == NULL ? 0 : session->dnsbl->count);
	strbuf_init(&text, session->arena);
	strbuf_printf(&text, "%zu question%s", questions, questions == 1 ? "" : "s");
	summary_add(session, session->dnsbl_client, &text);
	summary_add(session, session->dnsbl, &text);
	return text.data;
}
