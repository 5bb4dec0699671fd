#include "inspect/mime_name.h"

#include "inspect/mime_charset.h"

#include <gmime/gmime.h>

enum { HEAD_SIZE = 100, GMIME_FIELD_MAX = 8192 };

/* How many of the bytes in front of `limit` are whole characters. */
static size_t utf8_cut(struct slice text, size_t limit)
{
	if (limit >= text.len) {
		return text.len;
	}
	while (limit > 0 && ((unsigned char)text.data[limit] & 0xc0) == 0x80) {
		limit--;
	}
	return limit;
}

static void push_short(struct mime_names *names, struct arena *arena, struct slice text)
{
	if (text.len == 0) {
		return;
	}
	for (size_t i = 0; i < names->count; i++) {
		if (slice_equal(slice_from(names->items[i]), text)) {
			return;
		}
	}
	if (names->count == MIME_NAMES_MAX) {
		names->cut = true;
		names->count--;
	}
	names->items[names->count++] = slice_dup(arena, text);
	names->items[names->count] = NULL;
}

/* A long name twice: with its end, where the extension is, and cut as a file system would do. */
static void push(struct mime_names *names, struct arena *arena, struct slice text)
{
	if (text.len < MIME_NAME_SIZE) {
		push_short(names, arena, text);
		return;
	}
	size_t head = utf8_cut(text, HEAD_SIZE);
	size_t tail = text.len - (MIME_NAME_SIZE - 1 - HEAD_SIZE - 3);
	while (tail < text.len && ((unsigned char)text.data[tail] & 0xc0) == 0x80) {
		tail++;
	}
	push_short(
	    names, arena,
	    slice_from(arena_printf(arena, "%.*s...%.*s", (int)head, text.data, (int)(text.len - tail), text.data + tail)));
	push_short(names, arena, (struct slice){text.data, utf8_cut(text, MIME_NAME_SIZE - 1)});
}

/* The character at the front of valid UTF-8. */
static unsigned character(struct slice text, size_t *length_r)
{
	unsigned char first = (unsigned char)text.data[0];
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	unsigned c = n == 1 ? first : first & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		c = c << 6 | ((unsigned char)text.data[i] & 0x3fU);
	}
	*length_r = n;
	return c;
}

/* Not seen, or changing how others are seen: controls, soft hyphen, zero widths, directions, BOM, tags. */
static bool is_hidden(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x34f || c == 0x61c || c == 0x115f || c == 0x1160 ||
	       c == 0x180e || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0x3164 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
	       (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* Hidden characters left out, or written as text. */
static struct slice cleaned(struct arena *arena, struct slice text, bool escape, bool *hidden_r)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	*hidden_r = false;
	for (size_t i = 0; i < text.len;) {
		size_t n;
		unsigned c = character((struct slice){text.data + i, text.len - i}, &n);
		if (!is_hidden(c)) {
			strbuf_add(&out, text.data + i, n);
		} else {
			*hidden_r = true;
			if (escape) {
				strbuf_printf(&out, "\\u%04x", c);
			}
		}
		i += n;
	}
	return slice_trim((struct slice){out.data, out.len});
}

static struct slice last_component(struct slice text)
{
	size_t at = text.len;
	while (at > 0 && text.data[at - 1] != '/' && text.data[at - 1] != '\\') {
		at--;
	}
	return at == text.len ? text : (struct slice){text.data + at, text.len - at};
}

static struct slice without_end(struct slice text)
{
	while (text.len > 0 && (text.data[text.len - 1] == '.' || text.data[text.len - 1] == ' ')) {
		text.len--;
	}
	/* no-break space, ideographic space */
	if (text.len > 2 && slice_ends_nocase(text, SLICE_LITERAL("\xc2\xa0"))) {
		return without_end((struct slice){text.data, text.len - 2});
	}
	if (text.len > 3 && slice_ends_nocase(text, SLICE_LITERAL("\xe3\x80\x80"))) {
		return without_end((struct slice){text.data, text.len - 3});
	}
	return text;
}

/* Separators are found before hidden characters are written out, for that takes a backslash. */
static void add_visible(struct mime_names *names, struct arena *arena, struct slice text, bool whole)
{
	bool hidden;
	struct slice clean = cleaned(arena, text, false, &hidden);
	struct slice name = whole ? clean : last_component(clean);
	push(names, arena, name);
	push(names, arena, without_end(name));
	size_t colon = slice_find(name, ':', 0);
	if (colon > 1 && !whole) { /* not the one of "C:" */
		push(names, arena, (struct slice){name.data, colon});
	}
	if (hidden) {
		push(names, arena, cleaned(arena, whole ? text : last_component(text), true, &hidden));
	}
}

/* text: UTF-8. */
static void add_text(struct mime_names *names, struct arena *arena, struct slice text)
{
	size_t nul = slice_find(text, '\0', 0);
	if (nul < text.len) {
		add_visible(names, arena, (struct slice){text.data, nul}, false);
	}
	add_visible(names, arena, text, false);
	if (last_component(text).len != text.len) {
		add_visible(names, arena, text, true);
	}
}

void mime_names_add(struct mime_names *names, struct arena *arena, struct slice bytes)
{
	if (bytes.len > MIME_NAME_INPUT_MAX) {
		names->cut = true;
		bytes = (struct slice){bytes.data + bytes.len - MIME_NAME_INPUT_MAX, MIME_NAME_INPUT_MAX};
	}
	struct slice text = mime_charset_guess(arena, bytes);
	bool words = bytes.len > 5 && memmem(bytes.data, bytes.len, "=?", 2) != NULL;
	if (words) {
		add_text(names, arena, mime_words_decode(arena, bytes));
		add_text(names, arena, mime_words_gmime(arena, bytes));
	}
	add_text(names, arena, text);
	struct slice decoded = mime_percent_decode(arena, bytes);
	if (decoded.len != bytes.len) {
		add_text(names, arena, mime_charset_guess(arena, decoded));
	}
}

/* GMime reads the parameters of any field alike. */
static void add_gmime(struct mime_names *names, struct arena *arena, struct slice field, const char *param)
{
	if (field.len > GMIME_FIELD_MAX) {
		return;
	}
	GMimeContentDisposition *parsed =
	    g_mime_content_disposition_parse(NULL, slice_dup(arena, mime_unfold(arena, field)));
	const char *text = parsed == NULL ? NULL : g_mime_content_disposition_get_parameter(parsed, param);
	if (text != NULL) {
		mime_names_add(names, arena, slice_from(arena_strdup(arena, text)));
	}
	if (parsed != NULL) {
		g_object_unref(parsed);
	}
}

void mime_names_add_param(struct mime_names *names, struct arena *arena, const struct mime_value *value,
                          struct slice field, const char *param)
{
	struct mime_texts texts = {.count = 0};
	mime_value_texts(arena, value, param, &texts);
	for (size_t i = 0; i < texts.count; i++) {
		mime_names_add(names, arena, texts.items[i]);
	}
	names->cut = names->cut || texts.cut;
	if (texts.count > 0) {
		add_gmime(names, arena, field, param);
	}
}
