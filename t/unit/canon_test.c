/* Canonical form, hashes and algorithms of signatures, by the RFCs' own examples. */
#include "lib/auth/canon.h"
#include "lib/auth/dkim_crypto.h"
#include "lib/mail/taglist.h"
#include "t/tap.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static struct arena *arena;

/* On a heap block of exactly its size, so that ASan sees overreads. */
static struct slice exactly(const char *text, size_t n)
{
	char *heap = malloc(n == 0 ? 1 : n);
	memcpy(heap, text, n);
	return (struct slice){heap, n};
}

static void let_go(struct slice text)
{
	free((char *)(uintptr_t)text.data);
}

static void test_headers(void)
{
	static const struct {
		const char *name, *value, *simple, *relaxed;
	} rows[] = {
	    /* RFC 6376 3.4.5 */
	    {"A", " X", "A: X\r\n", "a:X\r\n"},
	    {"B ", " Y\t\r\n\tZ  ", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
	    {"Subject", "", "Subject:\r\n", "subject:\r\n"},
	    {"Subject", " \r\n ", "Subject: \r\n \r\n", "subject:\r\n"},
	    {"X-Y", "a\r\n \r\n b", "X-Y:a\r\n \r\n b\r\n", "x-y:a b\r\n"},
	    {"X", "a\rb\nc", "X:a\rb\nc\r\n", "x:a\rb\nc\r\n"},
	    {"X", " a\r", "X: a\r\r\n", "x:a\r\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice name = exactly(rows[i].name, strlen(rows[i].name));
		struct slice value = exactly(rows[i].value, strlen(rows[i].value));
		struct strbuf out;
		strbuf_init(&out, arena);
		canon_header(&out, name, value, CANON_SIMPLE, true);
		is_text(out.data, rows[i].simple, arena_printf(arena, "header %zu, simple", i));
		strbuf_init(&out, arena);
		canon_header(&out, name, value, CANON_RELAXED, true);
		is_text(out.data, rows[i].relaxed, arena_printf(arena, "header %zu, relaxed", i));
		let_go(name);
		let_go(value);
	}
}

static void test_without_b(void)
{
	static const struct {
		const char *value, *expected;
	} rows[] = {
	    {" v=1; b=abc\r\n def; bh=xyz", " v=1; b=; bh=xyz"},
	    {"b=abc", "b="},
	    {" bh=b; b = abc ; t=1", " bh=b; b =; t=1"},
	    {" bh=b=c; x=1", " bh=b=c; x=1"},
	    {" b", " b"},
	    {" B=x;b=y", " B=x;b="},
	    {" v=1;\r\n\tb\r\n =x", " v=1;\r\n\tb\r\n ="},
	    {"", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice value = exactly(rows[i].value, strlen(rows[i].value));
		is_text(slice_dup(arena, canon_without_b(arena, value)), rows[i].expected, arena_printf(arena, "without b= %zu", i));
		let_go(value);
	}
}

static void test_fields(void)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {10, 1000};
	headers_add(&headers, arena, &limits, SLICE_LITERAL("From"), SLICE_LITERAL(" top"));
	headers_add(&headers, arena, &limits, SLICE_LITERAL("To"), SLICE_LITERAL(" x"));
	headers_add(&headers, arena, &limits, SLICE_LITERAL("FROM"), SLICE_LITERAL(" bottom"));
	static const struct {
		const char *names, *expected;
	} rows[] = {
	    {"from", "from:bottom\r\n"},
	    {"From : from:FROM", "from:bottom\r\nfrom:top\r\n"},
	    {"to:subject:from", "to:x\r\nfrom:bottom\r\n"},
	    {"", ""},
	    {"::", ""},
	    {"fro", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct strbuf out;
		strbuf_init(&out, arena);
		canon_fields(&out, arena, &headers, slice_from(rows[i].names), CANON_RELAXED);
		is_text(out.data, rows[i].expected, arena_printf(arena, "h=%s", rows[i].names));
	}
}

/* The hash of the body is compared with that of its canonical form as written here. */
static void test_body(void)
{
	static const struct {
		const char *body;
		const char *simple, *relaxed;
	} rows[] = {
	    {" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"}, /* RFC 6376 3.4.5 */
	    {"", "\r\n", ""},
	    {"\r\n\r\n", "\r\n", ""},
	    {" \t\r\n", " \t\r\n", ""},
	    {"a", "a\r\n", "a\r\n"},
	    {"a ", "a \r\n", "a\r\n"},
	    {"a\r\n \r\nb\r\n \r\n", "a\r\n \r\nb\r\n \r\n", "a\r\n\r\nb\r\n"},
	    {"\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
	    {"a\nb\r\n", "a\nb\r\n", "a\nb\r\n"},
	    {"a \n b\r\n", "a \n b\r\n", "a \n b\r\n"},
	    {"a\r", "a\r\r\n", "a\r\r\n"},
	    {"a\r\r\n", "a\r\r\n", "a\r\r\n"},
	    {"\n", "\n\r\n", "\n\r\n"},
	    {"\t\ta  b\t\r\n", "\t\ta  b\t\r\n", " a b\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *expected[] = {rows[i].simple, rows[i].relaxed};
		struct slice body = exactly(rows[i].body, strlen(rows[i].body));
		for (enum canon canon = CANON_SIMPLE; canon <= CANON_RELAXED; canon++) {
			uint8_t got[CANON_DIGEST_SIZE];
			uint8_t wanted[CANON_DIGEST_SIZE];
			size_t n = strlen(expected[canon]);
			EVP_Digest(expected[canon], n, wanted, NULL, EVP_sha256(), NULL);
			uint64_t length = canon_body(body, canon, UINT64_MAX, got);
			ok(length == n && memcmp(got, wanted, sizeof got) == 0, "body %zu, %s", i,
			   canon == CANON_SIMPLE ? "simple" : "relaxed");
			EVP_Digest(expected[canon], n / 2, wanted, NULL, EVP_sha256(), NULL);
			length = canon_body(body, canon, n / 2, got);
			ok(length == n && memcmp(got, wanted, sizeof got) == 0, "body %zu, half of it", i);
		}
		let_go(body);
	}
}

/* Longer than every buffer, with line ends at every place of it. */
static void test_long_body(void)
{
	struct strbuf body;
	struct strbuf expected;
	uint8_t got[CANON_DIGEST_SIZE];
	uint8_t wanted[CANON_DIGEST_SIZE];
	strbuf_init(&body, arena);
	strbuf_init(&expected, arena);
	for (size_t n = 0; n < 300; n++) {
		for (size_t i = 0; i < n; i++) {
			strbuf_add_char(&body, (char)('a' + i % 26));
			strbuf_add_char(&expected, (char)('a' + i % 26));
		}
		strbuf_add_text(&body, n % 3 == 0 ? " \t\r\n" : "\r\n");
		strbuf_add_text(&expected, "\r\n");
	}
	for (size_t n = 0; n < 5000; n++) {
		strbuf_add_text(&body, "\r\n");
	}
	canon_body((struct slice){body.data, body.len}, CANON_RELAXED, UINT64_MAX, got);
	EVP_Digest(expected.data, expected.len, wanted, NULL, EVP_sha256(), NULL);
	ok(memcmp(got, wanted, sizeof got) == 0, "a body of %zu bytes", body.len);
}

static void test_base64(void)
{
	static const struct {
		const char *text, *bytes; /* bytes NULL: no base64 */
	} rows[] = {
	    {"", ""},         {"Zg==", "f"},   {"Zm8=", "fo"},  {"Zm9v", "foo"},   {"Zm9vYg==", "foob"}, {"Zg", NULL},
	    {"Zg=", NULL},    {"Zg===", NULL}, {"Z===", NULL},  {"====", NULL},    {"Zm=v", NULL},       {"Zm9v=", NULL},
	    {"Zm9vZg=a", NULL}, {"Zm 9", NULL}, {"Zm-v", NULL}, {"Zm_v", NULL},    {"Zm\n9", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice text = exactly(rows[i].text, strlen(rows[i].text));
		struct slice bytes = {"", 0};
		bool good = dkim_base64_decode(arena, text, &bytes);
		ok(good == (rows[i].bytes != NULL) && (!good || slice_equal(bytes, slice_from(rows[i].bytes))), "base64 %zu: %s", i,
		   rows[i].text);
		if (good) {
			is_text(dkim_base64_encode(arena, bytes), rows[i].text, "and back");
		}
		let_go(text);
	}
}

/* RFC 8463 Appendix A: one message, both algorithms. */
static const char rfc8463[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    " date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n"
    "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

static struct slice tag_of(struct slice field, const char *name)
{
	struct taglist list;
	taglist_parse(field, &list);
	return tag_compact(arena, taglist_find(&list, name)->value);
}

/* Everything that field n signs. */
static struct strbuf signed_data(const struct headers *headers, size_t n)
{
	const struct header *field = &headers->items[n];
	struct strbuf data;
	strbuf_init(&data, arena);
	canon_fields(&data, arena, headers, tag_of(field->value, "h"), CANON_RELAXED);
	canon_signature(&data, field->name, field->value, CANON_RELAXED);
	return data;
}

static void test_rfc8463(void)
{
	static const char *const keys[] = {
	    "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/by"
	    "YzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/"
	    "K4w3QIDAQAB",
	};
	struct headers headers = {.count = 0};
	struct header_limits limits = {100, 10000};
	size_t body = headers_parse(&headers, arena, &limits, slice_from(rfc8463));
	uint8_t digest[CANON_DIGEST_SIZE];
	canon_body((struct slice){rfc8463 + body, sizeof rfc8463 - 1 - body}, CANON_RELAXED, UINT64_MAX, digest);
	for (size_t i = 0; i < 2; i++) {
		struct slice value = headers.items[i].value;
		enum dkim_algorithm algorithm = DKIM_RSA_SHA256;
		struct slice key_bytes = {"", 0};
		struct slice signature = {"", 0};
		ok(dkim_algorithm_parse(tag_of(value, "a"), &algorithm), "RFC 8463, signature %zu: algorithm", i);
		is_text(dkim_base64_encode(arena, (struct slice){(const char *)digest, sizeof digest}),
		        slice_dup(arena, tag_of(value, "bh")), "body hash");
		ok(dkim_base64_decode(arena, slice_from(keys[i]), &key_bytes) &&
		       dkim_base64_decode(arena, tag_of(value, "b"), &signature),
		   "key and signature are base64");
		struct dkim_public_key *key = dkim_public_key_create(algorithm, key_bytes);
		struct strbuf data = signed_data(&headers, i);
		is_int(dkim_public_key_bits(key), i == 0 ? 256 : 1024, "bits");
		ok(dkim_public_key_verify(key, (struct slice){data.data, data.len}, signature), "verifies");
		data.data[0] ^= 1;
		ok(!dkim_public_key_verify(key, (struct slice){data.data, data.len}, signature), "not when a byte is another");
		data.data[0] ^= 1;
		signature.len--;
		ok(!dkim_public_key_verify(key, (struct slice){data.data, data.len}, signature), "nor when the signature is cut");
		dkim_public_key_destroy(key);
	}
}

static struct slice make_pem(int type)
{
	EVP_PKEY *key = type == EVP_PKEY_RSA ? EVP_RSA_gen(2048U) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *out = BIO_new(BIO_s_mem());
	char *text;
	PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	long n = BIO_get_mem_data(out, &text);
	struct slice pem = exactly(text, (size_t)n);
	BIO_free(out);
	EVP_PKEY_free(key);
	return pem;
}

static void test_sign(void)
{
	static const int types[] = {EVP_PKEY_RSA, EVP_PKEY_ED25519};
	for (size_t i = 0; i < 2; i++) {
		struct slice pem = make_pem(types[i]);
		struct dkim_private_key *key = dkim_private_key_create(pem);
		if (!ok(key != NULL, "a private key is read")) {
			continue;
		}
		enum dkim_algorithm algorithm = dkim_private_key_algorithm(key);
		struct slice bytes = {"", 0};
		struct slice signature = {"", 0};
		dkim_base64_decode(arena, slice_from(dkim_private_key_public(key, arena)), &bytes);
		struct dkim_public_key *public_key = dkim_public_key_create(algorithm, bytes);
		ok(public_key != NULL && dkim_public_key_bits(public_key) == dkim_private_key_bits(key), "%s, its public half",
		   dkim_algorithm_name(algorithm));
		const char *text = dkim_private_key_sign(key, SLICE_LITERAL("some data"), arena);
		ok(text != NULL && dkim_base64_decode(arena, slice_from(text), &signature), "signs in base64");
		ok(dkim_public_key_verify(public_key, SLICE_LITERAL("some data"), signature), "and it verifies");
		ok(!dkim_public_key_verify(public_key, SLICE_LITERAL("some date"), signature), "for that data only");
		dkim_public_key_destroy(public_key);
		dkim_private_key_destroy(key);
		pem.len /= 2;
		ok(dkim_private_key_create(pem) == NULL, "half a file is no key");
		let_go(pem);
	}
}

static void test_no_keys(void)
{
	static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0wSjA=\n"
	                                "-----END ENCRYPTED PRIVATE KEY-----\n";
	struct slice bytes = {"", 0};
	enum dkim_algorithm algorithm;
	ok(dkim_private_key_create(slice_from(encrypted)) == NULL, "a key with a passphrase is none");
	ok(dkim_private_key_create(SLICE_LITERAL("")) == NULL, "nothing is no key");
	ok(dkim_public_key_create(DKIM_ED25519_SHA256, SLICE_LITERAL("0123456789")) == NULL, "10 bytes are no ed25519 key");
	ok(dkim_public_key_create(DKIM_RSA_SHA256, SLICE_LITERAL("0123456789")) == NULL, "nor an RSA key");
	dkim_base64_decode(arena, SLICE_LITERAL("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="), &bytes);
	ok(dkim_public_key_create(DKIM_RSA_SHA256, bytes) == NULL, "an ed25519 key as SubjectPublicKeyInfo is no RSA key");
	ok(!dkim_algorithm_parse(SLICE_LITERAL("rsa-sha1"), &algorithm), "rsa-sha1 is not known");
	ok(dkim_algorithm_parse(SLICE_LITERAL("RSA-SHA256"), &algorithm) && algorithm == DKIM_RSA_SHA256, "RSA-SHA256 is");
	dkim_public_key_destroy(NULL);
	dkim_private_key_destroy(NULL);
}

int main(void)
{
	arena = arena_create(65536);
	test_headers();
	test_without_b();
	test_fields();
	test_body();
	test_long_body();
	test_base64();
	test_rfc8463();
	test_sign();
	test_no_keys();
	arena_destroy(arena);
	return done_testing();
}
