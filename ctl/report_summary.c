/* mailreeve report summary: messages by action, findings, senders, recipients, clients. */
#include "ctl/report.h"
#include "ctl/table.h"

enum { TEXT_WIDTH = 60 };

static const struct {
	enum history_count what;
	const char *key, *item; /* of JSON: the list, and a member's name */
	const char *heading;
	const char *empty; /* what "" is */
} lists[] = {
    {HISTORY_COUNT_ACTION, "actions", "action", "direction and action", ""},
    {HISTORY_COUNT_REASON, "reasons", "code", "decided by", "(nothing)"},
    {HISTORY_COUNT_FINDING, "findings", "code", "finding", ""},
    {HISTORY_COUNT_SENDER, "senders", "domain", "sender domain", "<>"},
    {HISTORY_COUNT_RECIPIENT, "recipients", "domain", "recipients' domain", "(no domain)"},
    {HISTORY_COUNT_CLIENT, "clients", "client", "client", ""},
    {HISTORY_COUNT_COUNTRY, "countries", "country", "country", "(unknown)"},
};
enum { LISTS = sizeof lists / sizeof *lists };

static void list_print(struct report *report, size_t i, const struct report_counts *counts, int64_t messages)
{
	const char *const headings[] = {lists[i].heading, ">messages", ">share", NULL};
	struct table *table = table_create(report->arena, headings);
	for (size_t k = 0; k < counts->count; k++) {
		const struct report_count *item = &counts->items[k];
		const char *cells[] = {item->text[0] == '\0' ? lists[i].empty
		                                             : table_text(report->arena, item->text, TEXT_WIDTH),
		                       table_number(report->arena, item->count), report_share(report, item->count, messages)};
		table_row(table, cells);
	}
	fputc('\n', stdout);
	table_print(table, 2, stdout);
}

bool report_summary(struct report *report)
{
	int64_t messages, inbound;
	struct report_counts counts[LISTS];
	if (!report_totals(report, &messages, &inbound)) {
		return false;
	}
	for (size_t i = 0; i < LISTS; i++) {
		counts[i] = (struct report_counts){.arena = report->arena};
		if (!history_worked("report", history_count(report->history.store, &report->period, lists[i].what,
		                                            report_counts_add, &counts[i]))) {
			return false;
		}
	}
	if (report->json) {
		json_t *object = report_json_begin(report);
		json_object_set_new(object, "messages", json_integer(messages));
		json_object_set_new(object, "inbound", json_integer(inbound));
		for (size_t i = 0; i < LISTS; i++) {
			json_object_set_new(object, lists[i].key, report_counts_json(&counts[i], lists[i].item));
		}
		report_json_print(object);
		return true;
	}
	printf("%s: %lld messages, %lld of them inbound\n", report_period_text(report), (long long)messages,
	       (long long)inbound);
	for (size_t i = 0; i < LISTS && messages > 0; i++) {
		list_print(report, i, &counts[i], messages);
	}
	return true;
}
