#include "inspect/dkim_syntax.h"

#include "lib/auth/dkim_crypto.h"

enum { TIME_DIGITS = 12, LENGTH_DIGITS = 76, SHA256_BYTES = 32 };

static struct slice compact(struct arena *arena, const struct taglist *tags, const char *name)
{
	const struct tag *tag = taglist_find(tags, name);
	return tag == NULL ? (struct slice){"", 0} : tag_compact(arena, tag->value);
}

/* Printable bytes, UTF-8 (RFC 8616) and folds; no bare CR or LF, which verifiers read in different ways. */
static bool bytes_fit(struct slice value)
{
	if (!slice_is_utf8(value)) {
		return false;
	}
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.data[i];
		char next = i + 1 < value.len ? value.data[i + 1] : '\0';
		bool good = c == '\r'   ? next == '\n'
		            : c == '\n' ? i > 0 && value.data[i - 1] == '\r'
		                        : c == '\t' || (c >= ' ' && c != 127);
		if (!good) {
			return false;
		}
	}
	return true;
}

/* Field names with colons between (h=): none empty, none with a blank or another byte that no name has inside. */
static bool names_fit(struct slice list)
{
	struct slice item;
	while (slice_split(&list, ':', &item)) {
		item = slice_trim(item);
		if (item.len == 0) {
			return false;
		}
		for (size_t i = 0; i < item.len; i++) {
			if (item.data[i] <= ' ' || item.data[i] == 127) {
				return false;
			}
		}
	}
	return true;
}

static bool is_number(const struct taglist *tags, const char *name, size_t digits)
{
	const struct tag *tag = taglist_find(tags, name);
	if (tag == NULL) {
		return true;
	}
	struct slice text = tag->value;
	for (size_t i = 0; i < text.len; i++) {
		if (!ascii_is_digit(text.data[i])) {
			return false;
		}
	}
	return text.len > 0 && text.len <= digits;
}

uint64_t dkim_syntax_number(struct arena *arena, const struct taglist *tags, const char *name, uint64_t fallback)
{
	unsigned long long value;
	struct slice text = compact(arena, tags, name);
	if (text.len == 0) {
		return fallback;
	}
	return slice_to_uint(text, UINT64_MAX, &value) ? value : UINT64_MAX;
}

static const char *algorithm_problem(struct slice algorithm)
{
	if (algorithm.len == 0) {
		return "a= is missing";
	}
	if (slice_equal_nocase(algorithm, SLICE_LITERAL("rsa-sha1"))) {
		return "rsa-sha1 is not accepted"; /* RFC 8301 3.1 */
	}
	bool known = slice_equal_nocase(algorithm, SLICE_LITERAL("rsa-sha256")) ||
	             slice_equal_nocase(algorithm, SLICE_LITERAL("ed25519-sha256"));
	return known ? NULL : "the algorithm is not known";
}

static bool canonicalization_known(struct arena *arena, const struct taglist *tags)
{
	static const char *const known[] = {"simple",         "relaxed",        "simple/simple",
	                                    "simple/relaxed", "relaxed/simple", "relaxed/relaxed"};
	struct slice value = compact(arena, tags, "c");
	bool good = taglist_find(tags, "c") == NULL;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		good = good || slice_equal_nocase(value, slice_from(known[i]));
	}
	return good;
}

enum canon dkim_syntax_body_canon(struct arena *arena, const struct taglist *tags)
{
	bool relaxed = slice_ends_nocase(compact(arena, tags, "c"), SLICE_LITERAL("/relaxed"));
	return relaxed ? CANON_RELAXED : CANON_SIMPLE;
}

static const char *hashes_problem(struct arena *arena, const struct taglist *tags)
{
	struct slice bytes;
	if (!dkim_base64_decode(arena, compact(arena, tags, "b"), &bytes) || bytes.len == 0) {
		return "b= is missing, or no base64";
	}
	if (!dkim_base64_decode(arena, compact(arena, tags, "bh"), &bytes) || bytes.len != SHA256_BYTES) {
		return "bh= is missing, or no hash of its algorithm";
	}
	return NULL;
}

static const char *numbers_problem(struct arena *arena, const struct taglist *tags)
{
	if (!is_number(tags, "l", LENGTH_DIGITS) || !is_number(tags, "t", TIME_DIGITS) ||
	    !is_number(tags, "x", TIME_DIGITS)) {
		return "l=, t= or x= is no number";
	}
	bool both = taglist_find(tags, "t") != NULL && taglist_find(tags, "x") != NULL;
	if (both && dkim_syntax_number(arena, tags, "x", 0) <= dkim_syntax_number(arena, tags, "t", 0)) {
		return "x= is not later than t=";
	}
	return NULL;
}

const char *dkim_syntax_problem(struct arena *arena, struct slice value, const struct taglist *tags)
{
	const struct tag *fields = taglist_find(tags, "h");
	if (tags->duplicate || tags->malformed || tags->truncated || !bytes_fit(value) || fields == NULL ||
	    !names_fit(fields->value)) {
		return "the signature is malformed";
	}
	if (!slice_equal(compact(arena, tags, "v"), SLICE_LITERAL("1"))) {
		return "v= is missing, or not 1";
	}
	if (!tag_list_has(fields->value, "from")) {
		return "the From field is not signed";
	}
	const char *problem = algorithm_problem(compact(arena, tags, "a"));
	if (problem == NULL && !canonicalization_known(arena, tags)) {
		problem = "the canonicalization is not known";
	}
	if (problem == NULL) {
		problem = numbers_problem(arena, tags);
	}
	return problem != NULL ? problem : hashes_problem(arena, tags);
}
