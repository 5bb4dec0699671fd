#include "lib/mail/taglist.h"

static bool tag_name_valid(struct slice name)
{
	if (name.len == 0 || !ascii_is_alpha(name.data[0])) {
		return false;
	}
	for (size_t i = 0; i < name.len; i++) {
		if (!ascii_is_alpha(name.data[i]) && !ascii_is_digit(name.data[i]) && name.data[i] != '_') {
			return false;
		}
	}
	return true;
}

static void taglist_add(struct taglist *list, struct slice name, struct slice value)
{
	for (size_t i = 0; i < list->count; i++) {
		if (slice_equal(list->tags[i].name, name)) {
			list->duplicate = true;
		}
	}
	if (list->count == TAGLIST_MAX) {
		list->truncated = true;
		return;
	}
	list->tags[list->count++] = (struct tag){name, value};
}

void taglist_parse(struct slice text, struct taglist *list_r)
{
	struct slice rest = text.data == NULL ? SLICE_LITERAL("") : text;
	struct slice piece;
	list_r->count = 0;
	list_r->duplicate = list_r->malformed = list_r->truncated = false;
	while (slice_split(&rest, ';', &piece)) {
		piece = slice_trim(piece);
		if (piece.len == 0) {
			list_r->malformed = list_r->malformed || rest.data != NULL;
			continue;
		}
		size_t equals = slice_find(piece, '=', 0);
		struct slice name = slice_trim((struct slice){piece.data, equals});
		if (equals == piece.len || !tag_name_valid(name)) {
			list_r->malformed = true;
			continue;
		}
		taglist_add(list_r, name, slice_trim((struct slice){piece.data + equals + 1, piece.len - equals - 1}));
	}
}

const struct tag *taglist_find(const struct taglist *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (slice_equal(list->tags[i].name, slice_from(name))) {
			return &list->tags[i];
		}
	}
	return NULL;
}

bool tag_list_has(struct slice list, const char *word)
{
	struct slice item;
	while (slice_split(&list, ':', &item)) {
		if (slice_equal_nocase(slice_trim(item), slice_from(word))) {
			return true;
		}
	}
	return false;
}

struct slice tag_compact(struct arena *arena, struct slice value)
{
	char *out = arena_alloc(arena, value.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.data[i];
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
			out[n++] = c;
		}
	}
	return (struct slice){out, n};
}
