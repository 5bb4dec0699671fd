/* The header as it will leave: what the edits of a verdict make of it. */
#include "lib/pipeline/edited.h"
#include "t/tap.h"

static const char mail[] = "Received: top\r\nTo: 1\r\nSubject: s\r\n folded\r\nTO: 2\r\nTo: 3\r\n\r\nbody\r\n";

struct row {
	const char *what;
	struct edit edits[4];
	size_t count;
	const char *expected;
};

static const char *written(struct arena *arena, const struct headers *headers)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; i < headers->count; i++) {
		strbuf_printf(&out, "%.*s:%.*s\n", SLICE_ARGS(headers->items[i].name), SLICE_ARGS(headers->items[i].value));
	}
	return out.data;
}

int main(void)
{
	const struct row rows[] = {
	    {"none", {{0}}, 0, "Received: top\nTo: 1\nSubject: s\r\n folded\nTO: 2\nTo: 3\n"},
	    {"on top",
	     {{EDIT_INSERT_HEADER, "X", "a\n\tb", 0}, {EDIT_INSERT_HEADER, "Y", "c", 0}},
	     2,
	     "Y: c\nX: a\r\n\tb\nReceived: top\nTo: 1\nSubject: s\r\n folded\nTO: 2\nTo: 3\n"},
	    {"below the top, and far below",
	     {{EDIT_INSERT_HEADER, "X", "a", 1}, {EDIT_INSERT_HEADER, "Y", "c", 99}},
	     2,
	     "Received: top\nX: a\nTo: 1\nSubject: s\r\n folded\nTO: 2\nTo: 3\nY: c\n"},
	    {"deleted by name and number, as the message came",
	     {{EDIT_DELETE_HEADER, "to", NULL, 3}, {EDIT_DELETE_HEADER, "to", NULL, 1}},
	     2,
	     "Received: top\nSubject: s\r\n folded\nTO: 2\n"},
	    {"one that is not there",
	     {{EDIT_DELETE_HEADER, "to", NULL, 4}, {EDIT_DELETE_HEADER, "cc", NULL, 1}},
	     2,
	     "Received: top\nTo: 1\nSubject: s\r\n folded\nTO: 2\nTo: 3\n"},
	    {"replaced",
	     {{EDIT_INSERT_HEADER, "To", "new", 0}, {EDIT_DELETE_HEADER, "To", NULL, 2}},
	     2,
	     "To: new\nReceived: top\nTo: 1\nSubject: s\r\n folded\nTo: 3\n"},
	};
	struct arena *arena = arena_create(4096);
	struct message_settings settings = {
	    .memory_max = 100000, .size_max = 100000, .spool_dir = "/tmp", .headers = {.max_count = 10, .max_bytes = 1000}};
	struct session *session = calloc(1, sizeof *session);
	session->arena = arena;
	session->message = message_create(arena, &settings);
	message_load(session->message, slice_from(mail));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct headers headers;
		session->edits = arena_alloc(arena, sizeof rows[i].edits);
		memcpy(session->edits, rows[i].edits, sizeof rows[i].edits);
		session->edit_count = rows[i].count;
		edited_headers(session, &headers);
		is_text(written(arena, &headers), rows[i].expected, rows[i].what);
	}
	message_destroy(session->message);
	free(session);
	arena_destroy(arena);
	return done_testing();
}
