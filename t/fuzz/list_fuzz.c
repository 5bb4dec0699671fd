/* Lines of lists, in text and JSON: what is read is written, by both, as what reads back to the same; and can be kept.
 */
#include "lib/policy/list_index.h"
#include "lib/policy/list_text.h"
#include "t/fuzz/fuzz.h"

#include <string.h>

enum { NOW = 1764032400 };

static void check_entry(struct arena *arena, const struct list_entry *entry)
{
	struct list_entry again;
	const char *problem;
	const char *line = list_line_format(arena, entry);
	require(list_line_parse(arena, slice_from(line), NULL, NOW, &again, &problem) == LIST_LINE_ENTRY);
	require(strcmp(list_line_format(arena, &again), line) == 0 && again.kind == entry->kind);
	const char *json = list_json_format(arena, entry);
	require(list_line_parse(arena, slice_from(json), NULL, NOW, &again, &problem) == LIST_LINE_ENTRY);
	require(strcmp(list_json_format(arena, &again), json) == 0);
}

static void check_index(const struct list_entry *entry)
{
	size_t broken;
	struct list_index *empty = list_index_create(1);
	struct list_index *index = list_index_change(empty, entry, 1, &broken);
	struct list_text owner = list_index_text(index, entry->owner);
	struct list_text value = list_index_text(index, entry->value);
	require(broken == 0 && list_index_count(index) == 1 && list_index_owner(index, &owner).entries == 1);
	require((list_index_find(index, &owner, &value) != NULL) == (entry->kind != LIST_PATTERN));
	list_index_release(index);
	list_index_release(empty);
}

/* Lines; a first byte of "*" has them read with defaults. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct list_entry defaults = {.owner = "example.org", .action = LIST_BLOCK, .by = "me", .note = ""};
	struct arena *arena = arena_create(4096);
	bool bare = size > 0 && data[0] == '*';
	struct slice rest = {(const char *)data + bare, size - bare};
	struct slice line;
	if (rest.len == 0) {
		rest.data = "";
	}
	for (unsigned n = 0; n < 20 && slice_split(&rest, '\n', &line); n++) {
		struct list_entry entry;
		const char *problem = NULL;
		char *exact = malloc(line.len);
		if (line.len > 0) {
			memcpy(exact, line.data, line.len);
		}
		enum list_line result =
		    list_line_parse(arena, (struct slice){exact, line.len}, bare ? &defaults : NULL, NOW, &entry, &problem);
		free(exact);
		require(result != LIST_LINE_BAD || problem != NULL);
		if (result == LIST_LINE_ENTRY) {
			check_entry(arena, &entry);
			check_index(&entry);
		}
	}
	arena_destroy(arena);
	return 0;
}
