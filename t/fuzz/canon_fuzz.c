/* canon.c against the plainest reading of RFC 6376 3.4, and a signature over whatever it is against its own key. First
 * byte: bit 0 relaxed, bit 1 the message comes from a Sendmail; the rest a message. */
#include "lib/auth/canon.h"
#include "lib/auth/dkim_sign.h"
#include "lib/mail/taglist.h"
#include "t/fuzz/fuzz.h"

#include <openssl/evp.h>

static const char pem[] =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n"; /* RFC 8463 A.2 */
static const char *const fields[] = {"to", "cc", "subject", "date", NULL};
static const char *const oversign[] = {"from", "x", NULL};

/* Parsed once for all inputs: it takes longer than the rest. */
static struct dkim_private_key *key;
static struct dkim_public_key *public_key;

static void make_keys(struct arena *arena)
{
	struct slice bytes;
	key = dkim_private_key_create(slice_from(pem));
	require(dkim_base64_decode(arena, slice_from(dkim_private_key_public(key, arena)), &bytes));
	public_key = dkim_public_key_create(DKIM_ED25519_SHA256, bytes);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool crlf(struct slice text, size_t at)
{
	return at + 1 < text.len && text.data[at] == '\r' && text.data[at + 1] == '\n';
}

/* 3.4.3, 3.4.4: line by line, into a new text; then empty lines at the end go. */
static struct slice body_by_the_book(struct arena *arena, struct slice body, bool relaxed)
{
	char *out = arena_alloc(arena, body.len + 3);
	size_t n = 0;
	for (size_t at = 0; at < body.len;) {
		size_t start = n;
		for (; at < body.len && !crlf(body, at); at++) {
			char c = body.data[at];
			if (relaxed && blank(c)) {
				if (n > start && out[n - 1] == ' ') {
					continue;
				}
				c = ' ';
			}
			out[n++] = c;
		}
		if (relaxed && n > start && out[n - 1] == ' ') {
			n--;
		}
		out[n++] = '\r';
		out[n++] = '\n';
		at += 2;
	}
	while (n >= 4 && memcmp(out + n - 4, "\r\n\r\n", 4) == 0) {
		n -= 2;
	}
	if (n == 0 || (n == 2 && out[0] == '\r')) {
		n = relaxed ? 0 : 2;
		memcpy(out, "\r\n", 2);
	}
	return (struct slice){out, n};
}

/* 3.4.2: unfold, then one pass for each sentence. */
static struct slice value_by_the_book(struct arena *arena, struct slice value)
{
	char *out = arena_alloc(arena, value.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (crlf(value, i)) {
			i++;
		} else {
			out[n++] = blank(value.data[i]) ? ' ' : value.data[i];
		}
	}
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (out[i] != ' ' || (kept > 0 && out[kept - 1] != ' ')) {
			out[kept++] = out[i];
		}
	}
	kept -= kept > 0 && out[kept - 1] == ' ';
	return (struct slice){out, kept};
}

static void check_body(struct arena *arena, struct slice body, bool relaxed)
{
	uint8_t digest[CANON_DIGEST_SIZE];
	uint8_t wanted[CANON_DIGEST_SIZE];
	struct slice book = body_by_the_book(arena, body, relaxed);
	for (uint64_t limit = 0; limit < 3; limit++) {
		uint64_t most = limit == 0 ? UINT64_MAX : limit == 1 ? book.len / 2 : book.len + 7;
		size_t n = most < book.len ? (size_t)most : book.len;
		EVP_Digest(book.data, n, wanted, NULL, EVP_sha256(), NULL);
		require(canon_body(body, relaxed ? CANON_RELAXED : CANON_SIMPLE, most, digest) == book.len);
		require(memcmp(digest, wanted, sizeof digest) == 0);
	}
}

static void check_headers(struct arena *arena, const struct headers *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		struct strbuf out;
		strbuf_init(&out, arena);
		canon_header(&out, SLICE_LITERAL("X"), headers->items[i].value, CANON_RELAXED, false);
		struct slice book = value_by_the_book(arena, headers->items[i].value);
		require(out.len == book.len + 2 && memcmp(out.data + 2, book.data, book.len) == 0);
	}
}

/* As a verifier would: h= from the field itself, canonical fields by canon_fields(). */
static void check_signature(struct arena *arena, const struct headers *headers, struct slice body, bool sendmail)
{
	struct dkim_sign_options options = {fields, oversign, 60, sendmail};
	struct dkim_draft *draft = dkim_sign_begin(arena, &options, headers, body, 1700000000);
	const char *value = dkim_sign_field(draft, "example.com", "sel", NULL, key);
	struct taglist list;
	struct slice bytes;
	struct strbuf data;
	dkim_sign_fragile(draft);
	require(value != NULL);
	taglist_parse(slice_from(value), &list);
	require(!list.malformed && !list.duplicate);
	const char *wire = arena_printf(arena, " %s", value);
	strbuf_init(&data, arena);
	canon_fields(&data, arena, headers, tag_compact(arena, taglist_find(&list, "h")->value), CANON_RELAXED);
	/* Folds are LF + tab here, CRLF + tab there: the same once they are relaxed. */
	struct strbuf folded;
	strbuf_init(&folded, arena);
	for (const char *c = wire; *c != '\0'; c++) {
		strbuf_add_text(&folded, *c == '\n' ? "\r" : "");
		strbuf_add_char(&folded, *c);
	}
	canon_signature(&data, SLICE_LITERAL("DKIM-Signature"), (struct slice){folded.data, folded.len}, CANON_RELAXED);
	require(dkim_base64_decode(arena, tag_compact(arena, taglist_find(&list, "b")->value), &bytes));
	bool good = dkim_public_key_verify(public_key, (struct slice){data.data, data.len}, bytes);
	require(good || sendmail); /* which signs another list of addresses than it has got */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	struct arena *arena = arena_create(4096);
	if (key == NULL) {
		make_keys(arena);
	}
	struct slice message = {(const char *)data + 1, size - 1};
	struct header_limits limits = {.max_count = 200, .max_bytes = 20000};
	struct headers headers = {.count = 0};
	size_t at = headers_parse(&headers, arena, &limits, message);
	struct slice body = {message.data + at, message.len - at};
	check_body(arena, body, (data[0] & 1) != 0);
	check_body(arena, message, (data[0] & 1) != 0);
	check_headers(arena, &headers);
	check_signature(arena, &headers, body, (data[0] & 2) != 0);
	arena_destroy(arena);
	return 0;
}
