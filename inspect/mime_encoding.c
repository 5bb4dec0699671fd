#include "inspect/mime_walk.h"

#include "inspect/mime_decode.h"
#include "inspect/mime_text.h"

#include <gmime/gmime.h>
#include <stdlib.h>

enum { TOKEN_MAX = 64 };
enum { QUOTED_PLAIN, QUOTED_TRIMMED, QUOTED_GMIME, QUOTED_READINGS };

static const struct {
	const char *word;
	enum encoding encoding;
} words[] = {
    {"7bit", ENCODING_IDENTITY},
    {"8bit", ENCODING_IDENTITY},
    {"binary", ENCODING_IDENTITY},
    {"base64", ENCODING_BASE64},
    {"quoted-printable", ENCODING_QUOTED},
    {"x-uuencode", ENCODING_UU},
    {"uuencode", ENCODING_UU},
    {"x-uue", ENCODING_UU},
    {"uue", ENCODING_UU},
    {"x-yencode", ENCODING_YENC},
    {"x-yenc", ENCODING_YENC},
    {"yenc", ENCODING_YENC},
    {"binhex", ENCODING_BINHEX},
    {"x-binhex", ENCODING_BINHEX},
    {"binhex40", ENCODING_BINHEX},
    {"mac-binhex40", ENCODING_BINHEX},
};

static bool known(struct slice word, enum encoding *encoding_r)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_equal(word, slice_from(words[i].word))) {
			*encoding_r = words[i].encoding;
			return true;
		}
	}
	return false;
}

static bool contains(struct slice text, const char *word)
{
	return text.len > 0 && memmem(text.data, text.len, word, strlen(word)) != NULL;
}

/* What a reader that looks for a part of the word would take it for. */
static enum encoding guess(struct slice text)
{
	if (contains(text, "64")) {
		return ENCODING_BASE64;
	}
	if (contains(text, "quoted") || contains(text, "printable") || slice_equal(text, SLICE_LITERAL("qp"))) {
		return ENCODING_QUOTED;
	}
	if (contains(text, "uu")) {
		return ENCODING_UU;
	}
	return contains(text, "hex") ? ENCODING_BINHEX : contains(text, "yenc") ? ENCODING_YENC : ENCODING_IDENTITY;
}

static bool is_word(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_' || c == '.';
}

/* The first word behind a comment: "(x) Base64 ;" is base64. *odd_r: there is more than the word. */
static struct slice first_word(struct arena *arena, struct slice value, bool *odd_r)
{
	char *lower = slice_dup_lower(arena, value);
	size_t at = 0;
	size_t depth = 0;
	while (at < value.len && (depth > 0 || !is_word(lower[at]))) {
		depth += lower[at] == '(' ? 1 : lower[at] == ')' && depth > 0 ? (size_t)-1 : 0;
		at++;
	}
	size_t end = at;
	while (end < value.len && is_word(lower[end])) {
		end++;
	}
	*odd_r = at > 0 || end < value.len;
	return (struct slice){lower + at, end - at};
}

static void one_field(struct walk *walk, struct arena *arena, struct slice value, struct entity *entity)
{
	enum encoding encoding;
	bool odd;
	value = slice_trim(value);
	value.len = value.len < TOKEN_MAX ? value.len : TOKEN_MAX;
	if (value.len == 0) {
		entity->encodings[ENCODING_IDENTITY] = true;
		return;
	}
	struct slice all = {slice_dup_lower(arena, value), value.len};
	struct slice word = first_word(arena, value, &odd);
	if (!known(word, &encoding)) {
		encoding = ENCODING_IDENTITY; /* RFC 2045 6.4 */
		odd = true;
	}
	entity->encodings[encoding] = true;
	if (odd && guess(all) != ENCODING_IDENTITY && guess(all) != encoding) {
		entity->encodings[guess(all)] = true;
		walk_reason(walk, MIME_REASON_UNKNOWN_ENCODING);
	}
}

void walk_encodings(struct walk *walk, struct arena *arena, const struct slice *fields, size_t count,
                    struct entity *entity)
{
	unsigned different = 0;
	for (size_t i = 0; i < count; i++) {
		bool before[ENCODING_COUNT];
		memcpy(before, entity->encodings, sizeof before);
		one_field(walk, arena, fields[i], entity);
		different += memcmp(before, entity->encodings, sizeof before) != 0;
	}
	if (different > 1) {
		walk_reason(walk, MIME_REASON_ENCODING);
	} else if (count > 1) {
		walk_reason(walk, MIME_REASON_DOUBLED);
	}
	if (count == 0) {
		entity->encodings[ENCODING_IDENTITY] = true;
	}
}

static char *room(struct walk *walk, size_t n)
{
	char *buffer = malloc(n);
	if (buffer == NULL) {
		walk->budget->exhausted = walk->budget->exhausted == NULL ? "not enough memory" : walk->budget->exhausted;
	}
	return buffer;
}

static void base64_reason(struct walk *walk, struct slice body)
{
	bool tail;
	if (mime_base64_doubtful(body, &tail)) {
		walk_reason(walk, tail ? MIME_REASON_BASE64_TAIL : MIME_REASON_BASE64);
	}
}

static size_t base64(struct walk *walk, struct slice body, unsigned reading, char *out)
{
	if (reading == 0) {
		base64_reason(walk, body);
	}
	return mime_base64(body, (enum mime_base64_reading)reading, out);
}

static size_t quoted_gmime(struct slice body, char *out)
{
	GMimeEncoding state;
	g_mime_encoding_init_decode(&state, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
	return g_mime_encoding_flush(&state, body.data, body.len, out);
}

static unsigned readings(enum encoding encoding, struct slice body, bool text)
{
	bool tail;
	switch (encoding) {
	case ENCODING_BASE64:
		return mime_base64_doubtful(body, &tail) ? MIME_BASE64_READINGS : 1;
	case ENCODING_QUOTED:
		if (contains(body, "==")) { /* each program has its own idea of "=" before what is no digit */
			return QUOTED_READINGS;
		}
		return !text && mime_quoted_printable_trims(body) ? QUOTED_GMIME : 1;
	case ENCODING_IDENTITY:
	case ENCODING_UU:
	case ENCODING_YENC:
	case ENCODING_BINHEX:
		return 1;
	case ENCODING_COUNT:
		break;
	}
	return 0;
}

/* Behind the line that begins it, where there is one. */
static struct slice begun(struct slice body, enum mime_text_kind kind)
{
	struct mime_text_file file;
	for (size_t at = 0; mime_text_next(body, &at, &file);) {
		if (file.kind == kind) {
			return file.bytes;
		}
	}
	return body;
}

static size_t decode(struct walk *walk, enum encoding encoding, struct slice body, unsigned reading, char *out)
{
	size_t used;
	switch (encoding) {
	case ENCODING_BASE64:
		return base64(walk, body, reading, out);
	case ENCODING_QUOTED:
		return reading == QUOTED_GMIME ? quoted_gmime(body, out)
		                               : mime_quoted_printable(body, reading == QUOTED_TRIMMED, out);
	case ENCODING_UU:
		return mime_uudecode(begun(body, MIME_TEXT_UU), out, &used);
	case ENCODING_YENC:
		return mime_ydecode(begun(body, MIME_TEXT_YENC), out, &used);
	case ENCODING_IDENTITY:
	case ENCODING_BINHEX:
	case ENCODING_COUNT:
		break;
	}
	return 0;
}

bool walk_decode(struct walk *walk, enum encoding encoding, struct slice body, unsigned reading, bool text,
                 char **buffer_r, struct slice *content_r)
{
	*buffer_r = NULL;
	if (encoding == ENCODING_IDENTITY) {
		*content_r = body;
		return reading == 0;
	}
	if (encoding == ENCODING_BINHEX) {
		return false; /* found by its first line, with its name */
	}
	if (!walk_looked(walk, body.len) || (reading > 0 && reading >= readings(encoding, body, text))) {
		return false;
	}
	char *buffer = room(walk, body.len + MIME_DECODE_ROOM);
	if (buffer == NULL) {
		return false;
	}
	*content_r = (struct slice){buffer, decode(walk, encoding, body, reading, buffer)};
	if (!part_budget_bytes(walk->budget, content_r->len)) {
		free(buffer);
		return false;
	}
	*buffer_r = buffer;
	return true;
}
