#include "lib/mail/header.h"

#include <errno.h>
#include <iconv.h>

enum { DECODE_MAX = 4096, CHARSET_MAX = 40 };

static bool has_room(struct headers *headers, const struct header_limits *limits, size_t bytes)
{
	bool room = headers->count < limits->max_count && bytes <= limits->max_bytes - headers->bytes;
	headers->truncated = headers->truncated || !room;
	return room;
}

/* field: in the arena; its name is so long, its value is at its end. */
static void add_field(struct headers *headers, struct arena *arena, struct slice field, size_t name, size_t value)
{
	headers->items = arena_grow(arena, headers->items, sizeof *headers->items, headers->count, &headers->capacity);
	headers->items[headers->count++] = (struct header){
		.name = {field.data, name},
		.value = {field.data + field.len - value, value},
		.field = field,
	};
	headers->bytes += name + value;
}

bool headers_add(struct headers *headers, struct arena *arena, const struct header_limits *limits, struct slice name,
                 struct slice value)
{
	if (!has_room(headers, limits, name.len + value.len)) {
		return false;
	}
	struct strbuf field;
	strbuf_init(&field, arena);
	strbuf_add_slice(&field, name);
	strbuf_add_char(&field, ':');
	strbuf_add_slice(&field, value);
	add_field(headers, arena, (struct slice){field.data, field.len}, name.len, value.len);
	return true;
}

/* The line at `from` without its line end; *next_r: where the next one starts. */
static struct slice line_at(struct slice text, size_t from, size_t *next_r)
{
	size_t end = slice_find(text, '\n', from);
	*next_r = end < text.len ? end + 1 : end;
	size_t len = end - from;
	if (len > 0 && end < text.len && text.data[end - 1] == '\r') {
		len--;
	}
	return (struct slice){text.data + from, len};
}

/* Length of a field name (RFC 5322 3.6.8) in front of a colon, white space before the colon allowed as in Postfix's
 * is_header(); 0: no field. *colon_r: where the colon is. */
static size_t field_name(struct slice line, size_t *colon_r)
{
	size_t n = 0;
	while (n < line.len && line.data[n] > ' ' && line.data[n] < 127 && line.data[n] != ':') {
		n++;
	}
	size_t colon = n;
	while (colon < line.len && (line.data[colon] == ' ' || line.data[colon] == '\t')) {
		colon++;
	}
	if (colon >= line.len || line.data[colon] != ':') {
		return 0;
	}
	*colon_r = colon;
	return n;
}

static bool is_fold(struct slice text, size_t at)
{
	return at < text.len && (text.data[at] == ' ' || text.data[at] == '\t');
}

size_t headers_parse(struct headers *headers, struct arena *arena, const struct header_limits *limits,
                     struct slice message)
{
	size_t at = 0;
	while (at < message.len) {
		size_t next;
		size_t colon;
		struct slice line = line_at(message, at, &next);
		if (line.len == 0) {
			return next;
		}
		size_t name = field_name(line, &colon);
		if (name == 0) {
			return at;
		}
		size_t end = at + line.len;
		while (is_fold(message, next)) {
			struct slice more = line_at(message, next, &next);
			end = (size_t)(more.data - message.data) + more.len;
		}
		size_t value = end - (at + colon + 1);
		if (has_room(headers, limits, name + value)) {
			struct slice field = {slice_dup(arena, (struct slice){message.data + at, end - at}), end - at};
			add_field(headers, arena, field, name, value);
		}
		at = next;
	}
	return at;
}

const struct header *headers_find(const struct headers *headers, const char *name, size_t nth)
{
	struct slice wanted = slice_from(name);
	for (size_t i = 0; i < headers->count; i++) {
		if (slice_equal_nocase(headers->items[i].name, wanted) && nth-- == 0) {
			return &headers->items[i];
		}
	}
	return NULL;
}

size_t headers_count(const struct headers *headers, const char *name)
{
	struct slice wanted = slice_from(name);
	size_t n = 0;
	for (size_t i = 0; i < headers->count; i++) {
		n += slice_equal_nocase(headers->items[i].name, wanted);
	}
	return n;
}

struct slice header_unfold(struct arena *arena, struct slice value)
{
	value = slice_trim(value);
	char *out = arena_alloc(arena, value.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		size_t lf = value.data[i] == '\r' ? i + 1 : i;
		if (lf < value.len && value.data[lf] == '\n' && is_fold(value, lf + 1)) {
			i = lf;
			continue;
		}
		out[n++] = value.data[i];
	}
	return (struct slice){out, n};
}

static int hex_digit(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct slice decode_q(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
		int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;
		if (text.data[i] == '=' && high >= 0 && low >= 0) {
			out[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[n++] = text.data[i] == '_' ? ' ' : text.data[i];
		}
	}
	return (struct slice){out, n};
}

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

static struct slice decode_b(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	unsigned bits = 0;
	unsigned have = 0;
	for (size_t i = 0; i < text.len; i++) {
		int digit = base64_digit(text.data[i]);
		if (digit < 0) {
			continue;
		}
		bits = (bits << 6 | (unsigned)digit) & 0xffffU;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(bits >> have & 0xffU);
		}
	}
	return (struct slice){out, n};
}

/* To UTF-8, false when the charset is unknown or the bytes do not fit it. */
static bool convert(struct arena *arena, const char *charset, struct slice text, struct slice *out_r)
{
	iconv_t cd = iconv_open("UTF-8", charset);
	if (cd == (iconv_t)-1) {
		return false;
	}
	size_t size = text.len * 4 + 4;
	char *out = arena_alloc(arena, size);
	char *in = slice_dup(arena, text);
	char *to = out;
	size_t left = text.len;
	size_t room = size;
	bool good = iconv(cd, &in, &left, &to, &room) != (size_t)-1;
	iconv_close(cd);
	*out_r = (struct slice){out, size - room};
	return good;
}

/* "=?charset*lang?B?text?=" at the front of text: its length, with the decoded text in *out_r; 0: no encoded word. */
static size_t encoded_word(struct arena *arena, struct slice text, struct slice *out_r)
{
	if (text.len < 8 || text.data[0] != '=' || text.data[1] != '?') {
		return 0;
	}
	size_t encoding = slice_find(text, '?', 2);
	size_t data = encoding + 3;
	if (encoding - 2 == 0 || encoding - 2 > CHARSET_MAX || data > text.len || text.data[data - 1] != '?') {
		return 0;
	}
	size_t end = slice_find(text, '?', data);
	if (end + 1 >= text.len || text.data[end + 1] != '=') {
		return 0;
	}
	struct slice charset = {text.data + 2, encoding - 2};
	charset.len = slice_find(charset, '*', 0);
	struct slice body = {text.data + data, end - data};
	char how = ascii_lower(text.data[encoding + 1]);
	if (how != 'q' && how != 'b') {
		return 0;
	}
	body = how == 'q' ? decode_q(arena, body) : decode_b(arena, body);
	return convert(arena, slice_dup(arena, charset), body, out_r) ? end + 2 : 0;
}

struct slice header_decode(struct arena *arena, struct slice value)
{
	struct strbuf out;
	struct slice text = header_unfold(arena, value);
	bool after_word = false;
	size_t blank = 0; /* where the white space behind an encoded word began in out */
	strbuf_init(&out, arena);
	for (size_t i = 0; i < text.len && out.len < DECODE_MAX;) {
		struct slice word;
		size_t n = encoded_word(arena, (struct slice){text.data + i, text.len - i}, &word);
		if (n > 0) {
			if (after_word) {
				out.len = blank; /* RFC 2047 6.2: blanks between encoded words are not shown */
			}
			strbuf_add_slice(&out, word);
			blank = out.len;
			after_word = true;
			i += n;
			continue;
		}
		if (text.data[i] != ' ' && text.data[i] != '\t') {
			after_word = false;
		}
		strbuf_add_char(&out, text.data[i++]);
	}
	return (struct slice){out.data, out.len};
}
