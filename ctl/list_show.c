/* mailreeve list show, export: what there is, and what would match. */
#include "ctl/list.h"
#include "lib/pipeline/list_names.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <stdlib.h>

/* What an entry must be to be shown. */
struct filter {
	const struct list_command *command;
	struct arena *scratch;
	const char *const *owners;       /* NULL-ended; NULL: of all */
	const struct list_names *names;  /* of --check; NULL: no matter */
	const struct list_entry *wanted; /* by value */
	size_t wanted_count;
	size_t shown;
	struct list_entries entries;
};

static bool has_expired(const struct filter *filter, const struct list_entry *entry)
{
	return entry->expires != 0 && entry->expires <= filter->command->now;
}

static bool contains(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

static bool is_owner(const struct filter *filter, const char *owner)
{
	for (const char *const *one = filter->owners; one != NULL && *one != NULL; one++) {
		if (strcmp(*one, owner) == 0) {
			return true;
		}
	}
	return filter->owners == NULL;
}

static const struct list_name *name_of(const struct filter *filter, const char *value)
{
	for (size_t i = 0; filter->names != NULL && i < filter->names->count; i++) {
		if (strcmp(filter->names->items[i].text.text, value) == 0) {
			return &filter->names->items[i];
		}
	}
	return NULL;
}

static bool is_wanted(const struct filter *filter, const char *value)
{
	for (size_t i = 0; i < filter->wanted_count; i++) {
		if (strcmp(filter->wanted[i].value, value) == 0) {
			return true;
		}
	}
	return filter->wanted_count == 0;
}

static bool passes(const struct filter *filter, const struct list_entry *entry)
{
	const char *search = filter->command->search;
	return (filter->command->expired || !has_expired(filter, entry)) && is_owner(filter, entry->owner) &&
	       is_wanted(filter, entry->value) && (filter->names == NULL || name_of(filter, entry->value) != NULL) &&
	       (search == NULL || contains(entry->owner, search) || contains(entry->value, search) ||
	        contains(entry->note, search) || contains(entry->by, search));
}

static void collect(void *context, const struct list_entry *entry)
{
	struct filter *filter = context;
	if (passes(filter, entry)) {
		list_entries_add(&filter->entries, entry);
	}
}

/* As it is, unless somebody has written to the store by hand what no entry can be. */
static const char *safe_line(struct arena *arena, const char *line)
{
	bool good = slice_is_utf8(slice_from(line));
	for (const char *c = line; *c != '\0'; c++) {
		good = good && (unsigned char)*c >= ' ' && *c != 0x7f;
	}
	return good ? line : text_escape(arena, slice_from(line), "", true, SIZE_MAX);
}

static void print_entry(struct filter *filter, const struct list_entry *entry, bool configured)
{
	const struct list_command *command = filter->command;
	arena_reset(filter->scratch);
	if (command->json) {
		puts(list_json_format(filter->scratch, entry));
		return;
	}
	fputs(safe_line(filter->scratch, list_line_format(filter->scratch, entry)), stdout);
	const struct list_name *name = name_of(filter, entry->value);
	if (name != NULL) {
		printf(" (%s)", name->shown);
	}
	fputs(configured ? " (configuration)" : "", stdout);
	puts(has_expired(filter, entry) ? " (expired)" : "");
}

static void print_all(struct filter *filter, bool configured)
{
	if (filter->entries.count > 1) {
		qsort(filter->entries.items, filter->entries.count, sizeof *filter->entries.items, list_compare);
	}
	for (size_t i = 0; i < filter->entries.count; i++) {
		print_entry(filter, &filter->entries.items[i], configured);
	}
	filter->shown += filter->entries.count;
	filter->entries.count = 0;
}

static void collect_configured(struct filter *filter)
{
	const struct lists_settings *settings = config_settings(filter->command->config, stages_section(&stage_lists));
	const struct option_entries *const both[] = {&settings->allow, &settings->block};
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < both[i]->count; k++) {
			collect(filter, &both[i]->items[k]);
		}
	}
}

/* ---- --check ---- */

static bool refuse_value(const char *option, const char *value)
{
	return list_refuse("%s: \"%s\" is not what is expected; see mailreeve(1)", option, value);
}

/* The message that is asked about, as far as it is known. */
static bool check_session(struct list_command *command, struct session *session)
{
	session->arena = command->arena;
	session->client_name = command->ptr == NULL ? "" : command->ptr;
	if (command->helo != NULL) {
		snprintf(session->helo, sizeof session->helo, "%s", command->helo);
	}
	if (!address_parse_path(command->arena, command->check, &session->mail_from) ||
	    (session->mail_from.domain[0] == '\0' && session->mail_from.text[0] != '\0')) {
		return refuse_value("--check", command->check);
	}
	if (command->client != NULL && !ip_parse(command->client, &session->client)) {
		return refuse_value("--client", command->client);
	}
	return true;
}

/* A country or a number as an entry has it; *text_r: behind the colon. NULL is not given. */
static bool check_place(struct list_command *command, const char *prefix, const char *value, const char **text_r)
{
	struct list_entry entry;
	const char *problem;
	*text_r = "";
	if (value == NULL) {
		return true;
	}
	const char *text = arena_printf(command->arena, "%s:%s", prefix, value);
	if (!list_value_parse(command->arena, slice_from(text), &entry, &problem)) {
		return list_refuse("--%s: %s", prefix, problem);
	}
	*text_r = strchr(entry.value, ':') + 1;
	return true;
}

/* Everybody, the recipient's domain, the recipient. */
static bool check_owners(struct list_command *command, struct filter *filter)
{
	const struct globals *globals = config_settings(command->config, SECTION_GLOBALS);
	struct address address;
	const char **owners = arena_alloc(command->arena, 5 * sizeof *owners);
	if (command->rcpt == NULL) {
		return true;
	}
	if (!address_parse_path(command->arena, command->rcpt, &address) || address.domain[0] == '\0') {
		return refuse_value("--rcpt", command->rcpt);
	}
	owners[0] = "";
	owners[1] = address.domain;
	list_names_users(command->arena, &address, globals->recipient_delimiter, &owners[2]);
	filter->owners = owners;
	return true;
}

static bool check(struct list_command *command, struct filter *filter)
{
	struct session *session = arena_alloc(command->arena, sizeof *session);
	struct list_names *names = arena_alloc(command->arena, sizeof *names);
	struct lists *lists = lists_open(command->store, false);
	const struct lists_settings *settings = config_settings(command->config, stages_section(&stage_lists));
	lists_configure(lists, &settings->allow, &settings->block);
	struct list_set *set = lists_acquire(lists);
	list_names_init(names, command->arena, set);
	const char *country = "";
	const char *asn = "";
	bool good = check_session(command, session) && check_owners(command, filter) &&
	            check_place(command, "country", command->country, &country) &&
	            check_place(command, "asn", command->asn, &asn);
	if (good) {
		list_names_add_envelope(names, session);
		list_names_add_client(names, session);
		list_names_add_place(names, country, (uint32_t)strtoul(asn, NULL, 10));
	}
	filter->names = names;
	list_set_release(set);
	lists_close(lists);
	return good;
}

/* ---- show, export ---- */

static bool parse_wanted(struct list_command *command, struct list_entries *wanted)
{
	for (int i = 0; i < command->word_count; i++) {
		struct list_entry entry = {.owner = "", .by = "", .note = ""};
		const char *problem;
		if (!list_value_parse(command->arena, slice_from(command->words[i]), &entry, &problem)) {
			return list_refuse("%s", problem);
		}
		list_entries_add(wanted, &entry);
	}
	return true;
}

static bool set_owner(struct list_command *command, struct filter *filter)
{
	struct list_entry entry;
	if (command->owner == NULL) {
		return true;
	}
	if (!list_defaults(command, &entry)) {
		return false;
	}
	const char **owners = arena_alloc(command->arena, 2 * sizeof *owners);
	owners[0] = entry.owner;
	filter->owners = owners;
	return true;
}

static bool run(struct list_command *command, struct filter *filter, bool configured)
{
	int64_t change;
	if (command->check != NULL && !check(command, filter)) {
		return false;
	}
	if (configured) {
		collect_configured(filter);
		print_all(filter, true);
	}
	if (command->store != NULL && store_lists_read(command->store, 0, collect, filter, &change) != STORE_OK) {
		return list_refuse("the store cannot be read now");
	}
	print_all(filter, false);
	return true;
}

static bool run_opened(struct list_command *command, bool configured)
{
	struct list_entries wanted = {.arena = command->arena};
	struct filter filter = {.command = command, .scratch = arena_create(4096), .entries = {.arena = command->arena}};
	bool good = set_owner(command, &filter) && parse_wanted(command, &wanted) && list_open_store(command, false);
	filter.wanted = wanted.items;
	filter.wanted_count = wanted.count;
	good = good && run(command, &filter, configured);
	if (good && filter.shown == 0 && !command->json && configured) {
		fputs(command->check != NULL ? "no entry would match\n" : "no entries\n", stderr);
	}
	arena_destroy(filter.scratch);
	return good;
}

bool list_show(struct list_command *command)
{
	return run_opened(command, true);
}

bool list_export(struct list_command *command)
{
	command->expired = true;
	return run_opened(command, false);
}
