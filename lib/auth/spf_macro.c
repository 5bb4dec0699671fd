#include "lib/auth/spf_macro.h"

#include <stdio.h>

enum { EXPANSION_MAX = 65536, NAME_MAX_BYTES = 253, LABELS_MAX = 128 };

static const char delimiter_bytes[] = ".-+,/_=";

/* A macro-expand "%{...}" taken apart. */
struct macro {
	char letter;
	unsigned labels; /* 0: all */
	bool reverse;
	struct slice delimiters;
};

static bool is_delimiter(char c)
{
	return c != '\0' && strchr(delimiter_bytes, c) != NULL;
}

/* At "%{": the length of the whole expression, 0 when it is malformed. */
static size_t macro_parse(struct slice text, unsigned flags, struct macro *macro_r)
{
	size_t end = slice_find(text, '}', 0);
	if (text.len < 4 || end == text.len || end < 3) {
		return 0;
	}
	const char *letters = (flags & SPF_MACRO_EXP) != 0 ? "slodiphvcrt" : "slodiphv";
	size_t at = 2;
	*macro_r = (struct macro){.letter = text.data[at++]};
	if (macro_r->letter == '\0' || strchr(letters, ascii_lower(macro_r->letter)) == NULL) {
		return 0;
	}
	size_t digits = at;
	while (ascii_is_digit(text.data[at])) {
		unsigned digit = (unsigned)(text.data[at++] - '0');
		macro_r->labels = macro_r->labels > LABELS_MAX ? macro_r->labels : macro_r->labels * 10 + digit;
	}
	if (at > digits && macro_r->labels == 0) {
		return 0;
	}
	if (text.data[at] == 'r' || text.data[at] == 'R') {
		macro_r->reverse = true;
		at++;
	}
	macro_r->delimiters = (struct slice){text.data + at, end - at};
	for (; at < end; at++) {
		if (!is_delimiter(text.data[at])) {
			return 0;
		}
	}
	return end + 1;
}

/* The length of what stands at the front: a macro (macro_r->letter set), an escape or a literal byte (letter 0, *byte_r
 * the byte, or 0 for "%20"). 0: not valid. */
static size_t macro_next(struct slice text, unsigned flags, struct macro *macro_r, char *byte_r)
{
	macro_r->letter = '\0';
	char c = text.data[0];
	if (c != '%') {
		*byte_r = c;
		bool visible = c > ' ' && c < 127;
		return visible || (c == ' ' && (flags & SPF_MACRO_EXP) != 0) ? 1 : 0;
	}
	if (text.len < 2) {
		return 0;
	}
	switch (text.data[1]) {
	case '%':
		*byte_r = '%';
		return 2;
	case '_':
		*byte_r = ' ';
		return 2;
	case '-':
		*byte_r = '\0';
		return 2;
	case '{':
		return macro_parse(text, flags, macro_r);
	default:
		return 0;
	}
}

bool spf_macro_valid(struct slice text, unsigned flags)
{
	struct macro macro;
	char byte;
	while (text.len > 0) {
		size_t n = macro_next(text, flags, &macro, &byte);
		if (n == 0) {
			return false;
		}
		text = (struct slice){text.data + n, text.len - n};
	}
	return true;
}

bool spf_macro_ends(struct slice text)
{
	struct macro macro;
	char byte;
	bool ends = false;
	while (text.len > 0) {
		size_t n = macro_next(text, 0, &macro, &byte);
		if (n == 0) {
			return false;
		}
		ends = text.data[0] == '%';
		text = (struct slice){text.data + n, text.len - n};
	}
	return ends;
}

bool spf_macro_uses(struct slice text, char letter)
{
	struct macro macro;
	char byte;
	while (text.len > 0) {
		size_t n = macro_next(text, SPF_MACRO_EXP, &macro, &byte);
		if (n == 0) {
			return false;
		}
		if (ascii_lower(macro.letter) == letter) {
			return true;
		}
		text = (struct slice){text.data + n, text.len - n};
	}
	return false;
}

bool spf_macro_varies(struct slice text)
{
	static const char letters[] = "slihpvcrt";
	for (const char *letter = letters; *letter != '\0'; letter++) {
		if (spf_macro_uses(text, *letter)) {
			return true;
		}
	}
	return false;
}

/* RFC 7208 7.3: dots between the octets or nibbles. */
static const char *macro_dotted_ip(struct arena *arena, const struct ip *ip)
{
	static const char digits[] = "0123456789ABCDEF";
	if (ip->family == IP_V4) {
		return arena_printf(arena, "%u.%u.%u.%u", ip->bytes[0], ip->bytes[1], ip->bytes[2], ip->bytes[3]);
	}
	/* A record may hold thousands of these: no printf for each nibble. */
	char *text = arena_alloc(arena, 64);
	for (size_t i = 0; i < 16; i++) {
		text[4 * i] = digits[ip->bytes[i] >> 4];
		text[4 * i + 1] = '.';
		text[4 * i + 2] = digits[ip->bytes[i] & 15U];
		text[4 * i + 3] = i == 15 ? '\0' : '.';
	}
	return text;
}

static const char *macro_value(struct arena *arena, char letter, const struct spf_macro_values *values)
{
	char ip[IP_TEXT_SIZE];
	switch (letter) {
	case 's':
		return arena_printf(arena, "%s@%s", values->local, values->sender_domain);
	case 'l':
		return values->local;
	case 'o':
		return values->sender_domain;
	case 'd':
		return values->domain;
	case 'i':
		return macro_dotted_ip(arena, &values->client);
	case 'p':
		return values->validated == NULL ? "unknown" : values->validated;
	case 'h':
		return values->helo;
	case 'v':
		return values->client.family == IP_V4 ? "in-addr" : "ip6";
	case 'c':
		ip_format(&values->client, ip);
		return arena_strdup(arena, ip);
	case 'r':
		return values->receiver == NULL || values->receiver[0] == '\0' ? "unknown" : values->receiver;
	default:
		return arena_printf(arena, "%llu", (unsigned long long)values->now);
	}
}

/* Upper-case letters ask for URL escaping (7.3): all but unreserved characters of RFC 3986. */
static void macro_add(struct strbuf *out, struct slice text, bool escape)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (!escape || ascii_is_alpha(c) || ascii_is_digit(c) || (c != '\0' && strchr("-._~", c) != NULL)) {
			strbuf_add_char(out, c);
		} else {
			strbuf_printf(out, "%%%02X", (unsigned char)c);
		}
	}
}

static void macro_expand_one(struct strbuf *out, const struct macro *macro, const char *value)
{
	struct slice parts[LABELS_MAX];
	size_t count = 0;
	struct slice delimiters = macro->delimiters.len == 0 ? SLICE_LITERAL(".") : macro->delimiters;
	bool escape = macro->letter >= 'A' && macro->letter <= 'Z';
	size_t n = strlen(value);
	size_t start = 0;
	if (macro->labels == 0 && !macro->reverse && macro->delimiters.len == 0) {
		macro_add(out, slice_from(value), escape);
		return;
	}
	for (size_t i = 0; i <= n; i++) {
		if (i < n && (memchr(delimiters.data, value[i], delimiters.len) == NULL || count == LABELS_MAX - 1)) {
			continue;
		}
		parts[count++] = (struct slice){value + start, i - start};
		start = i + 1;
	}
	size_t keep = macro->labels == 0 || macro->labels > count ? count : macro->labels;
	for (size_t i = count - keep; i < count; i++) {
		if (i > count - keep) {
			strbuf_add_char(out, '.');
		}
		macro_add(out, parts[macro->reverse ? count - 1 - i : i], escape);
	}
}

char *spf_macro_expand(struct arena *arena, struct slice text, const struct spf_macro_values *values, unsigned flags)
{
	struct strbuf out;
	struct macro macro;
	char byte;
	strbuf_init(&out, arena);
	while (text.len > 0) {
		size_t n = macro_next(text, flags, &macro, &byte);
		if (n == 0 || out.len > EXPANSION_MAX) {
			return NULL;
		}
		if (macro.letter != '\0') {
			macro_expand_one(&out, &macro, macro_value(arena, ascii_lower(macro.letter), values));
		} else if (byte == '\0') {
			strbuf_add_text(&out, "%20");
		} else {
			strbuf_add_char(&out, byte);
		}
		text = (struct slice){text.data + n, text.len - n};
	}
	return out.data;
}

static char *escape_backslashes(struct arena *arena, const char *name)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (; *name != '\0'; name++) {
		strbuf_add(&out, "\\\\", *name == '\\' ? 1 : 0);
		strbuf_add_char(&out, *name);
	}
	return out.data;
}

char *spf_macro_expand_domain(struct arena *arena, struct slice text, const struct spf_macro_values *values)
{
	char *name = spf_macro_expand(arena, text, values, 0);
	if (name == NULL) {
		return NULL;
	}
	size_t n = strlen(name);
	if (n > 0 && name[n - 1] == '.') {
		name[--n] = '\0';
	}
	if (n > NAME_MAX_BYTES) {
		char *dot = strchr(name + (n - NAME_MAX_BYTES - 1), '.');
		name = dot == NULL ? name : dot + 1;
	}
	return strchr(name, '\\') == NULL ? name : escape_backslashes(arena, name);
}
