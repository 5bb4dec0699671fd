/* mailreeve find: messages of the history. */
#include "ctl/command.h"
#include "ctl/history.h"
#include "ctl/period.h"
#include "ctl/table.h"
#include "lib/base/ip.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"

#include <getopt.h>
#include <stdlib.h>
#include <time.h>

enum { EXIT_USAGE = 2, ROWS_AT_A_TIME = 500, LIMIT = 100, ADDRESS_WIDTH = 48, WHY_WIDTH = 100 };

static const char usage[] =
    "usage: mailreeve find [--queue-id ID] [--support-id ID] [--from ADDRESS] [--to ADDRESS] [--client IP]\n"
    "                      [--since TIME] [--until TIME] [--action ACTION] [--finding CODE] [--limit N] [--json]\n"
    "                      [--config FILE]\n"
    "Shows the messages that match all of it, the youngest first.\n"
    "  ADDRESS  local@domain: that one; @domain or a domain: all of it; *part* or any other text: a part; <>: none\n"
    "  TIME     7d, 12h, 30m ago, 2026-11-24, \"2026-11-24 13:05\", 13:05 today, @1764000000; local time\n"
    "  ACTION   accept, tag, quarantine, tempfail, reject, discard, aborted\n"
    "  CODE     a finding (dmarc.reject) or a stage (dmarc)\n"
    "  N        messages, 100 if it is not given; 0: no limit\n";

struct find_options {
	const char *config;
	struct history_filter filter;
	bool json;
	struct arena *arena;
};

enum {
	OPT_CONFIG = 256,
	OPT_QUEUE_ID,
	OPT_SUPPORT_ID,
	OPT_FROM,
	OPT_TO,
	OPT_CLIENT,
	OPT_SINCE,
	OPT_UNTIL,
	OPT_ACTION,
	OPT_FINDING,
	OPT_LIMIT,
	OPT_JSON
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"queue-id", required_argument, NULL, OPT_QUEUE_ID},
    {"support-id", required_argument, NULL, OPT_SUPPORT_ID},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"client", required_argument, NULL, OPT_CLIENT},
    {"since", required_argument, NULL, OPT_SINCE},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"action", required_argument, NULL, OPT_ACTION},
    {"finding", required_argument, NULL, OPT_FINDING},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool refuse(const char *option, const char *value, const char *expected)
{
	fprintf(stderr, "mailreeve find: --%s: \"%s\": expected %s\n", option, value, expected);
	return false;
}

static bool take_domain(struct arena *arena, const char *text, struct history_address *address_r)
{
	const char *domain = domain_canonical(arena, slice_from(text));
	*address_r = (struct history_address){HISTORY_MATCH_DOMAIN, domain};
	return domain != NULL;
}

static bool find_address(struct find_options *options, const char *name, const char *value,
                         struct history_address *address_r)
{
	struct slice text = slice_from(value);
	if (strcmp(value, "<>") == 0) {
		*address_r = (struct history_address){HISTORY_MATCH_EXACT, ""};
		return true;
	}
	if (text.len > 2 && value[0] == '<' && value[text.len - 1] == '>') {
		text = (struct slice){value + 1, text.len - 2};
	}
	value = slice_dup(options->arena, text);
	bool star = strchr(value, '*') != NULL;
	const char *at = strrchr(value, '@');
	if (!star && at != NULL && at > value) {
		*address_r = (struct history_address){HISTORY_MATCH_EXACT, value};
		return true;
	}
	if (!star && (at != NULL || strchr(value, '.') != NULL)) {
		return take_domain(options->arena, at != NULL ? at + 1 : value, address_r) ||
		       refuse(name, value, "an address or a domain");
	}
	while (text.len > 0 && text.data[0] == '*') {
		text = (struct slice){text.data + 1, text.len - 1};
	}
	while (text.len > 0 && text.data[text.len - 1] == '*') {
		text.len--;
	}
	*address_r = (struct history_address){HISTORY_MATCH_PART, slice_dup(options->arena, text)};
	return (text.len > 0 && memchr(text.data, '*', text.len) == NULL) || refuse(name, value, "*part* of an address");
}

static bool find_action(const char *value)
{
	static const char *const actions[] = {"accept", "tag", "quarantine", "tempfail", "reject", "discard", "aborted"};
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		if (strcmp(actions[i], value) == 0) {
			return true;
		}
	}
	return refuse("action", value, "accept, tag, quarantine, tempfail, reject, discard or aborted");
}

static bool find_client(struct find_options *options, const char *value)
{
	struct ip ip;
	char *text = arena_alloc(options->arena, IP_TEXT_SIZE);
	if (!ip_parse(value, &ip)) {
		return refuse("client", value, "an IP address");
	}
	ip_format(&ip, text);
	options->filter.client = text;
	return true;
}

static bool find_limit(struct find_options *options, const char *value)
{
	unsigned long long limit;
	if (!slice_to_uint(slice_from(value), 1000000, &limit)) {
		return refuse("limit", value, "a number up to 1000000; 0: no limit");
	}
	options->filter.limit = (size_t)limit;
	return true;
}

static bool find_value(struct find_options *options, int option, const char *value)
{
	struct history_filter *filter = &options->filter;
	int64_t now = (int64_t)time(NULL);
	switch (option) {
	case OPT_CONFIG:
		options->config = value;
		return true;
	case OPT_QUEUE_ID:
		filter->queue_id = value;
		return true;
	case OPT_SUPPORT_ID:
		filter->support_id = value;
		return true;
	case OPT_FROM:
		return find_address(options, "from", value, &filter->from);
	case OPT_TO:
		return find_address(options, "to", value, &filter->to);
	case OPT_CLIENT:
		return find_client(options, value);
	case OPT_SINCE:
		return period_parse(value, now, &filter->since) || refuse("since", value, PERIOD_EXPECTED);
	case OPT_UNTIL:
		return period_parse(value, now, &filter->until) || refuse("until", value, PERIOD_EXPECTED);
	case OPT_ACTION:
		filter->action = value;
		return find_action(value);
	case OPT_FINDING:
		filter->finding = value;
		return true;
	case OPT_LIMIT:
		return find_limit(options, value);
	case OPT_JSON:
		options->json = true;
		return true;
	default:
		fputs(usage, stderr);
		return false;
	}
}

/* Rows that wait to be printed together. */
struct find_output {
	const struct find_options *options;
	struct arena *arena;
	struct table *table;
	size_t messages;
};

static void table_begin(struct find_output *output)
{
	static const char *const headings[] = {"time", "action", "queue id", "support id", "client",
	                                       "from", "to",     "why",      NULL};
	output->table = table_create(output->arena, headings);
}

static void table_end(struct find_output *output)
{
	if (table_rows(output->table) > 0) {
		table_print(output->table, 0, stdout);
	}
	arena_reset(output->arena);
	table_begin(output);
}

/* Do both have the same line: got the same, and have a copy in the same state? */
static bool is_alike(const struct history_recipient *one, const struct history_recipient *other)
{
	return strcmp(one->action, other->action) == 0 && strcmp(history_copy_state(one), history_copy_state(other)) == 0;
}

/* Those who are alike: "<a@b> (+2)". */
static const char *recipients_text(struct arena *arena, const struct history_message *message, size_t index)
{
	const char *first = NULL;
	size_t others = 0;
	for (size_t i = 0; i < message->recipients_given; i++) {
		if (is_alike(&message->recipients[i], &message->recipients[index])) {
			others += first != NULL;
			first = first == NULL ? message->recipients[i].address : first;
		}
	}
	const char *address = table_text(arena, first == NULL ? "" : first, ADDRESS_WIDTH);
	return others == 0 ? address : arena_printf(arena, "%s (+%zu)", address, others);
}

/* Why these recipients got that: the finding that decided, or their own reply. */
static const char *why_text(struct arena *arena, const struct history_message *message, const char *action)
{
	if (strcmp(action, message->action) == 0) {
		return table_text(arena, message->reason, WHY_WIDTH);
	}
	for (size_t i = 0; i < message->recipients_given; i++) {
		if (strcmp(message->recipients[i].action, action) == 0) {
			return table_text(arena, message->recipients[i].reply, WHY_WIDTH);
		}
	}
	return "";
}

/* "reject", or "reject, stored" where a copy is kept. */
static const char *action_text(struct arena *arena, const struct history_recipient *recipient)
{
	const char *state = history_copy_state(recipient);
	return state[0] == '\0' ? recipient->action : arena_printf(arena, "%s, %s", recipient->action, state);
}

static bool line_is_new(const struct history_message *message, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (is_alike(&message->recipients[i], &message->recipients[index])) {
			return false;
		}
	}
	return true;
}

static void show_row(struct find_output *output, const struct history_message *message)
{
	struct arena *arena = output->arena;
	char time[PERIOD_TEXT_SIZE];
	period_format(message->time, time);
	const char *from = arena_printf(arena, "<%s>", table_text(arena, message->mail_from, ADDRESS_WIDTH));
	bool first = true;
	for (size_t i = 0; i < message->recipients_given; i++) {
		const char *action = message->recipients[i].action;
		if (!line_is_new(message, i)) {
			continue;
		}
		const char *cells[] = {first ? time : "",
		                       action_text(arena, &message->recipients[i]),
		                       first ? (message->queue_id[0] == '\0' ? "-" : table_text(arena, message->queue_id, 32))
		                             : "",
		                       first ? message->support_id : "",
		                       first ? message->client : "",
		                       first ? from : "",
		                       recipients_text(arena, message, i),
		                       why_text(arena, message, action)};
		table_row(output->table, cells);
		first = false;
	}
}

static void show_message(void *context, const struct history_message *message)
{
	struct find_output *output = context;
	output->messages++;
	if (output->options->json) {
		json_t *object = history_json(message);
		json_dumpf(object, stdout, JSON_COMPACT);
		fputc('\n', stdout);
		json_decref(object);
		return;
	}
	show_row(output, message);
	if (table_rows(output->table) >= ROWS_AT_A_TIME) {
		table_end(output);
	}
}

static bool find_run(const struct find_options *options)
{
	struct history_access history;
	struct find_output output = {.options = options, .arena = arena_create(65536)};
	bool good = history_open("find", options->config, true, &history);
	table_begin(&output);
	if (good) {
		good = history_worked("find", history_find(history.store, &options->filter, false, show_message, &output));
		table_end(&output);
	}
	if (good && output.messages == 0 && !options->json) {
		fprintf(stderr, "no message matches\n");
	}
	if (good && output.messages == options->filter.limit && output.messages > 0) {
		fflush(stdout);
		fprintf(stderr, "the youngest %zu; --limit shows more\n", output.messages);
	}
	history_close(&history);
	arena_destroy(output.arena);
	return good;
}

int cmd_find(int argc, char **argv)
{
	struct find_options options = {.filter = {.limit = LIMIT}, .arena = arena_create(1024)};
	int status = EXIT_SUCCESS;
	int option;
	log_set_level(LOG_LEVEL_ERROR);
	while (status == EXIT_SUCCESS && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			arena_destroy(options.arena);
			return EXIT_SUCCESS;
		}
		status = find_value(&options, option, optarg) ? EXIT_SUCCESS : EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS && optind < argc) {
		fprintf(stderr, "mailreeve find: \"%s\": what is looked for is said by options\n%s", argv[optind], usage);
		status = EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS) {
		status = find_run(&options) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	arena_destroy(options.arena);
	return status;
}
