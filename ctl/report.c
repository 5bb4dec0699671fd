#include "ctl/report.h"

#include "ctl/period.h"
#include "ctl/table.h"

void report_counts_add(void *context, const char *text, int64_t count)
{
	struct report_counts *counts = context;
	if (counts->count == 0 || (counts->count & (counts->count - 1)) == 0) {
		size_t capacity = counts->count == 0 ? 1 : counts->count * 2;
		struct report_count *larger = arena_alloc(counts->arena, capacity * sizeof *larger);
		if (counts->count > 0) {
			memcpy(larger, counts->items, counts->count * sizeof *larger);
		}
		counts->items = larger;
	}
	counts->items[counts->count++] = (struct report_count){arena_strdup(counts->arena, text), count};
	counts->total += count;
}

json_t *report_counts_json(const struct report_counts *counts, const char *key)
{
	json_t *array = json_array();
	for (size_t i = 0; i < counts->count; i++) {
		json_t *object = json_object();
		json_object_set_new(object, key, history_json_text(counts->items[i].text));
		json_object_set_new(object, "messages", json_integer(counts->items[i].count));
		json_array_append_new(array, object);
	}
	return array;
}

const char *report_counts_text(struct report *report, const struct report_counts *counts, const char *empty)
{
	struct strbuf text;
	strbuf_init(&text, report->arena);
	for (size_t i = 0; i < counts->count; i++) {
		const struct report_count *item = &counts->items[i];
		const char *name = item->text[0] == '\0' ? empty : table_text(report->arena, item->text, 80);
		strbuf_printf(&text, "%s%s (%lld)", i == 0 ? "" : ", ", name, (long long)item->count);
	}
	return text.data;
}

static json_t *json_time(int64_t time)
{
	char text[PERIOD_TEXT_SIZE];
	period_format_iso(time, text);
	return json_string(text);
}

json_t *report_json_begin(const struct report *report)
{
	json_t *object = json_object();
	json_object_set_new(object, "since", json_time(report->period.since));
	json_object_set_new(object, "until", report->period.until == 0 ? json_null() : json_time(report->period.until));
	return object;
}

void report_json_print(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	fputc('\n', stdout);
	json_decref(object);
}

const char *report_period_text(struct report *report)
{
	char since[PERIOD_TEXT_SIZE];
	char until[PERIOD_TEXT_SIZE] = "now";
	period_format(report->period.since, since);
	if (report->period.until != 0) {
		period_format(report->period.until, until);
	}
	return arena_printf(report->arena, "%s to %s", since, until);
}

const char *report_share(struct report *report, int64_t part, int64_t whole)
{
	return whole == 0 ? "-" : arena_printf(report->arena, "%.1f %%", 100.0 * (double)part / (double)whole);
}

bool report_totals(struct report *report, int64_t *all_r, int64_t *inbound_r)
{
	struct report_counts actions = {.arena = report->arena};
	struct history_period period = report->period;
	period.limit = 0;
	*all_r = *inbound_r = 0;
	if (!history_worked("report", history_count(report->history.store, &period, HISTORY_COUNT_ACTION, report_counts_add,
	                                            &actions))) {
		return false;
	}
	for (size_t i = 0; i < actions.count; i++) {
		bool inbound = strncmp(actions.items[i].text, "inbound ", strlen("inbound ")) == 0;
		*all_r += actions.items[i].count;
		*inbound_r += inbound ? actions.items[i].count : 0;
	}
	return true;
}
