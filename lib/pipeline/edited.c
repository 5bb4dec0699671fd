#include "lib/pipeline/edited.h"

/* The nth field of that name, from 1, as the message came. */
static void mark_deleted(const struct headers *headers, const char *name, size_t nth, bool *deleted)
{
	for (size_t i = 0; i < headers->count; i++) {
		if (slice_equal_nocase(headers->items[i].name, slice_from(name)) && --nth == 0) {
			deleted[i] = true;
			return;
		}
	}
}

/* A value of ours as it stands on the wire. */
static struct slice wire_value(struct arena *arena, const char *value)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_add_char(&out, ' ');
	for (const char *c = value; *c != '\0'; c++) {
		strbuf_add_text(&out, *c == '\n' ? "\r" : "");
		strbuf_add_char(&out, *c);
	}
	return (struct slice){out.data, out.len};
}

void edited_headers(const struct session *session, struct headers *headers_r)
{
	const struct headers *before = session_headers(session);
	bool *deleted = arena_alloc(session->arena, before->count * sizeof *deleted);
	struct header *items = arena_alloc(session->arena, (before->count + session->edit_count) * sizeof *items);
	size_t count = 0;
	for (size_t i = 0; i < session->edit_count; i++) {
		if (session->edits[i].kind == EDIT_DELETE_HEADER) {
			mark_deleted(before, session->edits[i].name, session->edits[i].index, deleted);
		}
	}
	for (size_t i = 0; i < before->count; i++) {
		if (!deleted[i]) {
			items[count++] = before->items[i];
		}
	}
	for (size_t i = 0; i < session->edit_count; i++) {
		const struct edit *edit = &session->edits[i];
		if (edit->kind != EDIT_INSERT_HEADER) {
			continue;
		}
		size_t at = edit->index < count ? edit->index : count;
		memmove(&items[at + 1], &items[at], (count - at) * sizeof *items);
		struct slice value = wire_value(session->arena, edit->value);
		struct slice field = slice_from(arena_printf(session->arena, "%s:%s", edit->name, value.data));
		items[at] = (struct header){slice_from(edit->name), value, field};
		count++;
	}
	*headers_r = (struct headers){.items = items, .count = count, .capacity = count, .truncated = before->truncated};
}
