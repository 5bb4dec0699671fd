/* mailreeve report domain: what others say of the mail in a domain's name, from the reports that were imported. */
#include "ctl/report.h"
#include "ctl/table.h"
#include "lib/store/received_reports.h"

enum { NAME_WIDTH = 60 };

struct listing {
	struct report *report;
	struct table *table; /* NULL: JSON */
	json_t *array;
};

static bool on_source(void *context, const struct received_source *source)
{
	struct listing *listing = context;
	struct arena *arena = listing->report->arena;
	int64_t fail = source->messages - source->pass;
	if (listing->table != NULL) {
		const char *cells[] = {table_text(arena, source->source, NAME_WIDTH),
		                       table_number(arena, source->messages),
		                       table_number(arena, source->pass),
		                       table_number(arena, fail),
		                       table_number(arena, source->dkim_pass),
		                       table_number(arena, source->spf_pass),
		                       table_text(arena, source->dkim_domains, NAME_WIDTH),
		                       table_text(arena, source->spf_domain, NAME_WIDTH)};
		table_row(listing->table, cells);
		return true;
	}
	json_t *object = json_object();
	json_object_set_new(object, "source", history_json_text(source->source));
	json_object_set_new(object, "messages", json_integer(source->messages));
	json_object_set_new(object, "pass", json_integer(source->pass));
	json_object_set_new(object, "fail", json_integer(fail));
	json_object_set_new(object, "dkim_pass", json_integer(source->dkim_pass));
	json_object_set_new(object, "spf_pass", json_integer(source->spf_pass));
	json_object_set_new(object, "dkim_domains", history_json_text(source->dkim_domains));
	json_object_set_new(object, "spf_domain", history_json_text(source->spf_domain));
	json_array_append_new(listing->array, object);
	return true;
}

static bool on_tls(void *context, const char *org, const char *mx, const char *details, int64_t failure)
{
	struct listing *listing = context;
	struct arena *arena = listing->report->arena;
	if (listing->table != NULL) {
		const char *cells[] = {table_text(arena, org, NAME_WIDTH), table_text(arena, mx, NAME_WIDTH),
		                       table_number(arena, failure), table_text(arena, details, 2 * NAME_WIDTH)};
		table_row(listing->table, cells);
		return true;
	}
	json_t *object = json_object();
	json_object_set_new(object, "org", history_json_text(org));
	json_object_set_new(object, "mx", history_json_text(mx));
	json_object_set_new(object, "failure", json_integer(failure));
	json_object_set_new(object, "details", history_json_text(details));
	json_array_append_new(listing->array, object);
	return true;
}

static void print_totals(struct report *report, const struct received_totals *totals)
{
	int64_t fail = totals->messages - totals->pass;
	printf("%s, %s: %lld reports about %lld messages; DMARC pass %s\n", report->domain, report_period_text(report),
	       (long long)totals->reports, (long long)totals->messages,
	       report_share(report, totals->pass, totals->messages));
	printf("p=reject would stop %lld messages (%s), of which receivers have stopped %lld\n", (long long)fail,
	       report_share(report, fail, totals->messages), (long long)totals->stopped);
	if (totals->tls_reports > 0) {
		printf("%lld TLS reports: %lld sessions with TLS, %lld failed\n", (long long)totals->tls_reports,
		       (long long)totals->tls_success, (long long)totals->tls_failure);
	}
}

static bool print(struct report *report, const struct received_totals *totals)
{
	static const char *const sources[] = {"source",    ">messages", ">pass",         ">fail", ">dkim pass",
	                                      ">spf pass", "signed by", "envelope from", NULL};
	static const char *const failures[] = {"reporter", "mx", ">failed", "why", NULL};
	struct store *store = report->history.store;
	struct listing listing = {.report = report, .table = table_create(report->arena, sources)};
	int64_t limit = (int64_t)report->period.limit;
	print_totals(report, totals);
	if (received_sources(store, report->domain, report->period.since, limit, on_source, &listing) != STORE_OK) {
		return false;
	}
	if (table_rows(listing.table) > 0) {
		table_print(listing.table, 0, stdout);
	}
	listing.table = table_create(report->arena, failures);
	if (received_tls(store, report->domain, report->period.since, limit, on_tls, &listing) != STORE_OK) {
		return false;
	}
	if (table_rows(listing.table) > 0) {
		fputc('\n', stdout);
		table_print(listing.table, 0, stdout);
	}
	return true;
}

static bool print_json(struct report *report, const struct received_totals *totals)
{
	struct store *store = report->history.store;
	struct listing listing = {.report = report, .array = json_array()};
	json_t *object = report_json_begin(report);
	int64_t limit = (int64_t)report->period.limit;
	json_object_set_new(object, "domain", json_string(report->domain));
	json_object_set_new(object, "reports", json_integer(totals->reports));
	json_object_set_new(object, "messages", json_integer(totals->messages));
	json_object_set_new(object, "pass", json_integer(totals->pass));
	json_object_set_new(object, "fail", json_integer(totals->messages - totals->pass));
	json_object_set_new(object, "stopped", json_integer(totals->stopped));
	json_object_set_new(object, "tls_reports", json_integer(totals->tls_reports));
	json_object_set_new(object, "tls_success", json_integer(totals->tls_success));
	json_object_set_new(object, "tls_failure", json_integer(totals->tls_failure));
	json_object_set_new(object, "sources", listing.array);
	bool good = received_sources(store, report->domain, report->period.since, limit, on_source, &listing) == STORE_OK;
	listing.array = json_array();
	json_object_set_new(object, "tls_failures", listing.array);
	good = good && received_tls(store, report->domain, report->period.since, limit, on_tls, &listing) == STORE_OK;
	report_json_print(object);
	return good;
}

bool report_of_domain(struct report *report)
{
	struct received_totals totals;
	if (report->domain == NULL) {
		fputs("mailreeve report domain: expected a domain, as in: mailreeve report domain example.org\n", stderr);
		return false;
	}
	enum store_result result = received_totals(report->history.store, report->domain, report->period.since, &totals);
	if (!history_worked("report", result)) {
		return false;
	}
	return report->json ? print_json(report, &totals) : print(report, &totals);
}
