/* mailreeve list add, remove, import. */
#include "ctl/list.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <errno.h>
#include <stdlib.h>

enum { LINES_MAX = 2000000, ERRORS_MAX = 20 };

static const char *shown_owner(const struct list_entry *entry)
{
	return entry->owner[0] == '\0' ? "everybody" : entry->owner;
}

static bool refuse_answer(const struct list_command *command, enum store_lists_answer answer, const char *where,
                          const struct list_entry *entry)
{
	const struct lists_settings *settings = config_settings(command->config, stages_section(&stage_lists));
	switch (answer) {
	case STORE_LISTS_DONE:
		return true;
	case STORE_LISTS_ENFORCED:
		return list_refuse(
		    "%s%s is an enforced block of %s: nothing was changed. Remove it first: mailreeve list remove "
		    "--enforced",
		    where, entry->value, shown_owner(entry));
	case STORE_LISTS_TOO_MANY:
		return list_refuse(
		    "%s%s would have too many entries: nothing was changed. A user may have %llu (lists.user_max), a "
		    "domain %llu (lists.domain_max), and nobody more than %d patterns",
		    where, shown_owner(entry), (unsigned long long)settings->user_max, (unsigned long long)settings->domain_max,
		    LISTS_PATTERNS_MAX);
	case STORE_LISTS_UNAVAILABLE:
		return list_refuse("the store cannot be written now: nothing was changed");
	case STORE_LISTS_FAILED:
		break;
	}
	return list_refuse("the store does not take that: nothing was changed");
}

static enum store_lists_answer put(struct list_command *command, const struct list_entry *entries, size_t count,
                                   size_t *where_r)
{
	const struct lists_settings *settings = config_settings(command->config, stages_section(&stage_lists));
	const struct store_lists_limits limits = {
	    .user_max = settings->user_max, .domain_max = settings->domain_max, .patterns_max = LISTS_PATTERNS_MAX};
	return store_lists_put(command->store, entries, count, &limits, command->now, where_r);
}

static bool parse_action(const char *word, enum list_action *action_r)
{
	*action_r = strcmp(word, "allow") == 0 ? LIST_ALLOW : strcmp(word, "block") == 0 ? LIST_BLOCK : LIST_REMOVED;
	return *action_r != LIST_REMOVED || list_refuse("\"%s\" is neither allow nor block", word);
}

static bool parse_words(struct list_command *command, int from, const struct list_entry *defaults,
                        struct list_entries *entries)
{
	for (int i = from; i < command->word_count; i++) {
		struct list_entry entry = *defaults;
		const char *problem;
		if (!list_value_parse(command->arena, slice_from(command->words[i]), &entry, &problem)) {
			return list_refuse("%s", problem);
		}
		problem = entry.action == LIST_REMOVED ? NULL : list_entry_problem(&entry);
		if (problem != NULL) {
			return list_refuse("%s: %s", entry.value, problem);
		}
		list_entries_add(entries, &entry);
	}
	return true;
}

/* The same twice is once. */
static void drop_doubles(struct list_entries *entries)
{
	size_t n = 0;
	qsort(entries->items, entries->count, sizeof *entries->items, list_compare);
	for (size_t i = 0; i < entries->count; i++) {
		if (n == 0 || list_compare(&entries->items[n - 1], &entries->items[i]) != 0) {
			entries->items[n++] = entries->items[i];
		}
	}
	entries->count = n;
}

bool list_add(struct list_command *command)
{
	struct list_entry defaults;
	struct list_entries entries = {.arena = command->arena};
	size_t where = 0;
	if (!list_defaults(command, &defaults) || !parse_action(command->words[0], &defaults.action) ||
	    !parse_words(command, 1, &defaults, &entries) || !list_open_store(command, true)) {
		return false;
	}
	drop_doubles(&entries);
	enum store_lists_answer answer = put(command, entries.items, entries.count, &where);
	if (answer != STORE_LISTS_DONE) {
		return refuse_answer(command, answer, "", &entries.items[where]);
	}
	for (size_t i = 0; i < entries.count; i++) {
		puts(list_line_format(command->arena, &entries.items[i]));
	}
	return true;
}

/* ---- remove ---- */

static bool tell_left(struct list_command *command, const struct list_entry *entry)
{
	struct list_entries there = {.arena = command->arena};
	if (store_lists_read_owner(command->store, entry->owner, list_entries_add, &there) != STORE_OK) {
		return list_refuse("%s was not removed, and the store cannot be read now", entry->value);
	}
	for (size_t i = 0; i < there.count; i++) {
		if (strcmp(there.items[i].value, entry->value) == 0) {
			return list_refuse("%s is enforced and was not removed; --enforced if that is meant", entry->value);
		}
	}
	return list_refuse("%s has no entry %s; see mailreeve list show", shown_owner(entry), entry->value);
}

bool list_remove(struct list_command *command)
{
	struct list_entry defaults;
	struct list_entries entries = {.arena = command->arena};
	if (!list_defaults(command, &defaults) || !parse_words(command, 0, &defaults, &entries) ||
	    !list_open_store(command, true)) {
		return false;
	}
	drop_doubles(&entries);
	bool *removed = arena_alloc(command->arena, entries.count * sizeof *removed);
	enum store_lists_answer answer =
	    store_lists_remove(command->store, entries.items, entries.count, command->enforced, command->now, removed);
	bool good = refuse_answer(command, answer, "", &entries.items[0]);
	for (size_t i = 0; answer == STORE_LISTS_DONE && i < entries.count; i++) {
		if (removed[i]) {
			printf("removed %s from the list of %s\n", entries.items[i].value, shown_owner(&entries.items[i]));
		} else {
			good = tell_left(command, &entries.items[i]);
		}
	}
	return good;
}

/* ---- import ---- */

struct import {
	struct list_command *command;
	const char *name;                  /* of the file */
	const struct list_entry *defaults; /* NULL: every line has its own */
	struct list_entries entries;
	size_t *lines; /* of each entry */
	size_t line, errors;
};

static void import_error(struct import *import, size_t line, const char *problem)
{
	if (++import->errors <= ERRORS_MAX) {
		fprintf(stderr, "%s:%zu: %s\n", import->name, line, problem);
	}
}

static void import_add(struct import *import, struct list_entry *entry)
{
	size_t n = import->entries.count;
	if ((n & (n - 1)) == 0) {
		import->lines = reallocarray(import->lines, n == 0 ? 1 : 2 * n, sizeof *import->lines);
		if (import->lines == NULL) {
			abort();
		}
	}
	if (entry->added == 0) {
		entry->added = import->command->now;
	}
	if (entry->by[0] == '\0') {
		entry->by = import->command->by;
	}
	list_entries_add(&import->entries, entry);
	import->lines[n] = import->line;
}

static void import_line(struct import *import, struct arena *scratch, struct slice line)
{
	struct list_entry entry;
	const char *problem;
	import->line++;
	arena_reset(scratch);
	if (import->line == 1 && slice_starts_nocase(line, SLICE_LITERAL("\xef\xbb\xbf"))) {
		line = (struct slice){line.data + 3, line.len - 3};
	}
	switch (list_line_parse(scratch, line, import->defaults, import->command->now, &entry, &problem)) {
	case LIST_LINE_EMPTY:
		break;
	case LIST_LINE_BAD:
		import_error(import, import->line, problem);
		break;
	case LIST_LINE_ENTRY:
		import_add(import, &entry);
		break;
	}
}

static bool import_read(struct import *import)
{
	struct arena *scratch = arena_create(16384);
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	while (import->line < LINES_MAX && (length = getline(&line, &size, import->command->file)) > 0) {
		import_line(import, scratch, (struct slice){line, (size_t)length});
	}
	bool whole = ferror(import->command->file) == 0;
	if (whole && getline(&line, &size, import->command->file) > 0) {
		import_error(import, import->line + 1, "too many lines");
	}
	free(line);
	arena_destroy(scratch);
	return whole || list_refuse("%s: %s", import->name, strerror(errno));
}

static int compare_places(const void *a, const void *b, void *context)
{
	const struct import *sorting = context;
	const size_t x = *(const size_t *)a;
	const size_t y = *(const size_t *)b;
	int order = list_compare(&sorting->entries.items[x], &sorting->entries.items[y]);
	return order != 0 ? order : (x > y) - (x < y);
}

static bool same_meaning(const struct list_entry *a, const struct list_entry *b)
{
	return a->action == b->action && a->enforced == b->enforced && a->forced == b->forced && a->expires == b->expires;
}

/* The first of those that say the same; two that do not are an error. */
static void import_unique(struct import *import)
{
	size_t count = import->entries.count;
	size_t *places = calloc(count + 1, sizeof *places);
	bool *drop = calloc(count + 1, sizeof *drop);
	size_t n = 0;
	if (places == NULL || drop == NULL) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		places[i] = i;
	}
	qsort_r(places, count, sizeof *places, compare_places, import);
	for (size_t i = 1, first = 0; i < count; i++) {
		const struct list_entry *former = &import->entries.items[places[first]];
		const struct list_entry *entry = &import->entries.items[places[i]];
		if (list_compare(former, entry) != 0) {
			first = i;
			continue;
		}
		drop[places[i]] = true;
		if (!same_meaning(former, entry)) {
			import_error(import, import->lines[places[i]],
			             arena_printf(import->command->arena,
			                          "%s of %s stands in line %zu already, with another meaning", entry->value,
			                          shown_owner(entry), import->lines[places[first]]));
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!drop[i]) {
			import->entries.items[n] = import->entries.items[i];
			import->lines[n++] = import->lines[i];
		}
	}
	import->entries.count = n;
	free(places);
	free(drop);
}

static bool import_put(struct import *import)
{
	size_t where = 0;
	if (!list_open_store(import->command, true)) {
		return false;
	}
	enum store_lists_answer answer = put(import->command, import->entries.items, import->entries.count, &where);
	if (answer != STORE_LISTS_DONE) {
		const char *place = arena_printf(import->command->arena, "%s:%zu: ", import->name,
		                                 import->entries.count == 0 ? 0 : import->lines[where]);
		bool of_line = answer == STORE_LISTS_ENFORCED || answer == STORE_LISTS_TOO_MANY;
		return refuse_answer(import->command, answer, of_line ? place : "", &import->entries.items[where]);
	}
	printf("imported %zu entries\n", import->entries.count);
	return true;
}

bool list_import(struct list_command *command)
{
	struct list_entry defaults;
	bool own = command->word_count == 1;
	struct import import = {
	    .command = command, .name = command->words[own ? 0 : 1], .entries = {.arena = command->arena}};
	if (!list_defaults(command, &defaults) || (!own && !parse_action(command->words[0], &defaults.action))) {
		return false;
	}
	import.defaults = own ? NULL : &defaults;
	/* Before we are somebody else, who may not read it. */
	bool standard_input = strcmp(import.name, "-") == 0;
	command->file = standard_input ? stdin : fopen(import.name, "r");
	if (command->file == NULL) {
		return list_refuse("%s: %s", import.name, strerror(errno));
	}
	bool good = import_read(&import);
	if (!standard_input) {
		fclose(command->file);
	}
	import_unique(&import);
	if (good && import.errors > 0) {
		good = list_refuse("%zu error%s: nothing was changed", import.errors, import.errors == 1 ? "" : "s");
	}
	good = good && import_put(&import);
	free(import.lines);
	return good;
}
