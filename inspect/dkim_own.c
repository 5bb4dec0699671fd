#include "inspect/dkim_own.h"

#include "inspect/dkim_syntax.h"
#include "lib/auth/dkim_crypto.h"

static bool has(struct slice text, char c)
{
	return slice_find(text, c, 0) < text.len;
}

/* A CR or LF that is not part of a CRLF. */
static bool has_bare(struct slice text)
{
	for (size_t at = slice_find(text, '\r', 0); at < text.len; at = slice_find(text, '\r', at + 1)) {
		if (at + 1 == text.len || text.data[at + 1] != '\n') {
			return true;
		}
	}
	for (size_t at = slice_find(text, '\n', 0); at < text.len; at = slice_find(text, '\n', at + 1)) {
		if (at == 0 || text.data[at - 1] != '\r') {
			return true;
		}
	}
	return false;
}

static bool has_long_line(struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		size_t end = slice_find(text, '\n', at);
		if (end - at > DKIM_OWN_LINE_MAX) {
			return true;
		}
		at = end + 1;
	}
	return false;
}

static size_t colon_of(const struct header *header)
{
	return header->field.len - header->value.len - 1;
}

bool dkim_own_needed(const struct headers *headers, struct slice message, size_t body)
{
	struct slice header = {message.data, body};
	if (has(header, '\0') || has(header, '\v') || has(header, '\f') || has_bare(message) || has_long_line(message)) {
		return true;
	}
	for (size_t i = 0; i < headers->count; i++) {
		struct slice name = {headers->items[i].field.data, colon_of(&headers->items[i])};
		bool signature = slice_equal_nocase(headers->items[i].name, SLICE_LITERAL("DKIM-Signature"));
		if (has(name, ';') || has(name, '\t') || (signature && !slice_is_ascii(headers->items[i].value))) {
			return true;
		}
	}
	return false;
}

static struct slice compact(struct arena *arena, const struct taglist *tags, const char *name)
{
	const struct tag *tag = taglist_find(tags, name);
	return tag == NULL ? (struct slice){"", 0} : tag_compact(arena, tag->value);
}

uint64_t dkim_own_body_length(struct dkim_own_body *body, enum canon canon)
{
	if (!body->whole[canon].known) {
		body->whole[canon].length = canon_body(body->text, canon, UINT64_MAX, body->whole[canon].digest);
		body->whole[canon].known = true;
	}
	return body->whole[canon].length;
}

static bool body_good(struct arena *arena, const struct taglist *tags, struct dkim_own_body *body)
{
	uint8_t digest[CANON_DIGEST_SIZE];
	enum canon canon = dkim_syntax_body_canon(arena, tags);
	uint64_t limit = dkim_syntax_number(arena, tags, "l", UINT64_MAX);
	if (limit < dkim_own_body_length(body, canon)) {
		canon_body(body->text, canon, limit, digest);
	} else {
		memcpy(digest, body->whole[canon].digest, sizeof digest);
	}
	const char *hash = dkim_base64_encode(arena, (struct slice){(const char *)digest, sizeof digest});
	return slice_equal(compact(arena, tags, "bh"), slice_from(hash));
}

/* h= never means the field that is verified (RFC 6376 3.5). */
static struct headers without(struct arena *arena, const struct headers *headers, const struct header *field)
{
	struct headers others = *headers;
	size_t at = (size_t)(field - headers->items);
	others.count = headers->count - 1;
	others.items = arena_alloc(arena, headers->count * sizeof *others.items);
	memcpy(others.items, headers->items, at * sizeof *others.items);
	memcpy(others.items + at, headers->items + at + 1, (others.count - at) * sizeof *others.items);
	return others;
}

static bool header_good(struct arena *arena, const struct headers *headers, const struct header *field,
                        const struct taglist *tags, const struct dkim_record *record)
{
	struct strbuf data;
	struct slice signature;
	enum dkim_algorithm algorithm;
	bool relaxed = slice_starts_nocase(compact(arena, tags, "c"), SLICE_LITERAL("relaxed"));
	enum canon canon = relaxed ? CANON_RELAXED : CANON_SIMPLE;
	if (!dkim_algorithm_parse(compact(arena, tags, "a"), &algorithm) ||
	    !dkim_base64_decode(arena, compact(arena, tags, "b"), &signature)) {
		return false;
	}
	struct headers others = without(arena, headers, field);
	strbuf_init(&data, arena);
	canon_fields(&data, arena, &others, taglist_find(tags, "h")->value, canon);
	canon_signature(&data, (struct slice){field->field.data, colon_of(field)}, field->value, canon);
	struct dkim_public_key *key = dkim_public_key_create(algorithm, record->bytes);
	bool good = key != NULL && dkim_public_key_verify(key, (struct slice){data.data, data.len}, signature);
	dkim_public_key_destroy(key);
	return good;
}

enum dkim_own_result dkim_own_verify(struct arena *arena, const struct headers *headers, const struct header *field,
                                     const struct taglist *tags, struct dkim_own_body *body,
                                     const struct dkim_record *record)
{
	if (!body_good(arena, tags, body)) {
		return DKIM_OWN_BODY_CHANGED;
	}
	return header_good(arena, headers, field, tags, record) ? DKIM_OWN_GOOD : DKIM_OWN_WRONG;
}
