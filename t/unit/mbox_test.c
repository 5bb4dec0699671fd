/* Mailbox files, in pieces of every size. */
#include "lib/mail/mbox.h"
#include "t/tap.h"

#include <stdio.h>
#include <stdlib.h>

#define FROM "From a@b Thu Jan  1 00:00:00 2026\n"

struct collected {
	struct strbuf text;
};

static void visit(void *context, struct slice message, struct slice from_line)
{
	struct strbuf *text = context;
	if (message.data == NULL) {
		strbuf_add_text(text, "(too large)|");
		return;
	}
	char *copy = malloc(message.len);
	memcpy(copy, message.data, message.len);
	strbuf_printf(text, "%s%.*s|", from_line.len > 0 ? "*" : "", (int)message.len, copy);
	free(copy);
}

static const struct row {
	const char *name, *in, *out;
} rows[] = {
    {"nothing", "", ""},
    {"a message that is no mailbox", "A: b\n\ntext\n", "A: b\n\ntext\n|"},
    {"where nothing is unquoted and no From line counts", "A: b\n\n>From x\n\n" FROM "c\n",
     "A: b\n\n>From x\n\n" FROM "c\n|"},
    {"one message", FROM "A: b\n\ntext\n", "*A: b\n\ntext\n|"},
    {"the empty line at its end is the file's", FROM "A: b\n\ntext\n\n", "*A: b\n\ntext\n|"},
    {"but only one", FROM "A: b\n\ntext\n\n\n", "*A: b\n\ntext\n\n|"},
    {"two", FROM "A: b\n\none\n\n" FROM "A: c\n\ntwo\n\n", "*A: b\n\none\n|*A: c\n\ntwo\n|"},
    {"with CRLF", "From a 00:00\r\nA: b\r\n\r\none\r\n\r\nFrom a 10:00\r\nA: c\r\n", "*A: b\r\n\r\none\r\n|*A: c\r\n|"},
    {"without an empty line between it is text", FROM "A: b\n\none\n" FROM "two\n", "*A: b\n\none\n" FROM "two\n|"},
    {"a paragraph is no From line", FROM "A: b\n\nFrom here on\n", "*A: b\n\nFrom here on\n|"},
    {"quoted", FROM "A: b\n\n>From x\n>>From y\n> From z\n>Fro\n", "*A: b\n\nFrom x\n>From y\n> From z\n>Fro\n|"},
    {"no end of line at the end", FROM "A: b\n\ntext", "*A: b\n\ntext|"},
    {"a quoted line at the very end", FROM "A: b\n\n>From ", "*A: b\n\nFrom |"},
    {"an empty message is none", FROM "\n" FROM "A: b\n", "*A: b\n|"},
    {"ends in its From line", FROM "A: b\n\n" FROM, "*A: b\n|"},
    {"a NUL byte ends nothing", FROM "A: b\n\nx\ny\n", "*A: b\n\nx\ny\n|"},
};

static const char *split(struct arena *arena, size_t max, const char *in, size_t n, size_t piece)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	struct mbox *mbox = mbox_open(max, visit, &text);
	for (size_t at = 0; at < n; at += piece) {
		size_t length = n - at < piece ? n - at : piece;
		char *copy = malloc(length);
		memcpy(copy, in + at, length);
		mbox_feed(mbox, copy, length);
		free(copy);
	}
	mbox_close(mbox);
	return text.data == NULL ? "" : arena_strdup(arena, text.data);
}

static void table(struct arena *arena)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = strlen(rows[i].in);
		bool good = true;
		for (size_t piece = 1; piece <= n + 1 && good; piece++) {
			const char *out = split(arena, 100000, rows[i].in, n, piece);
			good = strcmp(out, rows[i].out) == 0;
			if (!good) {
				printf("# pieces of %zu: %s\n", piece, out);
			}
		}
		ok(good, "%s", rows[i].name);
	}
}

static void bounds(struct arena *arena)
{
	struct strbuf in;
	strbuf_init(&in, arena);
	strbuf_add_text(&in, FROM "A: b\n\n");
	for (int i = 0; i < 3000; i++) {
		strbuf_add_char(&in, 'x');
	}
	strbuf_add_text(&in, "\n\n" FROM "A: c\n\nshort\n");
	ok(strcmp(split(arena, 2000, in.data, in.len, 7), "(too large)|*A: c\n\nshort\n|") == 0,
	   "one that is too large is told, and the next one comes");
	const char *whole = split(arena, 4000, in.data, in.len, 1000);
	ok(strlen(whole) == in.len - 2 * strlen(FROM) - 1 + 4, "a line longer than what is looked at stays as it is");
	ok(mbox_begins(slice_from(FROM)) && !mbox_begins(slice_from("From: a@b 10:00\n")) &&
	       !mbox_begins(slice_from("From here\n10:00")) && !mbox_begins(slice_from("")),
	   "a mailbox is told by its first line");
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	table(arena);
	bounds(arena);
	arena_destroy(arena);
	return done_testing();
}
