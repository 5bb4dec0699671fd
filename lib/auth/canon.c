#include "lib/auth/canon.h"

#include <openssl/evp.h>
#include <stdlib.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- header fields ---- */

/* 3.4.2: unfolded, each run of white space one space, none at the ends. */
static void relaxed_value(struct strbuf *out, struct slice value)
{
	bool started = false;
	bool space = false;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.data[i];
		if (c == '\r' && i + 1 < value.len && value.data[i + 1] == '\n') {
			i++; /* a fold: the blank behind it is white space anyway */
			continue;
		}
		if (is_blank(c)) {
			space = true;
			continue;
		}
		if (space && started) {
			strbuf_add_char(out, ' ');
		}
		strbuf_add_char(out, c);
		started = true;
		space = false;
	}
}

static void relaxed_name(struct strbuf *out, struct slice name)
{
	while (name.len > 0 && is_blank(name.data[name.len - 1])) {
		name.len--;
	}
	for (size_t i = 0; i < name.len; i++) {
		strbuf_add_char(out, ascii_lower(name.data[i]));
	}
}

void canon_header(struct strbuf *out, struct slice name, struct slice value, enum canon canon, bool line_end)
{
	switch (canon) {
	case CANON_SIMPLE:
		strbuf_add_slice(out, name);
		strbuf_add_char(out, ':');
		strbuf_add_slice(out, value);
		break;
	case CANON_RELAXED:
		relaxed_name(out, name);
		strbuf_add_char(out, ':');
		relaxed_value(out, value);
		break;
	}
	if (line_end) {
		strbuf_add(out, "\r\n", 2);
	}
}

struct slice canon_without_b(struct arena *arena, struct slice value)
{
	size_t from = 0;
	while (from < value.len) {
		size_t end = slice_find(value, ';', from);
		size_t equals = slice_find((struct slice){value.data, end}, '=', from);
		struct slice name = slice_trim((struct slice){value.data + from, equals - from});
		if (equals < end && slice_equal(name, SLICE_LITERAL("b"))) {
			struct strbuf out;
			strbuf_init(&out, arena);
			strbuf_add(&out, value.data, equals + 1);
			strbuf_add(&out, value.data + end, value.len - end);
			return (struct slice){out.data, out.len};
		}
		from = end + 1;
	}
	return value;
}

void canon_signature(struct strbuf *out, struct slice name, struct slice value, enum canon canon)
{
	canon_header(out, name, canon_without_b(out->arena, value), canon, false);
}

void canon_fields(struct strbuf *out, struct arena *arena, const struct headers *headers, struct slice names,
                  enum canon canon)
{
	bool *taken = arena_alloc(arena, headers->count * sizeof *taken);
	struct slice name;
	while (slice_split(&names, ':', &name)) {
		name = slice_trim(name);
		size_t i = headers->count;
		while (i > 0 && (taken[i - 1] || !slice_equal_nocase(slice_trim(headers->items[i - 1].name), name))) {
			i--;
		}
		if (i > 0) {
			taken[i - 1] = true;
			const struct header *header = &headers->items[i - 1];
			struct slice before_colon = {header->field.data, header->field.len - header->value.len - 1};
			canon_header(out, before_colon, header->value, canon, true); /* blanks there count when simple */
		}
	}
}

/* ---- the body ---- */

struct body_hash {
	EVP_MD_CTX *context;
	uint64_t total;    /* canonical bytes so far */
	uint64_t left;     /* of them, to be hashed still */
	uint64_t line_ends; /* held back: at the end of the body they may count for nothing */
	size_t used;
	char buffer[4096];
};

static void hash_flush(struct body_hash *hash)
{
	size_t n = hash->used < hash->left ? hash->used : (size_t)hash->left;
	if (n > 0 && EVP_DigestUpdate(hash->context, hash->buffer, n) != 1) {
		abort();
	}
	hash->left -= n;
	hash->used = 0;
}

static void hash_byte(struct body_hash *hash, char c)
{
	if (hash->used == sizeof hash->buffer) {
		hash_flush(hash);
	}
	hash->buffer[hash->used++] = c;
	hash->total++;
}

static void hash_bytes(struct body_hash *hash, const char *data, size_t n)
{
	while (n > 0) {
		if (hash->used == sizeof hash->buffer) {
			hash_flush(hash);
		}
		size_t room = sizeof hash->buffer - hash->used;
		size_t part = n < room ? n : room;
		memcpy(hash->buffer + hash->used, data, part);
		hash->used += part;
		hash->total += part;
		data += part;
		n -= part;
	}
}

static void hash_line_ends(struct body_hash *hash)
{
	for (; hash->line_ends > 0; hash->line_ends--) {
		hash_byte(hash, '\r');
		hash_byte(hash, '\n');
	}
}

/* A line without its end. */
static void hash_line(struct body_hash *hash, const char *line, size_t n, enum canon canon)
{
	bool relaxed = canon == CANON_RELAXED;
	while (relaxed && n > 0 && is_blank(line[n - 1])) {
		n--;
	}
	if (n > 0) {
		hash_line_ends(hash);
	}
	if (!relaxed) {
		hash_bytes(hash, line, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!is_blank(line[i])) {
			hash_byte(hash, line[i]);
		} else if (!is_blank(line[i + 1])) { /* the last byte is none: i + 1 < n */
			hash_byte(hash, ' ');
		}
	}
}

/* Where the line that begins at `at` ends: at its CRLF or at the end of the body. */
static size_t line_end(struct slice body, size_t at)
{
	for (;;) {
		const char *lf = memchr(body.data + at, '\n', body.len - at);
		if (lf == NULL) {
			return body.len;
		}
		size_t end = (size_t)(lf - body.data);
		if (end > 0 && lf[-1] == '\r') {
			return end - 1;
		}
		at = end + 1;
	}
}

uint64_t canon_body(struct slice body, enum canon canon, uint64_t limit, uint8_t digest_r[CANON_DIGEST_SIZE])
{
	struct body_hash hash = {.context = EVP_MD_CTX_new(), .left = limit};
	if (hash.context == NULL || EVP_DigestInit_ex(hash.context, EVP_sha256(), NULL) != 1) {
		abort();
	}
	for (size_t at = 0; at < body.len;) {
		size_t end = line_end(body, at);
		hash_line(&hash, body.data + at, end - at, canon);
		hash.line_ends++; /* 3.4.3: a last line without an end is given one */
		at = end + 2;
	}
	/* Empty lines at the end do not count; an empty body is one line end, or nothing when relaxed. */
	hash.line_ends = hash.total > 0 || canon == CANON_SIMPLE ? 1 : 0;
	hash_line_ends(&hash);
	hash_flush(&hash);
	if (EVP_DigestFinal_ex(hash.context, digest_r, NULL) != 1) {
		abort();
	}
	EVP_MD_CTX_free(hash.context);
	return hash.total;
}
