#include "lib/policy/list_text.h"

#include <jansson.h>
#include <stdlib.h>

enum { SHOWN_MAX = 60 };

/* ---- lines ---- */

static void skip_blanks(struct slice *rest)
{
	while (rest->len > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t')) {
		rest->data++;
		rest->len--;
	}
}

/* Up to the next blank. */
static struct slice take_word(struct slice *rest)
{
	size_t n = 0;
	skip_blanks(rest);
	while (n < rest->len && rest->data[n] != ' ' && rest->data[n] != '\t') {
		n++;
	}
	struct slice word = {rest->data, n};
	rest->data += n;
	rest->len -= n;
	return word;
}

/* Index behind the text that begins at `from` and ends with `close`; a backslash takes what follows with it. */
static size_t closed_at(struct slice text, size_t from, char close)
{
	for (size_t i = from; i < text.len; i++) {
		if (text.data[i] == '\\') {
			i++;
		} else if (text.data[i] == close) {
			return i + 1;
		}
	}
	return text.len;
}

/* A value: a word, but for blanks in a pattern and in a quoted local part. */
static struct slice take_value(struct slice *rest)
{
	skip_blanks(rest);
	size_t word = 0;
	size_t colon = slice_find(*rest, ':', 0);
	size_t inner = 0;
	while (word < rest->len && rest->data[word] != ' ' && rest->data[word] != '\t') {
		word++;
	}
	if (rest->len > 0 && rest->data[0] == '"') {
		inner = closed_at(*rest, 1, '"');
	} else if (colon > 0 && colon + 1 < word && rest->data[colon + 1] == '/') {
		inner = closed_at(*rest, colon + 2, '/');
	}
	struct slice tail = {rest->data + inner, rest->len - inner};
	if (inner > 0) {
		struct slice end =
		    tail.len > 0 && tail.data[0] != ' ' && tail.data[0] != '\t' ? take_word(&tail) : (struct slice){NULL, 0};
		word = inner + end.len;
	}
	struct slice value = {rest->data, word};
	rest->data += word;
	rest->len -= word;
	return value;
}

static bool set_action(struct arena *arena, struct slice word, struct list_entry *entry, const char **problem_r)
{
	bool allow = slice_equal_nocase(word, SLICE_LITERAL("allow"));
	if (!allow && !slice_equal_nocase(word, SLICE_LITERAL("block"))) {
		*problem_r =
		    arena_printf(arena, "\"%s\" is neither allow nor block", text_escape(arena, word, "\"", true, SHOWN_MAX));
		return false;
	}
	entry->action = allow ? LIST_ALLOW : LIST_BLOCK;
	return true;
}

static bool set_added(struct arena *arena, struct slice value, struct list_entry *entry, const char **problem_r)
{
	if (!list_time_parse(value, &entry->added)) {
		*problem_r = arena_printf(arena, "\"%s\" is no moment such as 2026-12-31T18:00:00Z",
		                          text_escape(arena, value, "\"", true, SHOWN_MAX));
		return false;
	}
	return true;
}

static bool set_by(struct arena *arena, struct slice value, struct list_entry *entry, const char **problem_r)
{
	bool blank = slice_find(value, ' ', 0) < value.len || slice_find(value, '#', 0) < value.len;
	if (blank || value.len > LIST_BY_MAX || !list_note_valid(value)) {
		*problem_r = arena_printf(arena, "by=: expected a name of at most %d bytes without blanks and #", LIST_BY_MAX);
		return false;
	}
	entry->by = slice_dup(arena, value);
	return true;
}

/* An end in the past is no error where entries are read back: it is still true that it has ended. */
static bool set_until(struct arena *arena, struct slice value, uint64_t now, struct list_entry *entry,
                      const char **problem_r)
{
	return list_time_parse(value, &entry->expires) || list_expiry_parse(arena, value, now, &entry->expires, problem_r);
}

static bool set_note(struct arena *arena, struct slice note, struct list_entry *entry, const char **problem_r)
{
	note = slice_trim(note);
	if (!list_note_valid(note)) {
		*problem_r =
		    arena_printf(arena, "a note is at most %d bytes of UTF-8 without control characters", LIST_NOTE_MAX);
		return false;
	}
	entry->note = slice_dup(arena, note);
	return true;
}

static bool set_word(struct arena *arena, struct slice word, uint64_t now, struct list_entry *entry,
                     const char **problem_r)
{
	size_t equal = slice_find(word, '=', 0);
	struct slice name = {word.data, equal};
	struct slice value =
	    equal < word.len ? (struct slice){word.data + equal + 1, word.len - equal - 1} : (struct slice){"", 0};
	if (slice_equal(word, SLICE_LITERAL("enforced"))) {
		entry->enforced = true;
		return true;
	}
	if (slice_equal(word, SLICE_LITERAL("forced"))) {
		entry->forced = true;
		return true;
	}
	if (slice_equal(name, SLICE_LITERAL("until"))) {
		return set_until(arena, value, now, entry, problem_r);
	}
	if (slice_equal(name, SLICE_LITERAL("added"))) {
		return set_added(arena, value, entry, problem_r);
	}
	if (slice_equal(name, SLICE_LITERAL("by"))) {
		return set_by(arena, value, entry, problem_r);
	}
	*problem_r = arena_printf(arena, "\"%s\" is none of enforced, forced, until=TIME, added=TIME, by=NAME, # NOTE",
	                          text_escape(arena, word, "\"", true, SHOWN_MAX));
	return false;
}

static bool parse_words(struct arena *arena, struct slice rest, uint64_t now, struct list_entry *entry,
                        const char **problem_r)
{
	for (;;) {
		skip_blanks(&rest);
		if (rest.len == 0) {
			return true;
		}
		if (rest.data[0] == '#') {
			return set_note(arena, (struct slice){rest.data + 1, rest.len - 1}, entry, problem_r);
		}
		if (!set_word(arena, take_word(&rest), now, entry, problem_r)) {
			return false;
		}
	}
}

static bool parse_line(struct arena *arena, struct slice rest, bool whole, uint64_t now, struct list_entry *entry,
                       const char **problem_r)
{
	if (whole) {
		struct slice action = take_word(&rest);
		struct slice owner;
		if (!set_action(arena, action, entry, problem_r)) {
			return false;
		}
		skip_blanks(&rest);
		owner = rest.len > 0 && rest.data[0] == '"' ? take_value(&rest) : take_word(&rest);
		if (!list_owner_parse(arena, owner, entry, problem_r)) {
			return false;
		}
	}
	return list_value_parse(arena, take_value(&rest), entry, problem_r) &&
	       parse_words(arena, rest, now, entry, problem_r);
}

/* ---- JSON ---- */

/* The member as text; "" when it is absent or null. False when it is something else. */
static bool json_member(struct arena *arena, const json_t *object, const char *name, struct slice *text_r,
                        const char **problem_r)
{
	const json_t *value = json_object_get(object, name);
	*text_r = (struct slice){"", 0};
	if (value == NULL || json_is_null(value)) {
		return true;
	}
	if (!json_is_string(value)) {
		*problem_r = arena_printf(arena, "%s: expected a text", name);
		return false;
	}
	*text_r = slice_from(arena_strdup(arena, json_string_value(value)));
	return true;
}

static bool json_flag(struct arena *arena, const json_t *object, const char *name, bool *flag_r, const char **problem_r)
{
	const json_t *value = json_object_get(object, name);
	*flag_r = value != NULL && json_is_true(value);
	if (value != NULL && !json_is_boolean(value) && !json_is_null(value)) {
		*problem_r = arena_printf(arena, "%s: expected true or false", name);
		return false;
	}
	return true;
}

static bool json_names(struct arena *arena, const json_t *object, const char **problem_r)
{
	static const char *const names[] = {"action", "owner",   "entry", "kind", "enforced",
	                                    "forced", "expires", "added", "by",   "note"};
	for (void *i = json_object_iter((json_t *)(uintptr_t)object); i != NULL;
	     i = json_object_iter_next((json_t *)(uintptr_t)object, i)) {
		const char *name = json_object_iter_key(i);
		bool known = false;
		for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
			known = known || strcmp(names[k], name) == 0;
		}
		if (!known) {
			*problem_r =
			    arena_printf(arena, "unknown key \"%s\"", text_escape(arena, slice_from(name), "\"", true, SHOWN_MAX));
			return false;
		}
	}
	return true;
}

static bool parse_object(struct arena *arena, const json_t *object, const struct list_entry *defaults, uint64_t now,
                         struct list_entry *entry, const char **problem_r)
{
	struct slice action;
	struct slice owner;
	struct slice value;
	struct slice expires;
	struct slice added;
	struct slice by;
	struct slice note;
	if (!json_names(arena, object, problem_r) || !json_member(arena, object, "action", &action, problem_r) ||
	    !json_member(arena, object, "owner", &owner, problem_r) ||
	    !json_member(arena, object, "entry", &value, problem_r) ||
	    !json_member(arena, object, "expires", &expires, problem_r) ||
	    !json_member(arena, object, "added", &added, problem_r) || !json_member(arena, object, "by", &by, problem_r) ||
	    !json_member(arena, object, "note", &note, problem_r) ||
	    !json_flag(arena, object, "enforced", &entry->enforced, problem_r) ||
	    !json_flag(arena, object, "forced", &entry->forced, problem_r)) {
		return false;
	}
	bool own_action = defaults == NULL || action.len > 0;
	bool own_owner = defaults == NULL || json_object_get(object, "owner") != NULL;
	return (!own_action || set_action(arena, action, entry, problem_r)) &&
	       (!own_owner || list_owner_parse(arena, owner, entry, problem_r)) &&
	       list_value_parse(arena, value, entry, problem_r) &&
	       (expires.len == 0 || set_until(arena, expires, now, entry, problem_r)) &&
	       (added.len == 0 || set_added(arena, added, entry, problem_r)) &&
	       (by.len == 0 || set_by(arena, by, entry, problem_r)) &&
	       (note.len == 0 || set_note(arena, note, entry, problem_r));
}

static bool parse_json(struct arena *arena, struct slice line, const struct list_entry *defaults, uint64_t now,
                       struct list_entry *entry, const char **problem_r)
{
	json_error_t error;
	json_t *object = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL) {
		*problem_r =
		    arena_printf(arena, "no JSON: %s", text_escape(arena, slice_from(error.text), "", true, SHOWN_MAX));
		return false;
	}
	bool good = parse_object(arena, object, defaults, now, entry, problem_r);
	json_decref(object);
	return good;
}

enum list_line list_line_parse(struct arena *arena, struct slice line, const struct list_entry *defaults, uint64_t now,
                               struct list_entry *entry_r, const char **problem_r)
{
	static const struct list_entry none = {.owner = "", .value = "", .by = "", .note = ""};
	line = slice_trim(line);
	*entry_r = defaults == NULL ? none : *defaults;
	if (line.len == 0 || line.data[0] == '#') {
		return LIST_LINE_EMPTY;
	}
	if (line.len > LIST_LINE_MAX) {
		*problem_r = arena_printf(arena, "a line is at most %d bytes long", LIST_LINE_MAX);
		return LIST_LINE_BAD;
	}
	if (!(line.data[0] == '{' ? parse_json(arena, line, defaults, now, entry_r, problem_r)
	                          : parse_line(arena, line, defaults == NULL, now, entry_r, problem_r))) {
		return LIST_LINE_BAD;
	}
	*problem_r = list_entry_problem(entry_r);
	return *problem_r == NULL ? LIST_LINE_ENTRY : LIST_LINE_BAD;
}

/* ---- writing ---- */

const char *list_line_format(struct arena *arena, const struct list_entry *entry)
{
	struct strbuf line;
	strbuf_init(&line, arena);
	strbuf_printf(&line, "%s %s %s", list_action_name(entry->action), entry->owner[0] == '\0' ? "*" : entry->owner,
	              entry->value);
	strbuf_add_text(&line, entry->enforced ? " enforced" : entry->forced ? " forced" : "");
	if (entry->expires != 0) {
		strbuf_printf(&line, " until=%s", list_time_format(arena, entry->expires));
	}
	if (entry->added != 0) {
		strbuf_printf(&line, " added=%s", list_time_format(arena, entry->added));
	}
	if (entry->by[0] != '\0') {
		strbuf_printf(&line, " by=%s", entry->by);
	}
	if (entry->note[0] != '\0') {
		strbuf_printf(&line, " # %s", entry->note);
	}
	return line.data;
}

static json_t *json_time(struct arena *arena, uint64_t time)
{
	return time == 0 ? json_null() : json_string(list_time_format(arena, time));
}

const char *list_json_format(struct arena *arena, const struct list_entry *entry)
{
	json_t *object = json_pack("{ss ss ss ss sb sb so so ss ss}", "action", list_action_name(entry->action), "owner",
	                           entry->owner, "entry", entry->value, "kind", list_kind_name(entry->kind), "enforced",
	                           entry->enforced, "forced", entry->forced, "expires", json_time(arena, entry->expires),
	                           "added", json_time(arena, entry->added), "by", entry->by, "note", entry->note);
	char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
	const char *copy = arena_strdup(arena, text == NULL ? "{}" : text);
	free(text);
	json_decref(object);
	return copy;
}
