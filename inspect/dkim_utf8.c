#include "inspect/dkim_utf8.h"

#include "lib/auth/canon.h"
#include "lib/auth/dkim_crypto.h"

static struct slice tag_text(struct arena *arena, const struct taglist *tags, const char *name)
{
	const struct tag *tag = taglist_find(tags, name);
	return tag == NULL ? (struct slice){"", 0} : tag_compact(arena, tag->value);
}

static bool canon_parse(struct slice word, enum canon *canon_r)
{
	*canon_r = slice_equal_nocase(word, SLICE_LITERAL("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
	return *canon_r == CANON_RELAXED || slice_equal_nocase(word, SLICE_LITERAL("simple"));
}

/* c=: "header/body", both simple where they are not named (RFC 6376 3.5). */
static bool canons_parse(struct slice text, enum canon *header_r, enum canon *body_r)
{
	*header_r = *body_r = CANON_SIMPLE;
	if (text.len == 0) {
		return true;
	}
	size_t slash = slice_find(text, '/', 0);
	struct slice body = {text.data + slash, text.len - slash};
	return canon_parse((struct slice){text.data, slash}, header_r) &&
	       (body.len == 0 || canon_parse((struct slice){body.data + 1, body.len - 1}, body_r));
}

/* bh= and l=; NULL when the body is what was signed. */
static const char *body_problem(struct arena *arena, const struct dkim_utf8 *signature, enum canon canon,
                                enum auth_result *result_r)
{
	const struct tag *tag = taglist_find(signature->tags, "l");
	unsigned long long limit = UINT64_MAX;
	uint8_t digest[CANON_DIGEST_SIZE];
	struct slice hash;
	*result_r = AUTH_PERMERROR;
	if (!dkim_base64_decode(arena, tag_text(arena, signature->tags, "bh"), &hash) || hash.len != sizeof digest ||
	    (tag != NULL && !slice_to_uint(slice_trim(tag->value), UINT64_MAX - 1, &limit))) {
		return "the signature is malformed";
	}
	uint64_t length = canon_body(signature->body, canon, limit, digest);
	if (tag != NULL && limit > length) {
		return "l= is more than the body";
	}
	*result_r = AUTH_FAIL;
	if (memcmp(hash.data, digest, sizeof digest) != 0) {
		return "the body was changed";
	}
	*result_r = AUTH_POLICY;
	return limit < length ? "l= leaves a part of the body unsigned" : NULL;
}

static struct dkim_public_key *key_create(struct arena *arena, const struct dkim_utf8 *signature)
{
	struct taglist list;
	struct slice bytes;
	enum dkim_algorithm algorithm;
	taglist_parse(signature->key, &list);
	bool good = dkim_algorithm_parse(tag_text(arena, signature->tags, "a"), &algorithm) &&
	            dkim_base64_decode(arena, tag_text(arena, &list, "p"), &bytes);
	return good ? dkim_public_key_create(algorithm, bytes) : NULL;
}

static bool header_signed(struct arena *arena, const struct dkim_utf8 *signature, enum canon canon,
                          const struct dkim_public_key *key)
{
	struct strbuf data;
	struct slice bytes;
	strbuf_init(&data, arena);
	canon_fields(&data, arena, signature->headers, tag_text(arena, signature->tags, "h"), canon);
	canon_signature(&data, signature->field->name, signature->field->value, canon);
	return dkim_base64_decode(arena, tag_text(arena, signature->tags, "b"), &bytes) &&
	       dkim_public_key_verify(key, (struct slice){data.data, data.len}, bytes);
}

/* t= and x= are numbers where they are there, and x= is the later one (RFC 6376 3.5). */
static bool times_valid(struct arena *arena, const struct taglist *tags)
{
	unsigned long long from = 0;
	unsigned long long until = UINT64_MAX;
	bool has_from = taglist_find(tags, "t") != NULL;
	bool has_until = taglist_find(tags, "x") != NULL;
	return (!has_from || slice_to_uint(tag_text(arena, tags, "t"), UINT64_MAX, &from)) &&
	       (!has_until || slice_to_uint(tag_text(arena, tags, "x"), UINT64_MAX, &until)) &&
	       (!has_from || !has_until || until > from);
}

enum auth_result dkim_utf8_verify(struct arena *arena, const struct dkim_utf8 *signature, unsigned *bits_r,
                                  const char **problem_r)
{
	enum canon header_canon;
	enum canon body_canon;
	enum auth_result body_result;
	*bits_r = 0;
	if (!slice_is_utf8(signature->field->value) || !times_valid(arena, signature->tags) ||
	    !canons_parse(tag_text(arena, signature->tags, "c"), &header_canon, &body_canon)) {
		*problem_r = "the signature is malformed";
		return AUTH_PERMERROR;
	}
	struct dkim_public_key *key = key_create(arena, signature);
	if (key == NULL) {
		*problem_r = "the key cannot be read";
		return AUTH_PERMERROR;
	}
	*bits_r = dkim_public_key_bits(key);
	bool header = header_signed(arena, signature, header_canon, key);
	dkim_public_key_destroy(key);
	*problem_r = body_problem(arena, signature, body_canon, &body_result);
	if (*problem_r != NULL && body_result != AUTH_POLICY) {
		return body_result;
	}
	if (!header) {
		*problem_r = "the header fields, or the key, are not those of the signer";
		return AUTH_FAIL;
	}
	return *problem_r == NULL ? AUTH_PASS : body_result;
}
