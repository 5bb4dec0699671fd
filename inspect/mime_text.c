#include "inspect/mime_text.h"

enum { BACK_LINES_MAX = 60, BINHEX_HEADER = 20 };

static struct slice line_at(struct slice text, size_t at, size_t *next_r)
{
	size_t end = slice_find(text, '\n', at);
	*next_r = end < text.len ? end + 1 : end;
	while (end > at && text.data[end - 1] == '\r') {
		end--;
	}
	return (struct slice){text.data + at, end - at};
}

static struct slice after(struct slice text, size_t n)
{
	return n < text.len ? (struct slice){text.data + n, text.len - n} : (struct slice){text.data + text.len, 0};
}

/* "644 name" behind "begin ". */
static bool mode_and_name(struct slice text, struct slice *name_r)
{
	size_t n = 0;
	while (n < text.len && text.data[n] >= '0' && text.data[n] <= '7') {
		n++;
	}
	if (n < 3 || n > 6 || n >= text.len || text.data[n] != ' ') {
		return false;
	}
	*name_r = slice_trim(after(text, n));
	return name_r->len > 0;
}

static bool begin_line(struct slice text, struct slice line, size_t next, struct mime_text_file *file_r)
{
	if (slice_starts_nocase(line, SLICE_LITERAL("begin-base64 "))) {
		file_r->kind = MIME_TEXT_UU64;
		file_r->bytes = after(text, next);
		return mode_and_name(after(line, 13), &file_r->name);
	}
	if (!slice_starts_nocase(line, SLICE_LITERAL("begin ")) || !mode_and_name(after(line, 6), &file_r->name)) {
		return false;
	}
	/* An essay may begin so; its next line is no line of uuencode */
	size_t unused;
	struct slice first = line_at(text, next, &unused);
	file_r->kind = MIME_TEXT_UU;
	file_r->bytes = after(text, next);
	return first.len == 0 || (first.data[0] >= ' ' && first.data[0] <= '`' && first.len <= 90);
}

static bool yenc_line(struct slice text, struct slice line, size_t next, struct mime_text_file *file_r)
{
	if (!slice_starts_nocase(line, SLICE_LITERAL("=ybegin "))) {
		return false;
	}
	const char *name = memmem(line.data, line.len, " name=", 6);
	file_r->kind = MIME_TEXT_YENC;
	file_r->name = name == NULL ? (struct slice){"", 0} : slice_trim(after(line, (size_t)(name - line.data) + 6));
	file_r->bytes = after(text, next);
	return true;
}

/* "Name:" or a folded line. */
static bool is_field(struct slice line)
{
	size_t n = 0;
	if (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
		return slice_trim(line).len > 0;
	}
	while (n < line.len && line.data[n] > ' ' && line.data[n] < 127 && line.data[n] != ':') {
		n++;
	}
	return n > 0 && n < line.len && line.data[n] == ':';
}

static size_t line_before(struct slice text, size_t at)
{
	size_t start = at > 0 ? at - 1 : 0;
	while (start > 0 && text.data[start - 1] != '\n') {
		start--;
	}
	return start;
}

/* A header that holds the line at `at`: where it starts, and the boundary before it. */
static bool entity_line(struct slice text, size_t at, struct slice line, struct mime_text_file *file_r)
{
	if (!slice_starts_nocase(line, SLICE_LITERAL("Content-Type")) &&
	    !slice_starts_nocase(line, SLICE_LITERAL("Content-Transfer-Encoding")) &&
	    !slice_starts_nocase(line, SLICE_LITERAL("Content-Disposition"))) {
		return false;
	}
	size_t start = at;
	for (int i = 0; start > 0 && i < BACK_LINES_MAX; i++) {
		size_t unused;
		size_t before = line_before(text, start);
		struct slice previous = line_at(text, before, &unused);
		if (previous.len > 2 && memcmp(previous.data, "--", 2) == 0) {
			file_r->kind = MIME_TEXT_PARTS;
			file_r->boundary = slice_trim(after(previous, 2));
			file_r->bytes = after(text, before);
			return true;
		}
		if (!is_field(previous)) {
			break;
		}
		start = before;
	}
	file_r->kind = MIME_TEXT_ENTITY;
	file_r->bytes = after(text, start);
	return true;
}

static bool binhex_line(struct slice text, struct slice line, size_t next, struct mime_text_file *file_r)
{
	static const char lead[] = "(This file must be converted with BinHex";
	if (!slice_starts_nocase(line, SLICE_LITERAL(lead))) {
		return false;
	}
	size_t colon = slice_find(text, ':', next);
	file_r->kind = MIME_TEXT_BINHEX;
	file_r->bytes = after(text, colon);
	return colon < text.len;
}

static bool pgp_line(struct slice text, struct slice line, size_t at, struct mime_text_file *file_r)
{
	file_r->kind = MIME_TEXT_PGP;
	file_r->bytes = after(text, at);
	return slice_starts_nocase(line, SLICE_LITERAL("-----BEGIN PGP MESSAGE-----"));
}

bool mime_text_next(struct slice text, size_t *at, struct mime_text_file *file_r)
{
	while (*at < text.len) {
		size_t start = *at;
		char c = text.data[start];
		bool found = false;
		*file_r = (struct mime_text_file){.name = {"", 0}};
		if (c != 'b' && c != 'B' && c != '=' && c != 'c' && c != 'C' && c != '(' && c != '-') {
			size_t end = slice_find(text, '\n', start);
			*at = end < text.len ? end + 1 : end;
			continue;
		}
		struct slice line = line_at(text, start, at);
		switch (c) {
		case 'b':
		case 'B':
			found = begin_line(text, line, *at, file_r);
			break;
		case '=':
			found = yenc_line(text, line, *at, file_r);
			break;
		case '(':
			found = binhex_line(text, line, *at, file_r);
			break;
		case '-':
			found = pgp_line(text, line, start, file_r);
			break;
		default:
			found = entity_line(text, start, line, file_r);
			break;
		}
		if (found) {
			return true;
		}
	}
	return false;
}

static int binhex_digit(char c)
{
	static const char digits[] = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
	const char *at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

/* Bytes after the six-bit digits, then after the runs ("x" 0x90 n). */
struct binhex {
	struct slice text;
	size_t at;
	unsigned bits;
	unsigned have;
	char last;
	unsigned repeat;
};

static bool binhex_raw(struct binhex *state, unsigned char *byte_r)
{
	while (state->have < 8) {
		if (state->at >= state->text.len || state->text.data[state->at] == ':') {
			return false;
		}
		int value = binhex_digit(state->text.data[state->at++]);
		if (value >= 0) {
			state->bits = state->bits << 6 | (unsigned)value;
			state->have += 6;
		}
	}
	state->have -= 8;
	*byte_r = (unsigned char)(state->bits >> state->have & 0xff);
	return true;
}

static bool binhex_byte(struct binhex *state, char *byte_r)
{
	unsigned char raw;
	unsigned char count;
	while (state->repeat == 0) {
		if (!binhex_raw(state, &raw)) {
			return false;
		}
		if (raw != 0x90) {
			state->last = (char)raw;
			state->repeat = 1;
			continue;
		}
		if (!binhex_raw(state, &count)) {
			return false;
		}
		if (count == 0) {
			state->last = (char)0x90;
			state->repeat = 1;
		} else {
			state->repeat = count - 1U; /* one of them is out already */
		}
	}
	state->repeat--;
	*byte_r = state->last;
	return true;
}

size_t mime_binhex_size(struct slice text)
{
	struct binhex state = {.text = text, .at = 1};
	char byte;
	size_t n = 0;
	while (binhex_byte(&state, &byte)) {
		n++;
	}
	return n;
}

bool mime_binhex(struct slice text, char *out, size_t capacity, struct slice *name_r, struct slice *content_r)
{
	struct binhex state = {.text = text, .at = 1};
	size_t n = 0;
	while (n < capacity && binhex_byte(&state, &out[n])) {
		n++;
	}
	size_t name = n > 0 ? (unsigned char)out[0] : 0;
	if (n < name + 2 + BINHEX_HEADER) {
		return false;
	}
	const unsigned char *length = (const unsigned char *)out + 1 + name + 11;
	size_t size = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3];
	size_t start = 1 + name + 21;
	*name_r = (struct slice){out + 1, name};
	*content_r = (struct slice){out + start, size < n - start ? size : n - start};
	return true;
}
