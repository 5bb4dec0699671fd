/* Lists in the DNS of clients and of domains (RFC 5782). Clients are asked for from connect on, domains as soon as they
 * are known, hosts of links when the content worker has found them; what a list answers is waited for no longer than
 * dnsbl.timeout. */
#include "lib/pipeline/stage_dnsbl.h"

#include "lib/base/clock.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/dnsbl_check.h"
#include "lib/pipeline/dnsbl_find.h"
#include "lib/pipeline/dnsbl_health.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <stddef.h>

enum { AUTHORS_MAX = 8, FIELDS_MAX = 3 };

#define ROW(member, name_, type_, fallback_, min_, max_, help_)                                                        \
	{                                                                                                                  \
		.name = name_, .type = type_, .offset = offsetof(struct dnsbl_settings, member), .fallback = fallback_,        \
		.min = min_, .max = max_, .help = help_                                                                        \
	}

static const char *check_list(struct arena *arena, const char *text)
{
	struct dnsbl_list list;
	return dnsbl_list_parse(arena, text, &list);
}

static const struct option_row options[] = {
    {.name = "lists",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct dnsbl_settings, list_texts),
     .fallback = "",
     .help = "lists that are asked, each \"NAME or ZONE [word=value | action]...\"; mailreeve dnsbl known prints the "
             "ready ones",
     .check = check_list,
     .shown = dnsbl_text_public},
    {.name = "rules",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct dnsbl_settings, rule_texts),
     .fallback = "",
     .help =
         "\"N of NAME NAME...: action\" or \"N of any: action\": so many of these lists name the client or a domain",
     .check = dnsbl_rule_check},
    ROW(timeout, "timeout", OPTION_DURATION, "5s", CLOCK_NS_PER_MS, 60 * CLOCK_NS_PER_S,
        "how long the answer of a list is waited for; then it is dnsbl.error"),
    ROW(links_max, "links_max", OPTION_UINT, "30", 0, INSPECT_HOSTS_MAX,
        "hosts of a message's links that lists of domains are asked about"),
    ROW(at_rcpt, "at_rcpt", OPTION_BOOL, "no", 0, 0,
        "act on the client's listings at RCPT already, before an allow entry by DKIM can be known"),
    ROW(outbound, "outbound", OPTION_BOOL, "no", 0, 0, "ask about the domains and links of outbound mail too"),
    ROW(test_interval, "test_interval", OPTION_DURATION, "1h", 0, 7 * 86400 * CLOCK_NS_PER_S,
        "how often the test entries of a list are asked for (RFC 5782); one that fails is not asked any more; 0: "
        "never"),
    ROW(test_retry, "test_retry", OPTION_DURATION, "5m", CLOCK_NS_PER_S, 86400 * CLOCK_NS_PER_S,
        "the same of a list that has failed"),
    {.name = NULL},
};

/* For those who may use these lists: small sites with a resolver of their own. */
static const char example[] =
    "A good set for a site with its own resolver, within the terms of these lists:\n"
    "lists = {\"spamhaus-zen reject\",                  # key_file=/etc/mailreeve/dqs.key for the Data Query Service\n"
    "         \"spamhaus-dbl on=from,sender,helo,ptr,reply_to reject\",\n"
    "         \"spamhaus-dbl name=spamhaus-dbl-links on=url score=5\",\n"
    "         \"surbl on=url score=5\", \"spamcop score=2\", \"psbl score=1.5\", \"mailspike score=2\",\n"
    "         \"dnswl\"}                                # good ones: lift dnsbl.listed\n"
    "rules = {\"3 of spamcop psbl mailspike: reject\"}\n";

static const char *finish(void *settings, struct arena *arena)
{
	struct dnsbl_settings *dnsbl = settings;
	return dnsbl_lists_parse(arena, dnsbl->list_texts, dnsbl->rule_texts, &dnsbl->lists);
}

/* ---- whether, and about whom ---- */

static bool is_asked(const struct session *session, const struct dnsbl_list *list)
{
	const char *problem;
	return dnsbl_health_state(engine_dnsbl_health(session->engine), list, NULL, &problem) != DNSBL_STATE_SICK;
}

static bool wants(const struct session *session, const struct dnsbl_settings *dnsbl)
{
	return dnsbl->lists.count > 0 && (session->direction == DIRECTION_INBOUND || dnsbl->outbound);
}

static void ask_client(struct session *session, const struct dnsbl_settings *dnsbl, struct dnsbl_check *check)
{
	check->client = true;
	for (size_t i = 0; i < dnsbl->lists.count; i++) {
		const struct dnsbl_list *list = &dnsbl->lists.items[i];
		if (list->kind != DNSBL_DOMAIN && is_asked(session, list)) {
			dnsbl_check_address(check, list, DNSBL_PLACE_CLIENT, &session->client);
		}
	}
}

static void ask_domain(struct session *session, const struct dnsbl_settings *dnsbl, enum dnsbl_place place,
                       const char *domain)
{
	if (domain == NULL || domain_labels(domain) < 2) {
		return;
	}
	for (size_t i = 0; i < dnsbl->lists.count; i++) {
		const struct dnsbl_list *list = &dnsbl->lists.items[i];
		if (list->kind == DNSBL_DOMAIN && (list->places & 1U << place) != 0 && is_asked(session, list)) {
			dnsbl_check_domain(session->dnsbl, list, place, domain);
		}
	}
}

static const char *host_domain(struct session *session, const char *host)
{
	struct ip ip;
	return host[0] == '[' || ip_parse(host, &ip) ? NULL : domain_canonical(session->arena, slice_from(host));
}

static void ask_envelope(struct session *session, const struct dnsbl_settings *dnsbl)
{
	session->dnsbl->envelope = true;
	ask_domain(session, dnsbl, DNSBL_SENDER, session->mail_from.domain);
	if (session->direction == DIRECTION_INBOUND && session->client_known) {
		ask_domain(session, dnsbl, DNSBL_HELO, host_domain(session, session->helo));
		ask_domain(session, dnsbl, DNSBL_PTR, host_domain(session, session->client_name));
	}
}

static void ask_field(struct session *session, const struct dnsbl_settings *dnsbl, enum dnsbl_place place,
                      const char *name)
{
	const struct header *field;
	for (size_t i = 0; i < FIELDS_MAX && (field = headers_find(session_headers(session), name, i)) != NULL; i++) {
		struct address_list *list = arena_alloc(session->arena, sizeof *list);
		address_parse_list(session->arena, field->value, list);
		for (size_t k = 0; k < list->count && k < AUTHORS_MAX; k++) {
			ask_domain(session, dnsbl, place, list->items[k].domain);
		}
	}
}

static void ask_header(struct session *session, const struct dnsbl_settings *dnsbl)
{
	session->dnsbl->header = true;
	ask_field(session, dnsbl, DNSBL_FROM, "From");
	ask_field(session, dnsbl, DNSBL_REPLY_TO, "Reply-To");
}

static void ask_link(struct session *session, const struct dnsbl_settings *dnsbl, const char *host)
{
	struct ip ip;
	if (!ip_parse(host, &ip)) {
		ask_domain(session, dnsbl, DNSBL_URL, host_domain(session, host));
		return;
	}
	for (size_t i = 0; i < dnsbl->lists.count; i++) {
		const struct dnsbl_list *list = &dnsbl->lists.items[i];
		if (list->addresses && (list->places & 1U << DNSBL_URL) != 0 && is_asked(session, list)) {
			dnsbl_check_address(session->dnsbl, list, DNSBL_URL, &ip);
		}
	}
}

static void ask_content(struct session *session, const struct dnsbl_settings *dnsbl)
{
	const struct inspect_reply *reply = &session->inspection;
	session->dnsbl->links = true;
	for (size_t i = 0; i < reply->signature_count; i++) {
		if (reply->signatures[i].result == AUTH_PASS) {
			ask_domain(session, dnsbl, DNSBL_DKIM, reply->signatures[i].domain);
		}
	}
	size_t count = reply->host_count < dnsbl->links_max ? reply->host_count : dnsbl->links_max;
	for (size_t i = 0; i < count; i++) {
		ask_link(session, dnsbl, reply->hosts[i]);
	}
	session->dnsbl->unasked = reply->host_count - count;
}

static bool any_place(const struct dnsbl_lists *lists, unsigned places)
{
	for (size_t i = 0; i < lists->count; i++) {
		if ((lists->items[i].places & places) != 0) {
			return true;
		}
	}
	return false;
}

bool dnsbl_wants_links(const struct session *session)
{
	const struct dnsbl_settings *dnsbl = config_settings(session->config, stages_section(&stage_dnsbl));
	return pipeline_runs(session, &stage_dnsbl) && wants(session, dnsbl) && dnsbl->links_max > 0 &&
	       any_place(&dnsbl->lists, 1U << DNSBL_URL);
}

/* ---- hooks ---- */

static bool advance(struct session *session, const struct dnsbl_settings *dnsbl)
{
	bool inbound = session->direction == DIRECTION_INBOUND; /* an own user's address is nobody's business */
	struct dnsbl_check *checks[] = {inbound ? session->dnsbl_client : NULL, session->dnsbl};
	bool all = true;
	for (size_t i = 0; i < 2; i++) {
		uint64_t next;
		if (checks[i] != NULL && !dnsbl_check_advance(checks[i], session->lookups, dnsbl->timeout, &next)) {
			session_wake(session, next);
			all = false;
		}
	}
	return all;
}

static enum stage_progress dnsbl_connect(struct session *session, const void *settings)
{
	const struct dnsbl_settings *dnsbl = settings;
	if (dnsbl->lists.count > 0 && session->client_known && session->direction == DIRECTION_INBOUND) {
		session->dnsbl_client = dnsbl_check_create(session->connection);
		ask_client(session, dnsbl, session->dnsbl_client);
		advance(session, dnsbl);
	}
	return STAGE_DONE;
}

/* What is known by now is asked for; true: all that was asked has an answer. */
static bool ask(struct session *session, const struct dnsbl_settings *dnsbl, bool header)
{
	if (session->dnsbl == NULL) {
		session->dnsbl = dnsbl_check_create(session->arena);
		if (session->dnsbl_client != NULL) {
			dnsbl_check_retry(session->dnsbl_client);
		}
	}
	bool inbound = session->direction == DIRECTION_INBOUND;
	if (inbound && session->client_known && session->dnsbl_client == NULL && !session->dnsbl->client) {
		ask_client(session, dnsbl, session->dnsbl);
	}
	if (!session->dnsbl->envelope && session->client_known) {
		ask_envelope(session, dnsbl);
	}
	if (header && !session->dnsbl->header && session->message != NULL) {
		ask_header(session, dnsbl);
	}
	return advance(session, dnsbl);
}

static enum stage_progress dnsbl_mail(struct session *session, const void *settings)
{
	if (wants(session, settings)) {
		ask(session, settings, false);
	}
	return STAGE_DONE;
}

/* Only all answers about the client together say what he is worth. */
static enum stage_progress dnsbl_rcpt(struct session *session, const void *settings)
{
	const struct dnsbl_settings *dnsbl = settings;
	uint64_t next;
	if (!wants(session, dnsbl) || session->direction != DIRECTION_INBOUND) {
		return STAGE_DONE;
	}
	ask(session, dnsbl, false);
	if (dnsbl->at_rcpt && session->dnsbl_client != NULL && !session->dnsbl->stated &&
	    dnsbl_check_advance(session->dnsbl_client, session->lookups, dnsbl->timeout, &next)) {
		dnsbl_find_client(session, dnsbl);
	}
	return STAGE_DONE;
}

static enum stage_progress dnsbl_headers(struct session *session, const void *settings)
{
	if (wants(session, settings)) {
		ask(session, settings, true);
	}
	return STAGE_DONE;
}

static enum stage_progress dnsbl_end(struct session *session, const void *settings)
{
	const struct dnsbl_settings *dnsbl = settings;
	if (!wants(session, dnsbl)) {
		return STAGE_DONE;
	}
	bool content = session->message != NULL && any_place(&dnsbl->lists, 1U << DNSBL_URL | 1U << DNSBL_DKIM);
	bool all = ask(session, dnsbl, true);
	if (content && session->inspected && !session->dnsbl->links) {
		ask_content(session, dnsbl);
		all = advance(session, dnsbl);
	}
	if (!all || (content && !session->inspected)) {
		return STAGE_PENDING;
	}
	dnsbl_find_client(session, dnsbl);
	dnsbl_find_message(session, dnsbl);
	return STAGE_DONE;
}

const struct stage stage_dnsbl = {
    .section =
        {.name = "dnsbl",
         .help =
             "Lists in the DNS of clients and domains, bad and good (RFC 5782). None is asked unless it is named here.",
         .options = options,
         .settings_size = sizeof(struct dnsbl_settings),
         .codes = dnsbl_codes,
         .mode = MODE_ENFORCE,
         .finish = finish,
         .example = example},
    .inbound = true,
    .outbound = true,
    .on = {[PHASE_CONNECT] = dnsbl_connect,
           [PHASE_MAIL] = dnsbl_mail,
           [PHASE_RCPT] = dnsbl_rcpt,
           [PHASE_HEADERS] = dnsbl_headers,
           [PHASE_END] = dnsbl_end},
};
