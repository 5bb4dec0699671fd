#include "lib/mail/mbox.h"

#include <stdlib.h>

enum { LINE_HEAD = 256, FROM_LINE_MAX = 255 };

/* Lines are only looked at by their first bytes, so that one without end needs no memory of its own: head collects
 * them, and once a line is longer, or ends, it goes to the message. */
struct mbox {
	size_t message_max;
	mbox_visit *visit;
	void *context;
	char *message;
	size_t size, room;
	bool too_large;
	bool mailbox;      /* it began with a "From " line */
	bool begun;        /* a line was seen */
	bool blank;        /* the line before was empty: it is in the message, and no part of it where "From " follows */
	size_t blank_size; /* bytes of it */
	char from_line[FROM_LINE_MAX + 1];
	size_t from_size;
	char head[LINE_HEAD];
	size_t head_size;
	bool in_line; /* the head of this line is in the message already: the rest follows */
};

/* "From " and a time of day somewhere: what people write at the beginning of a paragraph has none. */
static bool is_from_line(struct slice line)
{
	if (line.len < 5 || memcmp(line.data, "From ", 5) != 0) {
		return false;
	}
	for (size_t i = 5; i + 2 < line.len; i++) {
		if (ascii_is_digit(line.data[i - 1]) && line.data[i] == ':' && ascii_is_digit(line.data[i + 1]) &&
		    ascii_is_digit(line.data[i + 2])) {
			return true;
		}
	}
	return false;
}

bool mbox_begins(struct slice head)
{
	size_t end = slice_find(head, '\n', 0);
	return is_from_line((struct slice){head.data, end < LINE_HEAD ? end : LINE_HEAD});
}

struct mbox *mbox_open(size_t message_max, mbox_visit *visit, void *context)
{
	struct mbox *mbox = calloc(1, sizeof *mbox);
	if (mbox == NULL) {
		abort();
	}
	mbox->message_max = message_max;
	mbox->visit = visit;
	mbox->context = context;
	return mbox;
}

static void add(struct mbox *mbox, const char *data, size_t n)
{
	if (n == 0) {
		return;
	}
	if (mbox->too_large || n > mbox->message_max - mbox->size) {
		mbox->too_large = true;
		return;
	}
	if (mbox->size + n > mbox->room) {
		mbox->room = 2 * (mbox->size + n) + 4096;
		mbox->message = realloc(mbox->message, mbox->room);
		if (mbox->message == NULL) {
			abort();
		}
	}
	memcpy(mbox->message + mbox->size, data, n);
	mbox->size += n;
}

static void give(struct mbox *mbox)
{
	struct slice from_line = {mbox->from_line, mbox->from_size};
	if (mbox->too_large) {
		mbox->visit(mbox->context, (struct slice){NULL, 0}, from_line);
	} else if (mbox->size > 0) {
		/* In memory of its own size: who reads beyond its end is seen by sanitizers. */
		char *exact = realloc(mbox->message, mbox->size);
		mbox->message = exact == NULL ? mbox->message : exact;
		mbox->room = mbox->size;
		mbox->visit(mbox->context, (struct slice){mbox->message, mbox->size}, from_line);
	}
	mbox->size = 0;
	mbox->too_large = false;
	mbox->from_size = 0;
}

/* A new message begins: the empty line in front of it belongs to the file. */
static void begin(struct mbox *mbox, struct slice line)
{
	if (mbox->blank && !mbox->too_large) {
		mbox->size -= mbox->blank_size;
	}
	give(mbox);
	mbox->from_size = line.len < FROM_LINE_MAX ? line.len : FROM_LINE_MAX;
	memcpy(mbox->from_line, line.data, mbox->from_size);
	mbox->blank = false;
}

static size_t quotes(struct slice line)
{
	size_t n = 0;
	while (n < line.len && line.data[n] == '>') {
		n++;
	}
	return n > 0 && line.len - n >= 5 && memcmp(line.data + n, "From ", 5) == 0 ? n : 0;
}

/* The head of a line; ended: all of it, with its "\n" where the file has one. */
static void take_line(struct mbox *mbox, bool ended)
{
	struct slice line = {mbox->head, mbox->head_size};
	struct slice bare = line;
	while (bare.len > 0 && (bare.data[bare.len - 1] == '\n' || bare.data[bare.len - 1] == '\r')) {
		bare.len--;
	}
	bool first = !mbox->begun;
	mbox->begun = true;
	mbox->head_size = 0;
	if ((first || (mbox->mailbox && mbox->blank)) && is_from_line(bare)) {
		mbox->mailbox = true;
		begin(mbox, bare);
		mbox->in_line = !ended; /* a longer one: what follows is no part of a message, and rare enough to be one */
		return;
	}
	size_t cut = mbox->mailbox && quotes(line) > 0 ? 1 : 0;
	add(mbox, line.data + cut, line.len - cut);
	mbox->blank = ended && bare.len == 0;
	mbox->blank_size = line.len;
	mbox->in_line = !ended;
}

void mbox_feed(struct mbox *mbox, const void *data, size_t n)
{
	const char *at = data;
	const char *end = at + n;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t piece = newline == NULL ? (size_t)(end - at) : (size_t)(newline + 1 - at);
		if (mbox->in_line) {
			add(mbox, at, piece);
			mbox->in_line = newline == NULL;
			at += piece;
			continue;
		}
		size_t room = LINE_HEAD - mbox->head_size;
		bool fits = piece <= room;
		size_t taken = fits ? piece : room;
		memcpy(mbox->head + mbox->head_size, at, taken);
		mbox->head_size += taken;
		at += taken;
		if (fits && newline != NULL) {
			take_line(mbox, true);
		} else if (mbox->head_size == LINE_HEAD) {
			take_line(mbox, false);
		}
	}
}

void mbox_close(struct mbox *mbox)
{
	if (mbox == NULL) {
		return;
	}
	if (mbox->head_size > 0) {
		take_line(mbox, true);
	}
	if (mbox->mailbox && mbox->blank && !mbox->too_large) {
		mbox->size -= mbox->blank_size;
	}
	give(mbox);
	free(mbox->message);
	free(mbox);
}
