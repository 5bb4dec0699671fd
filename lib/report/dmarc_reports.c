#include "lib/report/dmarc_reports.h"

#include "lib/auth/dmarc_walk.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"
#include "lib/report/dmarc_mail.h"
#include "lib/report/dmarc_uri.h"
#include "lib/report/dmarc_xml.h"
#include "lib/report/submit.h"

#include <stddef.h>

#define SECOND CLOCK_NS_PER_S
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

enum {
	ADDRESSES_MAX = 4, /* of a report: RFC 9990 wants two at least */
	ATTEMPTS_MAX = 8,  /* over about a day */
	RETRY_FIRST = 900, /* seconds; each later pause is twice as long */
	LEASE = 1800,      /* seconds in which nobody else takes a report */
	DNS_SECONDS = 20,
	SUBMIT_SECONDS = 60,
	ID_HASH_BASIS = 5381
};

static const struct option_word failure_levels[] = {
    {"off", DMARC_FAILURE_OFF}, {"redacted", DMARC_FAILURE_REDACTED}, {"subject", DMARC_FAILURE_SUBJECT}, {NULL, 0}};

static const struct option_row options[] = {
    {.name = "email",
     .type = OPTION_STRING,
     .offset = offsetof(struct dmarc_reports_options, email),
     .fallback = "",
     .max = 254,
     .help = "address that DMARC aggregate reports are sent from, in a domain that we sign for; empty: none are made"},
    {.name = "org_name",
     .type = OPTION_STRING,
     .offset = offsetof(struct dmarc_reports_options, org_name),
     .fallback = "",
     .max = 100,
     .help = "who reports, for people; empty: the domain of email"},
    {.name = "contact",
     .type = OPTION_STRING,
     .offset = offsetof(struct dmarc_reports_options, contact),
     .fallback = "",
     .max = 200,
     .help = "further contact in the reports, say a URL; empty: none"},
    {.name = "relay",
     .type = OPTION_STRING,
     .offset = offsetof(struct dmarc_reports_options, relay),
     .fallback = "smtp:127.0.0.1:25",
     .min = 1,
     .max = 300,
     .help = "MTA that sends them, smtp:HOST:PORT or sendmail:/PATH; it must give them to us to be signed"},
    {.name = "spread",
     .type = OPTION_DURATION,
     .offset = offsetof(struct dmarc_reports_options, spread),
     .fallback = "6h",
     .max = 18 * HOUR,
     .help = "the reports of a day (UTC) are sent over that time behind its end"},
    {.name = "rows_max",
     .type = OPTION_UINT,
     .offset = offsetof(struct dmarc_reports_options, rows_max),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .help = "rows of a report; those with fewest messages are left out"},
    {.name = "keep",
     .type = OPTION_DURATION,
     .offset = offsetof(struct dmarc_reports_options, keep),
     .fallback = "7d",
     .min = 2 * DAY,
     .max = 365 * DAY,
     .help = "how long the rows are kept"},
    {.name = "failure",
     .type = OPTION_WORD,
     .offset = offsetof(struct dmarc_reports_options, failure),
     .fallback = "off",
     .words = failure_levels,
     .help = "failure reports (RFC 9991) about single messages, to who asks for them, with neither body nor Subject and "
             "local parts hashed, or the same with the Subject"},
    {.name = "failure_max",
     .type = OPTION_UINT,
     .offset = offsetof(struct dmarc_reports_options, failure_max),
     .fallback = "50",
     .min = 1,
     .max = 10000,
     .help = "failure reports about mail of one domain on one day (UTC); more are not made"},
    {.name = NULL},
};

const struct section dmarc_reports_section = {
    .name = "dmarc_reports",
    .help = "DMARC aggregate reports to the domains whose mail we judge (RFC 9990), one for each day.",
    .options = options,
    .settings_size = sizeof(struct dmarc_reports_options),
};

/* ---- making one ---- */

/* Spreads domains evenly, the same way each day (djb2). */
static uint32_t hash(const char *text)
{
	uint32_t h = ID_HASH_BASIS;
	for (; *text != '\0'; text++) {
		h = h * 33 + (unsigned char)*text;
	}
	return h;
}

int64_t dmarc_reports_due(const struct dmarc_reports_options *options_of, int64_t day, const char *domain)
{
	uint64_t spread = options_of->spread / SECOND;
	return (day + 1) * DMARC_DAY + (spread == 0 ? 0 : (int64_t)(hash(domain) % spread));
}

/* The same for each try, so that a report that comes twice is seen to be one. */
static const char *report_id(struct arena *arena, const struct dmarc_reporter *reporter,
                             const struct dmarc_rows_report *report)
{
	return arena_printf(arena, "%lld.%08x%08x", (long long)report->day, hash(report->domain),
	                    hash(reporter->submitter));
}

static const char *email_domain(const char *email)
{
	const char *at = strrchr(email, '@');
	return at == NULL ? email : at + 1;
}

static const char *org_name(const struct dmarc_reports_options *options_of)
{
	return options_of->org_name[0] != '\0' ? options_of->org_name : email_domain(options_of->email);
}

struct composing {
	struct strbuf xml;
	bool any;
};

static bool on_row(void *context, struct slice before, int64_t messages, struct slice after)
{
	struct composing *composing = context;
	composing->any = true;
	dmarc_xml_add(&composing->xml, before, (uint64_t)messages, after);
	return true;
}

bool dmarc_reports_xml(const struct dmarc_reporter *reporter, struct arena *arena,
                       const struct dmarc_rows_report *report, struct slice *xml_r)
{
	const struct dmarc_reports_options *of = reporter->options;
	struct composing composing = {.any = false};
	strbuf_init(&composing.xml, arena);
	dmarc_xml_begin(&composing.xml, &(struct dmarc_xml_report){
	                                    .org_name = org_name(of),
	                                    .email = of->email,
	                                    .contact = of->contact[0] == '\0' ? NULL : of->contact,
	                                    .report_id = report_id(arena, reporter, report),
	                                    .begin = (uint64_t)report->day * DMARC_DAY,
	                                    .end = (uint64_t)(report->day + 1) * DMARC_DAY - 1,
	                                    .domain = report->domain,
	                                    .record = report->record,
	                                    .generator = "Mailreeve " MR_VERSION,
	                                });
	enum store_result result =
	    dmarc_rows_each(reporter->store, report->day, report->domain, (int64_t)of->rows_max, on_row, &composing);
	dmarc_xml_end(&composing.xml);
	*xml_r = composing.any ? (struct slice){composing.xml.data, composing.xml.len} : (struct slice){"", 0};
	return result == STORE_OK;
}

/* ---- to whom ---- */

enum dmarc_willing dmarc_reports_willing(struct arena *arena, struct lookups *lookups, const char *domain,
                                           const struct dmarc_uri *uri)
{
	struct dmarc_memo memo = {NULL};
	struct dmarc_walk ours, theirs;
	uint64_t deadline = clock_now() + DNS_SECONDS * SECOND;
	bool known = false;
	const struct dns_answer *answer = NULL;
	const char *name = arena_printf(arena, "%s._report._dmarc.%s", domain, uri->address.domain);
	do {
		bool first = dmarc_walk(arena, lookups, &memo, domain, &ours);
		bool second = dmarc_walk(arena, lookups, &memo, uri->address.domain, &theirs);
		answer = lookups_get(lookups, name, DNS_TYPE_TXT);
		known = first && second && answer != NULL;
	} while (!known && lookups_wait(lookups, deadline));
	if (!known || ours.problem != NULL || theirs.problem != NULL || answer->status == DNS_TEMPORARY) {
		return DMARC_WILLING_UNKNOWN;
	}
	if (strcmp(ours.org_domain, theirs.org_domain) == 0) {
		return DMARC_WILLING;
	}
	for (size_t i = 0; answer->status == DNS_FOUND && i < answer->count; i++) {
		struct dmarc_record record;
		if (dmarc_record_parse(answer->records[i].data, &record)) {
			return DMARC_WILLING;
		}
	}
	return DMARC_UNWILLING;
}

/* ---- sending ---- */

enum delivery { DELIVERED, DELIVERY_NEVER, DELIVERY_LATER };

static enum delivery deliver(const struct dmarc_reporter *reporter, struct arena *arena,
                             const struct dmarc_rows_report *report, struct slice xml, const struct dmarc_uri *uri)
{
	struct submit_relay relay;
	const char *text = "";
	size_t size;
	struct dmarc_mail mail = {
	    .org_name = org_name(reporter->options),
	    .from = reporter->options->email,
	    .to = uri->address.text,
	    .submitter = reporter->submitter,
	    .domain = report->domain,
	    .report_id = report_id(arena, reporter, report),
	    .begin = (uint64_t)report->day * DMARC_DAY,
	    .end = (uint64_t)(report->day + 1) * DMARC_DAY - 1,
	    .now = reporter->now,
	    .xml = xml,
	};
	struct submit_mail submitted = {.helo = reporter->submitter, .from = mail.from, .to = mail.to, .head = {"", 0}};
	submitted.message = dmarc_mail_compose(arena, &mail, &size);
	if (uri->size_max != 0 && size > uri->size_max) {
		log_info("DMARC report %s about %s is larger than <%s> takes", mail.report_id, mail.domain, mail.to);
		return DELIVERY_NEVER;
	}
	if (!submit_relay_parse(arena, reporter->options->relay, &relay, &text)) {
		log_error("dmarc_reports.relay: expected %s", text);
		return DELIVERY_LATER;
	}
	enum submit_result result = submit_send(&relay, &submitted, clock_now() + SUBMIT_SECONDS * SECOND, arena, &text);
	log_info("DMARC report %s about %s to <%s>: %s", mail.report_id, mail.domain, mail.to, text);
	switch (result) {
	case SUBMIT_OK:
		return DELIVERED;
	case SUBMIT_PERMANENT:
		return DELIVERY_NEVER;
	case SUBMIT_TEMPORARY:
	case SUBMIT_UNKNOWN:
		break;
	}
	return DELIVERY_LATER;
}

/* One address. An answer that the store cannot give, or remember, is a reason to come again. */
static enum delivery send_to(const struct dmarc_reporter *reporter, struct arena *arena, struct lookups *lookups,
                             const struct dmarc_rows_report *report, struct slice xml, const struct dmarc_uri *uri)
{
	bool sent;
	if (dmarc_rows_was_sent_to(reporter->store, report->day, report->domain, uri->address.text, &sent) != STORE_OK) {
		return DELIVERY_LATER;
	}
	if (sent) {
		return DELIVERED;
	}
	switch (dmarc_reports_willing(arena, lookups, report->domain, uri)) {
	case DMARC_WILLING:
		break;
	case DMARC_UNWILLING:
		log_info("DMARC report about %s: %s does not say that it takes such reports", report->domain,
		         uri->address.domain);
		return DELIVERY_NEVER;
	case DMARC_WILLING_UNKNOWN:
		return DELIVERY_LATER;
	}
	enum delivery delivery = deliver(reporter, arena, report, xml, uri);
	if (delivery == DELIVERED) {
		dmarc_rows_sent_to(reporter->store, report->day, report->domain, uri->address.text);
	}
	return delivery;
}

static size_t destinations(struct arena *arena, const struct dmarc_rows_report *report,
                           struct dmarc_uri uris_r[DMARC_URI_MAX])
{
	struct dmarc_record record;
	size_t count = dmarc_record_parse(report->record, &record) ? dmarc_uri_parse(arena, record.rua, uris_r) : 0;
	return count < ADDRESSES_MAX ? count : ADDRESSES_MAX;
}

static enum dmarc_report_state send_to_all(const struct dmarc_reporter *reporter, struct arena *arena,
                                           const struct dmarc_rows_report *report, struct slice xml)
{
	struct dmarc_uri uris[DMARC_URI_MAX];
	struct lookups *lookups = lookups_create(reporter->dns);
	size_t count = destinations(arena, report, uris);
	bool later = false;
	bool delivered = false;
	for (size_t i = 0; i < count; i++) {
		enum delivery delivery = send_to(reporter, arena, lookups, report, xml, &uris[i]);
		later = later || delivery == DELIVERY_LATER;
		delivered = delivered || delivery == DELIVERED;
	}
	lookups_destroy(lookups);
	if (later && report->attempts < ATTEMPTS_MAX) {
		return DMARC_REPORT_OPEN;
	}
	return delivered ? DMARC_REPORT_SENT : DMARC_REPORT_VOID;
}

enum dmarc_report_state dmarc_reports_send(const struct dmarc_reporter *reporter,
                                           const struct dmarc_rows_report *report)
{
	struct arena *arena = arena_create(65536);
	struct slice xml;
	enum dmarc_report_state state = DMARC_REPORT_OPEN;
	if (dmarc_reports_xml(reporter, arena, report, &xml)) {
		state = xml.len == 0 ? DMARC_REPORT_VOID : send_to_all(reporter, arena, report, xml);
	}
	int64_t pause = (int64_t)RETRY_FIRST << (report->attempts > 0 ? report->attempts - 1 : 0);
	dmarc_rows_set_state(reporter->store, report->day, report->domain, state, (int64_t)reporter->now + pause);
	arena_destroy(arena);
	return state;
}

enum store_result dmarc_reports_step(const struct dmarc_reporter *reporter, bool *more_r)
{
	struct arena *arena = arena_create(4096);
	struct dmarc_rows_report report;
	int64_t today = (int64_t)(reporter->now / DMARC_DAY);
	*more_r = false;
	enum store_result result =
	    dmarc_rows_take(reporter->store, arena, today, (int64_t)reporter->now, LEASE, &report, more_r);
	if (*more_r) {
		dmarc_reports_send(reporter, &report);
	} else if (result == STORE_OK) {
		int64_t keep = (int64_t)(reporter->options->keep / DAY);
		result = dmarc_rows_expire(reporter->store, today - keep);
	}
	arena_destroy(arena);
	return result;
}
