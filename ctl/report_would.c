/* mailreeve report would: what stages in mode observe or tag would have done, by sender and client. */
#include "ctl/period.h"
#include "ctl/report.h"
#include "ctl/table.h"

enum { EXAMPLES = 3, TEXT_WIDTH = 60 };

/* Groups that were read; the store must not be asked while it gives rows. */
struct groups {
	struct arena *arena;
	struct history_would *items;
	size_t count;
};

static void groups_add(void *context, const struct history_would *would)
{
	struct groups *groups = context;
	struct arena *arena = groups->arena;
	struct history_would *larger = arena_alloc(arena, (groups->count + 1) * sizeof *larger);
	if (groups->count > 0) {
		memcpy(larger, groups->items, groups->count * sizeof *larger);
	}
	larger[groups->count] = *would;
	larger[groups->count].code = arena_strdup(arena, would->code);
	larger[groups->count].mode = arena_strdup(arena, would->mode);
	larger[groups->count].action = arena_strdup(arena, would->action);
	larger[groups->count].group = arena_strdup(arena, would->group);
	larger[groups->count].name = arena_strdup(arena, would->name);
	groups->items = larger;
	groups->count++;
}

static bool groups_read(struct report *report, enum history_would_by by, const char *code, struct groups *groups_r)
{
	*groups_r = (struct groups){.arena = report->arena};
	return history_worked(
	    "report", history_would(report->history.store, &report->period, by, report->stage, code, groups_add, groups_r));
}

static bool examples_read(struct report *report, const char *code, struct report_counts *examples_r)
{
	struct history_period period = report->period;
	period.limit = EXAMPLES;
	*examples_r = (struct report_counts){.arena = report->arena};
	return history_worked("report",
	                      history_would_examples(report->history.store, &period, code, report_counts_add, examples_r));
}

/* One code, and its groups. */
struct code {
	const struct history_would *would;
	struct groups senders, clients;
	struct report_counts examples;
};

static bool code_read(struct report *report, const struct history_would *would, struct code *code_r)
{
	code_r->would = would;
	return groups_read(report, HISTORY_BY_SENDER, would->code, &code_r->senders) &&
	       groups_read(report, HISTORY_BY_CLIENT, would->code, &code_r->clients) &&
	       examples_read(report, would->code, &code_r->examples);
}

static json_t *groups_json(const struct groups *groups, const char *key)
{
	json_t *array = json_array();
	for (size_t i = 0; i < groups->count; i++) {
		const struct history_would *item = &groups->items[i];
		json_t *object = json_object();
		json_object_set_new(object, key, history_json_text(item->group));
		if (item->name[0] != '\0') {
			json_object_set_new(object, "name", history_json_text(item->name));
		}
		json_object_set_new(object, "messages", json_integer(item->messages));
		json_object_set_new(object, "delivered", json_integer(item->delivered));
		json_object_set_new(object, "authenticated", json_integer(item->authenticated));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *code_json(const struct code *code, int64_t messages)
{
	const struct history_would *would = code->would;
	json_t *object = json_object();
	json_t *examples = json_array();
	for (size_t i = 0; i < code->examples.count; i++) {
		json_array_append_new(examples, history_json_text(code->examples.items[i].text));
	}
	json_object_set_new(object, "code", history_json_text(would->code));
	json_object_set_new(object, "mode", history_json_text(would->mode));
	json_object_set_new(object, "would", history_json_text(would->action));
	json_object_set_new(object, "messages", json_integer(would->messages));
	json_object_set_new(object, "share", json_real(messages == 0 ? 0 : (double)would->messages / (double)messages));
	json_object_set_new(object, "delivered", json_integer(would->delivered));
	json_object_set_new(object, "authenticated", json_integer(would->authenticated));
	json_object_set_new(object, "first", json_integer(would->first));
	json_object_set_new(object, "last", json_integer(would->last));
	json_object_set_new(object, "senders", groups_json(&code->senders, "domain"));
	json_object_set_new(object, "clients", groups_json(&code->clients, "client"));
	json_object_set_new(object, "examples", examples);
	return object;
}

static void groups_print(struct report *report, const struct groups *groups, const char *heading)
{
	const char *const headings[] = {heading, ">messages", ">delivered", ">DMARC pass", NULL};
	struct table *table = table_create(report->arena, headings);
	for (size_t i = 0; i < groups->count; i++) {
		const struct history_would *item = &groups->items[i];
		const char *name = item->group[0] == '\0' ? "<>" : table_text(report->arena, item->group, TEXT_WIDTH);
		if (item->name[0] != '\0' && item->name[0] != '[') {
			name = arena_printf(report->arena, "%s (%s)", name, table_text(report->arena, item->name, TEXT_WIDTH));
		}
		const char *cells[] = {name, table_number(report->arena, item->messages),
		                       table_number(report->arena, item->delivered),
		                       table_number(report->arena, item->authenticated)};
		table_row(table, cells);
	}
	table_print(table, 4, stdout);
}

static void code_print(struct report *report, const struct code *code, int64_t messages)
{
	const struct history_would *would = code->would;
	char last[PERIOD_TEXT_SIZE];
	period_format(would->last, last);
	printf("\n%s (mode %s) would %s: %lld message%s, %s; delivered %lld, with DMARC pass %lld; the last at %s\n",
	       table_text(report->arena, would->code, TEXT_WIDTH), table_text(report->arena, would->mode, TEXT_WIDTH),
	       table_text(report->arena, would->action, TEXT_WIDTH), (long long)would->messages,
	       would->messages == 1 ? "" : "s", report_share(report, would->messages, messages),
	       (long long)would->delivered, (long long)would->authenticated, last);
	groups_print(report, &code->senders, "sender domain");
	groups_print(report, &code->clients, "client");
	fputs("    examples:", stdout);
	for (size_t i = 0; i < code->examples.count; i++) {
		printf(" %s", table_text(report->arena, code->examples.items[i].text, TEXT_WIDTH));
	}
	fputs("  (mailreeve explain ID)\n", stdout);
}

bool report_would(struct report *report)
{
	struct groups codes;
	int64_t messages, inbound;
	if (!report_totals(report, &messages, &inbound) || !groups_read(report, HISTORY_BY_CODE, NULL, &codes)) {
		return false;
	}
	json_t *findings = json_array();
	if (!report->json) {
		printf("%s: %lld messages, %lld of them inbound\n", report_period_text(report), (long long)messages,
		       (long long)inbound);
	}
	if (!report->json && codes.count == 0) {
		puts("no finding was kept from its action by the mode of its stage");
	}
	for (size_t i = 0; i < codes.count; i++) {
		struct code code;
		if (!code_read(report, &codes.items[i], &code)) {
			json_decref(findings);
			return false;
		}
		if (report->json) {
			json_array_append_new(findings, code_json(&code, messages));
		} else {
			code_print(report, &code, messages);
		}
	}
	if (report->json) {
		json_t *object = report_json_begin(report);
		json_object_set_new(object, "messages", json_integer(messages));
		json_object_set_new(object, "inbound", json_integer(inbound));
		json_object_set(object, "findings", findings);
		report_json_print(object);
	}
	json_decref(findings);
	return true;
}
