/* Mailbox files: what comes of one does not depend on the pieces in which it comes. */
#include "lib/mail/mbox.h"
#include "t/fuzz/fuzz.h"

enum { MESSAGE_MAX = 1000 };

struct collected {
	struct strbuf text;
	size_t bytes, count;
};

static void visit(void *context, struct slice message, struct slice from_line)
{
	struct collected *collected = context;
	require(message.len <= MESSAGE_MAX && from_line.len <= 255);
	require(message.data == NULL || message.len > 0);
	collected->bytes += message.len;
	collected->count++;
	strbuf_printf(&collected->text, "%zu,%zu:", from_line.len, message.len);
	strbuf_add(&collected->text, message.data == NULL ? "" : message.data, message.len);
}

static void split(struct arena *arena, struct slice text, size_t piece, struct collected *collected_r)
{
	*collected_r = (struct collected){.count = 0};
	strbuf_init(&collected_r->text, arena);
	struct mbox *mbox = mbox_open(MESSAGE_MAX, visit, collected_r);
	for (size_t at = 0; at < text.len; at += piece) {
		size_t n = text.len - at < piece ? text.len - at : piece;
		mbox_feed(mbox, text.data + at, n);
	}
	mbox_close(mbox);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	struct arena *arena = arena_create(4096);
	struct slice text = {(const char *)data + 1, size - 1};
	struct collected whole, pieces;
	split(arena, text, text.len + 1, &whole);
	split(arena, text, data[0] + 1U, &pieces);
	require(whole.count == pieces.count && whole.bytes == pieces.bytes && whole.bytes <= text.len);
	require(slice_equal((struct slice){whole.text.data, whole.text.len}, (struct slice){pieces.text.data, pieces.text.len}));
	arena_destroy(arena);
	return 0;
}
