#include "inspect/html_text.h"

#include <stdint.h>

struct reference {
	const char *name; /* without "&" */
	const char *text;
};

/* Letters and digits have no names: what is between them has. */
static const struct reference references[] = {
    {"amp", "&"},    {"lt", "<"},       {"gt", ">"},     {"quot", "\""},  {"apos", "'"},   {"nbsp", " "},
    {"period", "."}, {"sol", "/"},      {"bsol", "\\"},  {"colon", ":"},  {"commat", "@"}, {"percnt", "%"},
    {"num", "#"},    {"quest", "?"},    {"equals", "="}, {"lowbar", "_"}, {"dash", "-"},   {"hyphen", "-"},
    {"Tab", "\t"},   {"NewLine", "\n"}, {"lpar", "("},   {"rpar", ")"},   {"shy", ""},     {"ZeroWidthSpace", ""},
    {"zwj", ""},     {"zwnj", ""},      {"lsqb", "["},   {"lbrack", "["}, {"rsqb", "]"},   {"rbrack", "]"},
};

static size_t utf8_put(uint32_t point, char *out)
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xc0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xe0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (point & 0x3f));
	return 4;
}

static int digit_of(char c, unsigned base)
{
	c = ascii_lower(c);
	int digit = ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
	return (unsigned)digit < base ? digit : -1;
}

/* "&#46;", "&#x2e", with any number of zeros in front. Gives the bytes read, 0: it is none. Its UTF-8 is never longer.
 */
static size_t numeric(struct slice text, char *out, size_t *written_r)
{
	bool hex = text.len > 2 && ascii_lower(text.data[2]) == 'x';
	unsigned base = hex ? 16 : 10;
	size_t start = hex ? 3 : 2;
	size_t at = start;
	uint32_t point = 0;
	for (; at < text.len && digit_of(text.data[at], base) >= 0; at++) {
		point = point > 0x10ffff ? point : point * base + (unsigned)digit_of(text.data[at], base);
	}
	if (at == start) {
		return 0;
	}
	bool good = point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
	*written_r = good ? utf8_put(point, out) : utf8_put('?', out);
	return at < text.len && text.data[at] == ';' ? at + 1 : at;
}

static size_t named(struct slice text, char *out, size_t *written_r)
{
	for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
		size_t n = strlen(references[i].name);
		if (text.len > n + 1 && memcmp(text.data + 1, references[i].name, n) == 0 && text.data[n + 1] == ';') {
			*written_r = strlen(references[i].text);
			memcpy(out, references[i].text, *written_r);
			return n + 2;
		}
	}
	return 0;
}

size_t html_text_decode(struct slice text, char *decoded_r)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len;) {
		const char *ampersand = memchr(text.data + i, '&', text.len - i);
		size_t plain = (ampersand == NULL ? text.len : (size_t)(ampersand - text.data)) - i;
		memmove(decoded_r + n, text.data + i, plain);
		n += plain;
		i += plain;
		if (i == text.len) {
			break;
		}
		struct slice rest = {text.data + i, text.len - i};
		size_t written = 0;
		size_t used = rest.len > 2 && rest.data[1] == '#' ? numeric(rest, decoded_r + n, &written)
		                                                  : named(rest, decoded_r + n, &written);
		if (used == 0) {
			decoded_r[n] = '&';
			used = written = 1;
		}
		n += written;
		i += used;
	}
	return n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

/* The value at *at, behind the "=", and *at behind it. */
static struct slice value_read(struct slice text, size_t *at)
{
	while (*at < text.len && is_blank(text.data[*at])) {
		++*at;
	}
	char quote = *at < text.len && (text.data[*at] == '"' || text.data[*at] == '\'') ? text.data[*at] : '\0';
	size_t start = quote == '\0' ? *at : *at + 1;
	size_t end = start;
	if (quote != '\0') {
		end = slice_find(text, quote, start);
		*at = end < text.len ? end + 1 : end;
	} else {
		while (end < text.len && !is_blank(text.data[end]) && text.data[end] != '>') {
			end++;
		}
		*at = end;
	}
	return (struct slice){text.data + start, end - start};
}

/* The attributes of the tag whose name starts at `at`; gives where the tag ends. */
static size_t tag_read(struct slice text, size_t at, char *buffer, size_t size, html_text_visitor *visit, void *context)
{
	while (at < text.len && !is_blank(text.data[at]) && text.data[at] != '>' && text.data[at] != '/') {
		at++;
	}
	while (at < text.len && text.data[at] != '>') {
		if (is_blank(text.data[at]) || text.data[at] == '/') {
			at++;
			continue;
		}
		size_t start = at++;
		while (at < text.len && !is_blank(text.data[at]) && strchr("=>/", text.data[at]) == NULL) {
			at++;
		}
		struct slice name = {text.data + start, at - start};
		while (at < text.len && is_blank(text.data[at])) {
			at++;
		}
		if (at < text.len && text.data[at] == '=') {
			at++;
			struct slice value = value_read(text, &at);
			value.len = value.len < size ? value.len : size;
			visit(context, name, (struct slice){buffer, html_text_decode(value, buffer)});
		}
	}
	return at;
}

void html_text_attributes(struct slice text, char *buffer, size_t size, html_text_visitor *visit, void *context)
{
	for (size_t at = slice_find(text, '<', 0); at + 1 < text.len; at = slice_find(text, '<', at)) {
		at++;
		if (ascii_is_alpha(text.data[at])) {
			at = tag_read(text, at, buffer, size, visit, context);
		}
	}
}
