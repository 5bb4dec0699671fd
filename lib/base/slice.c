#include "lib/base/slice.h"

#include <stdio.h>
#include <stdlib.h>

bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len) {
		return false;
	}
	for (size_t i = 0; i < a.len; i++) {
		if (ascii_lower(a.data[i]) != ascii_lower(b.data[i])) {
			return false;
		}
	}
	return true;
}

bool slice_starts_nocase(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len && slice_equal_nocase((struct slice){text.data, prefix.len}, prefix);
}

bool slice_ends_nocase(struct slice text, struct slice suffix)
{
	return text.len >= suffix.len &&
	       slice_equal_nocase((struct slice){text.data + (text.len - suffix.len), suffix.len}, suffix);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice text)
{
	while (text.len > 0 && is_blank(text.data[0])) {
		text.data++;
		text.len--;
	}
	while (text.len > 0 && is_blank(text.data[text.len - 1])) {
		text.len--;
	}
	return text;
}

bool slice_split(struct slice *rest, char separator, struct slice *piece_r)
{
	if (rest->data == NULL) {
		return false;
	}
	size_t end = slice_find(*rest, separator, 0);
	*piece_r = (struct slice){rest->data, end};
	if (end == rest->len) {
		*rest = (struct slice){NULL, 0};
	} else {
		*rest = (struct slice){rest->data + end + 1, rest->len - end - 1};
	}
	return true;
}

size_t slice_find(struct slice text, char c, size_t from)
{
	if (from >= text.len) {
		return text.len;
	}
	const char *at = memchr(text.data + from, c, text.len - from);
	return at == NULL ? text.len : (size_t)(at - text.data);
}

bool slice_to_uint(struct slice text, unsigned long long max, unsigned long long *value_r)
{
	unsigned long long value = 0;
	if (text.len == 0) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		if (!ascii_is_digit(text.data[i])) {
			return false;
		}
		unsigned digit = (unsigned)(text.data[i] - '0');
		if (digit > max || value > (max - digit) / 10) {
			return false;
		}
		value = value * 10 + digit;
	}
	*value_r = value;
	return true;
}

char *slice_dup(struct arena *arena, struct slice text)
{
	return arena_memdup(arena, text.data, text.len);
}

char *slice_dup_lower(struct arena *arena, struct slice text)
{
	char *copy = slice_dup(arena, text);
	for (size_t i = 0; i < text.len; i++) {
		copy[i] = ascii_lower(copy[i]);
	}
	return copy;
}

void strbuf_init(struct strbuf *buffer, struct arena *arena)
{
	buffer->arena = arena;
	buffer->capacity = 64;
	buffer->data = arena_alloc(arena, buffer->capacity);
	buffer->len = 0;
}

static void strbuf_reserve(struct strbuf *buffer, size_t n)
{
	if (buffer->capacity - buffer->len > n) {
		return;
	}
	size_t capacity = buffer->capacity;
	while (capacity - buffer->len <= n) {
		capacity *= 2;
	}
	char *data = arena_alloc(buffer->arena, capacity);
	memcpy(data, buffer->data, buffer->len);
	buffer->data = data;
	buffer->capacity = capacity;
}

void strbuf_add(struct strbuf *buffer, const void *data, size_t n)
{
	strbuf_reserve(buffer, n);
	if (n > 0) {
		memcpy(buffer->data + buffer->len, data, n);
	}
	buffer->len += n;
	buffer->data[buffer->len] = '\0';
}

void strbuf_add_text(struct strbuf *buffer, const char *text)
{
	strbuf_add(buffer, text, strlen(text));
}

void strbuf_add_slice(struct strbuf *buffer, struct slice text)
{
	strbuf_add(buffer, text.data, text.len);
}

void strbuf_add_char(struct strbuf *buffer, char c)
{
	strbuf_add(buffer, &c, 1);
}

void strbuf_printf(struct strbuf *buffer, const char *format, ...)
{
	va_list args;
	va_list again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) {
		abort();
	}
	strbuf_reserve(buffer, (size_t)n);
	vsnprintf(buffer->data + buffer->len, (size_t)n + 1, format, again);
	va_end(again);
	buffer->len += (size_t)n;
}

size_t text_utf8_length(struct slice text)
{
	const unsigned char *p = (const unsigned char *)text.data;
	size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
	if (n == 0 || text.len < n) {
		return 0;
	}
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool surrogate = p[0] == 0xed && p[1] > 0x9f;
	bool too_large = p[0] == 0xf4 && p[1] > 0x8f;
	bool c1_control = p[0] == 0xc2 && p[1] < 0xa0;
	return overlong || surrogate || too_large || c1_control ? 0 : n;
}

bool slice_is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.data[i] >= 0x80) {
			return false;
		}
	}
	return true;
}

bool slice_is_utf8(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		struct slice rest = {text.data + i, text.len - i};
		size_t n = (unsigned char)rest.data[0] < 0x80 ? 1 : text_utf8_length(rest);
		if (n == 0) {
			return false;
		}
		i += n;
	}
	return true;
}

char *text_escape(struct arena *arena, struct slice text, const char *also, bool utf8, size_t max)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; i < text.len;) {
		unsigned char c = (unsigned char)text.data[i];
		size_t n = 1;
		if (out.len >= max) {
			strbuf_add_text(&out, "...");
			break;
		}
		if (c >= 0x80 && utf8 && (n = text_utf8_length((struct slice){text.data + i, text.len - i})) > 0) {
			strbuf_add(&out, text.data + i, n);
		} else if (c >= 0x20 && c < 0x7f && c != '\\' && strchr(also, c) == NULL) {
			strbuf_add_char(&out, (char)c);
			n = 1;
		} else {
			strbuf_printf(&out, "\\x%02x", c);
			n = 1;
		}
		i += n;
	}
	return out.data;
}
