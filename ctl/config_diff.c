#include "ctl/config_diff.h"

#include "ctl/command.h"
#include "ctl/history.h"
#include "ctl/period.h"
#include "ctl/table.h"
#include "lib/base/log.h"
#include "lib/pipeline/rejudge.h"
#include "lib/pipeline/stages.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIFF_SAME = 0,
	DIFF_DIFFERS = 1,
	DIFF_TROUBLE = 2,
	LAST = 1000,
	LAST_MAX = 1000000,
	SHOWN = 50,
	ACTIONS = VERDICT_REJECT + 1,
	ADDRESS_WIDTH = 40,
	VALUE_WIDTH = 200
};

static const char usage[] =
    "usage: mailreeve config diff [--last N] [--json] [--config OLD] NEW\n"
    "Says what the file NEW has other than the configuration in force (OLD: " MR_SYSCONFDIR "/mailreeve.conf), and whose\n"
    "outcome would change: the findings of the last N messages of the history (1000 if it is not given) are judged by both.\n"
    "Exit status: 0: nobody's outcome, 1: somebody's, 2: trouble.\n";

struct diff_options {
	const char *old, *new;
	size_t last;
	bool json;
};

/* One value of a configuration as config_print() shows it. */
struct diff_value {
	const char *name; /* "spf.mode", "policy spf.fail" */
	const char *value;
};
struct diff_values {
	struct diff_value *items;
	size_t count, room;
};

static void add_value(struct arena *arena, struct diff_values *values, const char *block, struct slice line)
{
	static const char mark[] = " # default";
	size_t equals = slice_find(line, '=', 0);
	if (equals == line.len) {
		return;
	}
	struct slice value = slice_trim((struct slice){line.data + equals + 1, line.len - equals - 1});
	const char *text = slice_dup(arena, value);
	char *comment = strstr(text, mark);
	if (comment != NULL) {
		*comment = '\0';
	}
	values->items = arena_grow(arena, values->items, sizeof *values->items, values->count, &values->room);
	values->items[values->count++] = (struct diff_value){
	    .name = arena_printf(arena, "%s%s%.*s", block, block[0] == '\0' ? "" : " ",
	                         SLICE_ARGS(slice_trim((struct slice){line.data, equals}))),
	    .value = text};
}

/* Every value in force; false: no memory. */
static bool read_values(struct arena *arena, const struct config *config, struct diff_values *values_r)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL) {
		return false;
	}
	config_print(config, out);
	fclose(out);
	struct slice rest = {text, size};
	struct slice line;
	const char *block = "";
	while (slice_split(&rest, '\n', &line)) {
		line = slice_trim(line);
		if (line.len > 1 && line.data[line.len - 1] == '{') {
			block = slice_dup(arena, slice_trim((struct slice){line.data, line.len - 1}));
		} else if (line.len == 1 && line.data[0] == '}') {
			block = "";
		} else if (line.len > 0 && line.data[0] != '#') {
			add_value(arena, values_r, block, line);
		}
	}
	free(text);
	return true;
}

static const char *find_value(const struct diff_values *values, const char *name)
{
	for (size_t i = 0; i < values->count; i++) {
		if (strcmp(values->items[i].name, name) == 0) {
			return values->items[i].value;
		}
	}
	return NULL;
}

/* What the two have different: visited as (name, old, new), NULL where one has it not. */
struct difference {
	const char *name, *old, *new;
};
struct differences {
	struct difference *items;
	size_t count, room;
};

static void add_difference(struct arena *arena, struct differences *list, struct difference difference)
{
	list->items = arena_grow(arena, list->items, sizeof *list->items, list->count, &list->room);
	list->items[list->count++] = difference;
}

static bool find_differences(struct arena *arena, const struct config *old, const struct config *new, struct differences *list_r)
{
	struct diff_values before = {NULL, 0, 0};
	struct diff_values after = {NULL, 0, 0};
	if (!read_values(arena, old, &before) || !read_values(arena, new, &after)) {
		return false;
	}
	for (size_t i = 0; i < before.count; i++) {
		const char *value = find_value(&after, before.items[i].name);
		if (value == NULL || strcmp(value, before.items[i].value) != 0) {
			add_difference(arena, list_r, (struct difference){before.items[i].name, before.items[i].value, value});
		}
	}
	for (size_t i = 0; i < after.count; i++) {
		if (find_value(&before, after.items[i].name) == NULL) {
			add_difference(arena, list_r, (struct difference){after.items[i].name, NULL, after.items[i].value});
		}
	}
	return true;
}

/* A message's recipient whose outcome changes. */
struct change {
	enum verdict_action old, new;
	const char *reason; /* the code that decides in the end; "" */
};

struct comparison {
	const struct diff_options *options;
	const struct config *old, *new;
	struct arena *arena;   /* of the tables */
	struct arena *message; /* of one message */
	struct table *table;
	json_t *changes;
	size_t messages, recipients, changed;
	size_t otherwise; /* recipients whose recorded outcome is another than the old configuration's */
	size_t counts[ACTIONS][ACTIONS];
};

static void show_change(struct comparison *comparison, const struct history_message *message,
                        const struct history_recipient *recipient, const struct change *change)
{
	struct arena *arena = comparison->arena;
	char time[PERIOD_TEXT_SIZE];
	period_format(message->time, time);
	const char *id = message->queue_id[0] == '\0' ? message->support_id : message->queue_id;
	const char *cells[] = {time,
	                       table_text(arena, id, ADDRESS_WIDTH),
	                       arena_printf(arena, "<%s>", table_text(arena, message->mail_from, ADDRESS_WIDTH)),
	                       arena_printf(arena, "<%s>", table_text(arena, recipient->address, ADDRESS_WIDTH)),
	                       verdict_action_name(change->old),
	                       verdict_action_name(change->new),
	                       change->reason};
	if (comparison->options->json) {
		json_array_append_new(comparison->changes,
		                      json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:s}", "time", (json_int_t)message->time,
		                                "queue_id", history_json_text(message->queue_id), "support_id",
		                                history_json_text(message->support_id), "from",
		                                history_json_text(message->mail_from), "rcpt",
		                                history_json_text(recipient->address), "recorded", recipient->action, "old",
		                                cells[4], "new", cells[5], "reason", change->reason));
	} else if (table_rows(comparison->table) < SHOWN) {
		table_row(comparison->table, cells);
	}
}

static void compare_recipient(struct comparison *comparison, const struct rejudge *rejudge, size_t index)
{
	const struct history_recipient *recipient = &rejudge->message->recipients[index];
	struct verdict old;
	struct verdict new;
	rejudge_verdict(rejudge, comparison->old, index, &old);
	rejudge_verdict(rejudge, comparison->new, index, &new);
	comparison->recipients++;
	comparison->otherwise += strcmp(recipient->action, verdict_action_name(old.action)) != 0;
	if (old.action != new.action) {
		const struct finding *reason = new.reason != NULL ? new.reason : old.reason;
		comparison->changed++;
		comparison->counts[old.action][new.action]++;
		show_change(comparison, rejudge->message, recipient,
		            &(struct change){old.action, new.action, reason == NULL ? "" : reason->code->code});
	}
}

static void compare_message(void *context, const struct history_message *message)
{
	struct comparison *comparison = context;
	struct rejudge rejudge;
	comparison->messages++;
	rejudge_begin(&rejudge, comparison->message, comparison->old, message);
	for (size_t i = 0; i < message->recipients_given; i++) {
		compare_recipient(comparison, &rejudge, i);
	}
	arena_reset(comparison->message);
}

static void print_differences(struct arena *arena, const struct differences *differences)
{
	if (differences->count == 0) {
		puts("every value is the same");
	}
	for (size_t i = 0; i < differences->count; i++) {
		const struct difference *difference = &differences->items[i];
		printf("%s: %s -> %s\n", difference->name,
		       difference->old == NULL ? "(not given)" : table_text(arena, difference->old, VALUE_WIDTH),
		       difference->new == NULL ? "(not given)" : table_text(arena, difference->new, VALUE_WIDTH));
	}
}

static void print_comparison(const struct comparison *comparison)
{
	if (table_rows(comparison->table) > 0) {
		putchar('\n');
		table_print(comparison->table, 0, stdout);
	}
	printf("\n%zu messages with %zu recipients: %zu outcomes would change\n", comparison->messages, comparison->recipients,
	       comparison->changed);
	for (size_t i = 0; i < ACTIONS; i++) {
		for (size_t j = 0; j < ACTIONS; j++) {
			if (comparison->counts[i][j] > 0) {
				printf("  %zu from %s to %s\n", comparison->counts[i][j], verdict_action_name((enum verdict_action)i),
				       verdict_action_name((enum verdict_action)j));
			}
		}
	}
	if (comparison->otherwise > 0) {
		printf("%zu were recorded with another outcome than the old configuration gives: it was not yet in force, or the\n"
		       "recipients of a message had one answer in common\n",
		       comparison->otherwise);
	}
	puts("Findings are judged as they were found: what other options of a stage find, `mailreeve explain ID` tries out.");
}

static json_t *differences_json(const struct differences *differences)
{
	json_t *list = json_array();
	for (size_t i = 0; i < differences->count; i++) {
		const struct difference *difference = &differences->items[i];
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "name", difference->name, "old",
		                                      difference->old == NULL ? json_null() : history_json_text(difference->old),
		                                      "new",
		                                      difference->new == NULL ? json_null() : history_json_text(difference->new)));
	}
	return list;
}

static void print_json(struct comparison *comparison, const struct differences *differences)
{
	json_t *object = json_pack("{s:o, s:I, s:I, s:I, s:O}", "options", differences_json(differences), "messages",
	                           (json_int_t)comparison->messages, "recipients", (json_int_t)comparison->recipients,
	                           "recorded_otherwise", (json_int_t)comparison->otherwise, "changes", comparison->changes);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static int compare(const struct diff_options *options, const struct config *new, struct arena *arena)
{
	static const char *const headings[] = {"time", "id", "from", "to", "old", "new", "because of", NULL};
	struct history_access history;
	struct differences differences = {NULL, 0, 0};
	if (!history_open("config diff", options->old, true, &history)) {
		return DIFF_TROUBLE;
	}
	struct comparison comparison = {.options = options,
	                                .old = history.config,
	                                .new = new,
	                                .arena = arena,
	                                .message = arena_create(16384),
	                                .table = table_create(arena, headings),
	                                .changes = json_array()};
	const struct history_filter filter = {.limit = options->last};
	bool good = find_differences(arena, history.config, new, &differences) &&
	            history_worked("config diff", history_find(history.store, &filter, false, compare_message, &comparison));
	if (good && options->json) {
		print_json(&comparison, &differences);
	} else if (good) {
		print_differences(arena, &differences);
		print_comparison(&comparison);
	}
	json_decref(comparison.changes);
	arena_destroy(comparison.message);
	history_close(&history);
	return !good ? DIFF_TROUBLE : comparison.changed > 0 ? DIFF_DIFFERS : DIFF_SAME;
}

/* False: it was called wrongly, or help was printed. */
static bool parse(int argc, char **argv, struct diff_options *options_r, int *status_r)
{
	static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
	                                             {"last", required_argument, NULL, 'n'},
	                                             {"json", no_argument, NULL, 'j'},
	                                             {"help", no_argument, NULL, 'h'},
	                                             {NULL, 0, NULL, 0}};
	unsigned long long last;
	int option;
	*status_r = DIFF_TROUBLE;
	while ((option = getopt_long(argc, argv, "c:n:jh", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			*status_r = DIFF_SAME;
			return false;
		} else if (option == 'c') {
			options_r->old = optarg;
		} else if (option == 'j') {
			options_r->json = true;
		} else if (option == 'n' && slice_to_uint(slice_from(optarg), LAST_MAX, &last) && last > 0) {
			options_r->last = (size_t)last;
		} else {
			if (option == 'n') {
				fprintf(stderr, "mailreeve config diff: --last: expected a number of messages up to %d\n", LAST_MAX);
			}
			fputs(usage, stderr);
			return false;
		}
	}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		return false;
	}
	options_r->new = argv[optind];
	return true;
}

int config_diff(int argc, char **argv)
{
	struct diff_options options = {.last = LAST};
	int status;
	log_set_level(LOG_LEVEL_ERROR);
	if (!parse(argc, argv, &options, &status)) {
		return status;
	}
	struct config *new = command_load_config(options.new);
	if (new == NULL) {
		return DIFF_TROUBLE;
	}
	struct arena *arena = arena_create(65536);
	status = compare(&options, new, arena);
	arena_destroy(arena);
	config_release(new);
	return status;
}
