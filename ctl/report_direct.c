/* mailreeve report direct: who came past the upstream networks. */
#include "ctl/period.h"
#include "ctl/report.h"
#include "ctl/table.h"

enum { LISTED = 5, NAME_WIDTH = 60 };

static const char code[] = "upstream.direct";

/* One client, with what it sent. */
struct direct {
	struct direct *next;
	struct history_direct row;
	struct report_counts domains, senders;
};

struct directs {
	struct arena *arena;
	struct direct *first, **last;
	int64_t clients, messages, refused;
};

static void directs_add(void *context, const struct history_direct *row)
{
	struct directs *directs = context;
	struct direct *direct = arena_alloc(directs->arena, sizeof *direct);
	direct->row = *row;
	direct->row.client = arena_strdup(directs->arena, row->client);
	direct->row.client_name = arena_strdup(directs->arena, row->client_name);
	direct->row.helo = arena_strdup(directs->arena, row->helo);
	direct->row.country = arena_strdup(directs->arena, row->country);
	direct->row.as_name = arena_strdup(directs->arena, row->as_name);
	direct->domains.arena = direct->senders.arena = directs->arena;
	*directs->last = direct;
	directs->last = &direct->next;
	directs->clients++;
	directs->messages += row->messages;
	directs->refused += row->refused;
}

static bool directs_read(struct report *report, struct directs *directs)
{
	struct store *store = report->history.store;
	struct history_period listed = report->period;
	listed.limit = LISTED;
	*directs = (struct directs){.arena = report->arena};
	directs->last = &directs->first;
	enum store_result result = history_direct(store, &report->period, code, directs_add, directs);
	for (struct direct *direct = directs->first; direct != NULL && result == STORE_OK; direct = direct->next) {
		result = history_direct_domains(store, &listed, code, direct->row.client, report_counts_add, &direct->domains);
		if (result == STORE_OK) {
			result =
			    history_direct_senders(store, &listed, code, direct->row.client, report_counts_add, &direct->senders);
		}
	}
	return history_worked("report", result);
}

static void put_known(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, text[0] == '\0' ? json_null() : history_json_text(text));
}

static json_t *direct_json(const struct direct *direct)
{
	const struct history_direct *row = &direct->row;
	json_t *object = json_object();
	put_known(object, "client", row->client);
	put_known(object, "client_name", row->client_name);
	put_known(object, "helo", row->helo);
	put_known(object, "country", row->country);
	json_object_set_new(object, "asn", row->asn == 0 ? json_null() : json_integer(row->asn));
	put_known(object, "as_name", row->as_name);
	json_object_set_new(object, "messages", json_integer(row->messages));
	json_object_set_new(object, "refused", json_integer(row->refused));
	json_object_set_new(object, "recipients", json_integer(row->recipients));
	json_object_set_new(object, "domains", report_counts_json(&direct->domains, "domain"));
	json_object_set_new(object, "senders", report_counts_json(&direct->senders, "domain"));
	json_object_set_new(object, "first", json_integer(row->first));
	json_object_set_new(object, "last", json_integer(row->last));
	return object;
}

/* "mail.example (HELO x, DE, AS64500 Example)" */
static const char *who(struct report *report, const struct history_direct *row)
{
	struct arena *arena = report->arena;
	struct strbuf text;
	strbuf_init(&text, arena);
	bool named = row->client_name[0] != '\0' && row->client_name[0] != '[';
	strbuf_printf(&text, "%s, HELO %s", named ? table_text(arena, row->client_name, NAME_WIDTH) : "no name",
	              row->helo[0] == '\0' ? "none" : table_text(arena, row->helo, NAME_WIDTH));
	if (row->country[0] != '\0') {
		strbuf_printf(&text, ", %s", table_text(arena, row->country, NAME_WIDTH));
	}
	if (row->asn != 0) {
		strbuf_printf(&text, ", AS%lld %s", (long long)row->asn, table_text(arena, row->as_name, NAME_WIDTH));
	}
	return text.data;
}

static void directs_print(struct report *report, const struct directs *directs)
{
	static const char *const headings[] = {"client", ">messages", ">refused", ">recipients",
	                                       "first",  "last",      "who",      NULL};
	struct table *table = table_create(report->arena, headings);
	printf("%s: %lld messages past the upstream networks, of %lld clients; %lld refused\n", report_period_text(report),
	       (long long)directs->messages, (long long)directs->clients, (long long)directs->refused);
	for (const struct direct *direct = directs->first; direct != NULL; direct = direct->next) {
		const struct history_direct *row = &direct->row;
		char first[PERIOD_TEXT_SIZE], last[PERIOD_TEXT_SIZE];
		period_format(row->first, first);
		period_format(row->last, last);
		const char *cells[] = {table_text(report->arena, row->client, NAME_WIDTH),
		                       table_number(report->arena, row->messages),
		                       table_number(report->arena, row->refused),
		                       table_number(report->arena, row->recipients),
		                       first,
		                       last,
		                       who(report, row)};
		table_row(table, cells);
	}
	if (directs->first == NULL) {
		return;
	}
	table_print(table, 0, stdout);
	for (const struct direct *direct = directs->first; direct != NULL; direct = direct->next) {
		printf("\n%s\n  to    %s\n  from  %s\n", table_text(report->arena, direct->row.client, NAME_WIDTH),
		       report_counts_text(report, &direct->domains, "(no domain)"),
		       report_counts_text(report, &direct->senders, "<>"));
	}
}

bool report_direct(struct report *report)
{
	struct directs directs;
	if (!directs_read(report, &directs)) {
		return false;
	}
	if (!report->json) {
		directs_print(report, &directs);
		return true;
	}
	json_t *object = report_json_begin(report);
	json_t *clients = json_array();
	for (const struct direct *direct = directs.first; direct != NULL; direct = direct->next) {
		json_array_append_new(clients, direct_json(direct));
	}
	json_object_set_new(object, "messages", json_integer(directs.messages));
	json_object_set_new(object, "refused", json_integer(directs.refused));
	json_object_set_new(object, "clients", clients);
	report_json_print(object);
	return true;
}
