#include "inspect/mime_decode.h"

enum { NO = -1, URL = -2 };

/* From space to DEL: the value of a digit of base64; URL: "-" or "_". */
static const signed char digit_values[96] = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -2, -1, 63, 52, 53, 54, 55, 56, 57, 58, 59,
    60, 61, -1, -1, -1, -1, -1, -1, -1, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -2, -1, 26, 27, 28, 29, 30, 31, 32,
    33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
};

static inline int digit(char c)
{
	unsigned at = (unsigned char)c - (unsigned)' ';
	return at < sizeof digit_values ? digit_values[at] : NO;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct base64 {
	unsigned bits;
	unsigned count; /* of digits in this group */
};

/* What is left of a group without its padding: 2 digits are a byte, 3 are two. */
static size_t base64_flush(struct base64 *state, char *out)
{
	size_t n = state->count > 0 ? state->count - 1 : 0;
	unsigned bits = state->bits << (6 * (4 - state->count));
	for (size_t i = 0; i < n; i++) {
		out[i] = (char)(bits >> (16 - 8 * i) & 0xff);
	}
	*state = (struct base64){0};
	return n;
}

static size_t base64_digit(struct base64 *state, int value, char *out)
{
	state->bits = state->bits << 6 | (unsigned)value;
	if (++state->count < 4) {
		return 0;
	}
	return base64_flush(state, out);
}

/* A whole group of digits, as nearly all are. Returns how many bytes of text it took: 4, or 0. */
static inline size_t base64_quick(struct slice text, size_t at, char *out)
{
	if (text.len - at < 4 || at > text.len) {
		return 0;
	}
	int a = digit(text.data[at]);
	int b = digit(text.data[at + 1]);
	int c = digit(text.data[at + 2]);
	int d = digit(text.data[at + 3]);
	if ((a | b | c | d) < 0) {
		return 0;
	}
	unsigned bits = (unsigned)a << 18 | (unsigned)b << 12 | (unsigned)c << 6 | (unsigned)d;
	out[0] = (char)(bits >> 16);
	out[1] = (char)(bits >> 8 & 0xff);
	out[2] = (char)(bits & 0xff);
	return 4;
}

/* Where a line with a byte that does not belong starts; the length of text: nowhere. */
static size_t strict_end(struct slice text)
{
	size_t line = 0;
	bool padding = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (c == '\n') {
			line = i + 1;
		} else if (c == '=') {
			padding = true;
		} else if (!is_blank(c) && (padding || digit(c) < 0)) {
			return padding ? i : line;
		}
	}
	return text.len;
}

static bool is_clean(struct slice line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (digit(line.data[i]) < 0 && line.data[i] != '=' && !is_blank(line.data[i])) {
			return false;
		}
	}
	return true;
}

static size_t base64_lines(struct slice text, char *out)
{
	struct base64 state = {0};
	struct slice line;
	size_t n = 0;
	while (slice_split(&text, '\n', &line)) {
		if (!is_clean(line)) {
			continue;
		}
		for (size_t i = 0; i < line.len; i++) {
			int value = digit(line.data[i]);
			if (value >= 0) {
				n += base64_digit(&state, value, out + n);
			} else if (line.data[i] == '=' && state.count > 1) {
				n += base64_flush(&state, out + n);
			}
		}
	}
	return n + base64_flush(&state, out + n);
}

size_t mime_base64(struct slice text, enum mime_base64_reading reading, char *out)
{
	struct base64 state = {0};
	size_t n = 0;
	if (text.len == 0) {
		return 0;
	}
	if (reading == MIME_BASE64_LINES) {
		return base64_lines(text, out);
	}
	if (reading == MIME_BASE64_STRICT) {
		text.len = strict_end(text);
	}
	for (size_t i = 0; i < text.len; i++) {
		for (size_t more; state.count == 0 && (more = base64_quick(text, i, out + n)) > 0; i += more) {
			n += 3;
		}
		int value = i < text.len ? digit(text.data[i]) : NO;
		if (value == URL && reading == MIME_BASE64_URL) {
			value = text.data[i] == '-' ? 62 : 63;
		}
		if (value >= 0) {
			n += base64_digit(&state, value, out + n);
		} else if (i < text.len && text.data[i] == '=' && reading != MIME_BASE64_SKIP && state.count > 1) {
			n += base64_flush(&state, out + n);
			if (reading == MIME_BASE64_STOP) {
				return n;
			}
		}
	}
	return reading == MIME_BASE64_WHOLE ? n : n + base64_flush(&state, out + n);
}

bool mime_base64_doubtful(struct slice text, bool *tail_r)
{
	size_t digits = 0;
	bool padding = false;
	bool doubt = false;
	*tail_r = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (digit(c) >= 0 && !padding) {
			digits++;
		} else if (c == '=' && (padding || digits % 4 != 0)) {
			padding = true;
		} else if (!is_blank(c)) {
			*tail_r = padding && !doubt;
			doubt = true;
		}
		if (*tail_r) {
			return true;
		}
	}
	*tail_r = !doubt && !padding && digits % 4 != 0;
	return doubt || *tail_r;
}

static int hex(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : NO;
}

/* Past the blanks at `at`, and past the line's end when one follows; 0: other text follows. */
static size_t line_end(struct slice text, size_t at)
{
	while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\t')) {
		at++;
	}
	if (at + 1 < text.len && text.data[at] == '\r' && text.data[at + 1] == '\n') {
		return at + 2;
	}
	return at >= text.len ? at : text.data[at] == '\n' || text.data[at] == '\r' ? at + 1 : 0;
}

size_t mime_quoted_printable(struct slice text, bool trim, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len;) {
		char c = text.data[i];
		if (c == '=') {
			size_t next = line_end(text, i + 1);
			int high = i + 2 < text.len ? hex(text.data[i + 1]) : NO;
			int low = i + 2 < text.len ? hex(text.data[i + 2]) : NO;
			if (next > 0) {
				i = next;
				continue;
			}
			if (high >= 0 && low >= 0) {
				out[n++] = (char)(high * 16 + low);
				i += 3;
				continue;
			}
		} else if (trim && (c == ' ' || c == '\t')) {
			size_t end = i;
			while (end < text.len && (text.data[end] == ' ' || text.data[end] == '\t')) {
				end++;
			}
			if (end == text.len || text.data[end] == '\r' || text.data[end] == '\n') {
				i = end;
				continue;
			}
			while (i < end) {
				out[n++] = text.data[i++];
			}
			continue;
		}
		out[n++] = c;
		i++;
	}
	return n;
}

bool mime_quoted_printable_trims(struct slice text)
{
	for (size_t at = slice_find(text, '\n', 0); at < text.len; at = slice_find(text, '\n', at + 1)) {
		size_t end = at > 0 && text.data[at - 1] == '\r' ? at - 1 : at;
		if (end > 1 && is_blank(text.data[end - 1]) && text.data[end - 1] != '\n' && text.data[end - 2] != '=') {
			return true;
		}
	}
	return false;
}

static struct slice line_at(struct slice text, size_t at, size_t *next_r)
{
	size_t end = slice_find(text, '\n', at);
	*next_r = end < text.len ? end + 1 : end;
	while (end > at && text.data[end - 1] == '\r') {
		end--;
	}
	return (struct slice){text.data + at, end - at};
}

static unsigned uu_value(struct slice line, size_t at)
{
	return at < line.len ? ((unsigned)(unsigned char)line.data[at] - ' ') & 0x3f : 0;
}

static size_t uu_line(struct slice line, char *out)
{
	size_t wanted = uu_value(line, 0);
	size_t n = 0;
	for (size_t at = 1; n < wanted && at < line.len; at += 4) {
		unsigned bits = uu_value(line, at) << 18 | uu_value(line, at + 1) << 12 | uu_value(line, at + 2) << 6 |
		                uu_value(line, at + 3);
		for (unsigned shift = 16; n < wanted; shift -= 8) {
			out[n++] = (char)(bits >> shift & 0xff);
			if (shift == 0) {
				break;
			}
		}
	}
	return n;
}

/* A length, and as many characters as it wants: blanks at the end may have been cut off on the way. */
static bool uu_is_line(struct slice line)
{
	size_t wanted = (uu_value(line, 0) + 2) / 3 * 4;
	if (line.len == 0 || line.data[0] < ' ' || line.data[0] > '`' || line.len > wanted + 3) {
		return false;
	}
	for (size_t i = 0; i < line.len; i++) {
		if (line.data[i] < ' ' || line.data[i] > '`') {
			return false;
		}
	}
	return true;
}

size_t mime_uudecode(struct slice text, char *out, size_t *used_r)
{
	size_t n = 0;
	size_t at = 0;
	while (at < text.len) {
		size_t next;
		struct slice line = line_at(text, at, &next);
		if (slice_equal(slice_trim(line), SLICE_LITERAL("end"))) {
			at = next;
			break;
		}
		if (line.len > 0 && !uu_is_line(line)) {
			break;
		}
		n += line.len > 0 ? uu_line(line, out + n) : 0;
		at = next;
	}
	*used_r = at;
	return n;
}

size_t mime_ydecode(struct slice text, char *out, size_t *used_r)
{
	size_t n = 0;
	size_t at = 0;
	while (at < text.len) {
		size_t next;
		struct slice line = line_at(text, at, &next);
		at = next;
		if (slice_starts_nocase(line, SLICE_LITERAL("=yend"))) {
			break;
		}
		if (slice_starts_nocase(line, SLICE_LITERAL("=ypart "))) {
			continue;
		}
		size_t i = line.len > 1 && line.data[0] == '.' && line.data[1] == '.' ? 1 : 0;
		for (; i < line.len; i++) {
			bool escaped = line.data[i] == '=' && i + 1 < line.len;
			i += escaped;
			out[n++] = (char)((unsigned char)line.data[i] - 42U - (escaped ? 64U : 0U));
		}
	}
	*used_r = at;
	return n;
}
