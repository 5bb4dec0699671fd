/* The fences around libopendkim, with messages signed by the same library, and by our own canonical form where it would
 * not sign such a message. */
#include "inspect/dkim_verify.h"
#include "lib/auth/canon.h"
#include "lib/auth/dkim_crypto.h"
#include "t/dkim_signer.h"
#include "t/tap.h"

#include <stdint.h>

enum { NOW = 1700000000, SIGNATURES_MAX = 8 };

static struct arena *arena;
static struct dkim_rules rules = {.key_bits_min = 1024, .clock_drift = 300};
static struct signer_key rsa, rsa_1024, rsa_short, ed25519;
static struct dkim_private_key *own_key;

static const char mail[] = "From: Anna <anna@example.com>\r\nTo: bob@example.net\r\nSubject: two  words\r\n\r\n"
                           "first line\r\nsecond \t line  \r\n\r\n\r\n";

struct dns {
	const char *selector;
	enum dkim_key_status status;
	const char *text;
};

static const char *key_text(const char *tags, const char *public_key)
{
	return arena_printf(arena, "%s p=%s", tags, public_key);
}

static void resolve(struct dkim_keys *keys, const struct dns *dns)
{
	for (size_t i = 0; i < keys->count; i++) {
		struct dkim_key *key = &keys->items[i];
		if (key->status == DKIM_KEY_UNUSABLE) {
			continue;
		}
		key->status = DKIM_KEY_ABSENT;
		for (size_t k = 0; dns[k].selector != NULL; k++) {
			if (strcmp(dns[k].selector, key->selector) == 0) {
				key->status = dns[k].status;
				key->text = slice_from(dns[k].text);
			}
		}
	}
}

/* With the message in memory of exactly its size. */
static struct inspect_reply verify_bytes(struct slice message, const struct dns *dns, uint64_t now)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 50000, .max_bytes = SIZE_MAX};
	struct dkim_keys *keys = arena_alloc(arena, sizeof *keys);
	struct inspect_reply reply = {.signature_count = 0};
	char *copy = malloc(message.len == 0 ? 1 : message.len);
	memcpy(copy, message.data, message.len);
	headers_parse(&headers, arena, &limits, (struct slice){copy, message.len});
	dkim_keys_collect(arena, &headers, SIGNATURES_MAX, keys);
	resolve(keys, dns);
	dkim_verify_message((struct slice){copy, message.len}, keys, &rules, now, arena, &reply);
	free(copy);
	return reply;
}

static struct inspect_reply verify(const char *text, const struct dns *dns, uint64_t now)
{
	return verify_bytes(slice_from(text), dns, now);
}

static void is_result(const struct inspect_reply *reply, size_t i, enum auth_result expected, const char *problem,
                      const char *name)
{
	const struct inspect_signature *got = i < reply->signature_count ? &reply->signatures[i] : NULL;
	bool good = got != NULL && got->result == expected &&
	            (problem == NULL ? got->problem == NULL : got->problem != NULL && strcmp(got->problem, problem) == 0);
	if (!ok(good, "%s: %s%s%s", name, auth_result_name(expected), problem == NULL ? "" : ", ",
	        problem == NULL ? "" : problem)) {
		diag("got: %s, %s", got == NULL ? "no signature" : auth_result_name(got->result),
		     got == NULL || got->problem == NULL ? "no problem" : got->problem);
	}
}

static struct signer signer_default(void)
{
	return (struct signer){.key = &rsa, .domain = "example.com", .selector = "s", .length = -1, .time = NOW - 60};
}

static const char *sign(const struct signer *signer, const char *text)
{
	return arena_printf(arena, "%s%s", signer_sign(arena, signer, slice_from(text)), text);
}

static const char *replace(const char *text, const char *what, const char *with)
{
	const char *at = strstr(text, what);
	return at == NULL ? "" : arena_printf(arena, "%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
}

static const char not_signed[] = "the header fields, or the key, are not those of the signer";

static void one(const char *text, const struct dns *dns, uint64_t now, enum auth_result expected, const char *problem,
                const char *name)
{
	struct inspect_reply reply = verify(text, dns, now);
	is_int((long long)reply.signature_count, 1, name);
	is_result(&reply, 0, expected, problem, name);
}

static void test_pass(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1; k=rsa; t=y;", rsa.public_key)},
	                          {"ed", DKIM_KEY_FOUND, key_text("v=DKIM1; k=ed25519;", ed25519.public_key)},
	                          {NULL, 0, NULL}};
	struct signer signer = signer_default();
	struct inspect_reply reply = verify(sign(&signer, mail), dns, NOW);
	is_result(&reply, 0, AUTH_PASS, NULL, "relaxed");
	is_text(reply.signatures[0].domain, "example.com", "d=");
	is_text(reply.signatures[0].selector, "s", "s=");
	is_text(reply.signatures[0].algorithm, "rsa-sha256", "a=");
	is_int((long long)strlen(reply.signatures[0].b), 8, "eight characters of b=");
	is_int(reply.signatures[0].key_bits, 2048, "bits of the key");
	ok(reply.signatures[0].testing, "t=y is told");
	signer.simple = true;
	one(sign(&signer, mail), dns, NOW, AUTH_PASS, NULL, "simple");
	one(replace(sign(&signer, mail), "two  words", "two words"), dns, NOW, AUTH_FAIL, not_signed,
	    "simple, a space gone");
	signer.simple = false;
	one(replace(sign(&signer, mail), "two  words", "two words"), dns, NOW, AUTH_PASS, NULL, "relaxed, a space gone");
	one(sign(&signer, "From: a@example.com\r\n\r\n"), dns, NOW, AUTH_PASS, NULL, "no body");
	one(sign(&signer, "From: a@example.com\r\n\r\n8-bit \xff and \x01\r\n"), dns, NOW, AUTH_PASS, NULL,
	    "a body with 8-bit and control bytes");
	signer = (struct signer){.key = &ed25519, .algorithm = SIGNER_ED25519, .domain = "example.com", .selector = "ed"};
	signer.length = -1;
	signer.time = NOW;
	one(sign(&signer, mail), dns, NOW, AUTH_PASS, NULL, "ed25519");
}

static void test_fail(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)}, {NULL, 0, NULL}};
	struct signer signer = signer_default();
	const char *signed_mail = sign(&signer, mail);
	one(replace(signed_mail, "first", "First"), dns, NOW, AUTH_FAIL, "the body was changed", "body");
	one(replace(signed_mail, "anna@", "eve@"), dns, NOW, AUTH_FAIL, not_signed, "From changed");
	one(replace(signed_mail, "\r\n\r\nfirst", "\r\nFrom: eve@example.org\r\n\r\nfirst"), dns, NOW, AUTH_FAIL,
	    not_signed, "a second From at the end");
	one(replace(signed_mail, "d=example.com", "d=example.org"), dns, NOW, AUTH_FAIL, not_signed,
	    "another d= with the same key");
}

static void test_keys(void)
{
	struct signer signer = signer_default();
	const char *text = sign(&signer, mail);
	const struct {
		enum dkim_key_status status;
		const char *record;
		enum auth_result result;
		const char *problem;
	} rows[] = {
	    {DKIM_KEY_TEMPORARY, "", AUTH_TEMPERROR, "the key could not be fetched"},
	    {DKIM_KEY_ABSENT, "", AUTH_PERMERROR, "there is no key"},
	    {DKIM_KEY_TOO_LONG, "", AUTH_PERMERROR, "the key record is too long"},
	    {DKIM_KEY_AMBIGUOUS, "", AUTH_PERMERROR, "there is more than one key record"},
	    {DKIM_KEY_FOUND, "v=DKIM1; p=", AUTH_PERMERROR, "the key is revoked"},
	    {DKIM_KEY_FOUND, key_text("v=DKIM3;", rsa.public_key), AUTH_PERMERROR, "the key record is malformed"},
	    {DKIM_KEY_FOUND, key_text("v=DKIM1; t;", rsa.public_key), AUTH_PERMERROR, "the key record is malformed"},
	    {DKIM_KEY_FOUND, key_text("p=QUJD;", rsa.public_key), AUTH_PERMERROR, "the key record is malformed"},
	    {DKIM_KEY_FOUND, key_text("k=ed25519;", rsa.public_key), AUTH_PERMERROR,
	     "the key is of another type than a= says"},
	    {DKIM_KEY_FOUND, key_text("s=chat;", rsa.public_key), AUTH_PERMERROR, "the key is not for mail"},
	    {DKIM_KEY_FOUND, key_text("s=chat:email;", rsa.public_key), AUTH_PASS, NULL},
	    {DKIM_KEY_FOUND, key_text("s=*;", rsa.public_key), AUTH_PASS, NULL},
	    {DKIM_KEY_FOUND, key_text("h=sha1;", rsa.public_key), AUTH_PERMERROR, "the key is not for sha256"},
	    {DKIM_KEY_FOUND, key_text("h=sha1:sha256; n=a note; x=y;", rsa.public_key), AUTH_PASS, NULL},
	    {DKIM_KEY_FOUND, "v=DKIM1; p=QUJD", AUTH_PERMERROR, "the key cannot be read"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct dns dns[] = {{"s", rows[i].status, rows[i].record}, {NULL, 0, NULL}};
		one(text, dns, NOW, rows[i].result, rows[i].problem, arena_printf(arena, "key %.30s", rows[i].record));
	}
}

static void test_weak(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)},
	                          {"short", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa_short.public_key)},
	                          {NULL, 0, NULL}};
	struct signer signer = signer_default();
	signer.key = &rsa_short;
	signer.selector = "short";
	one(sign(&signer, mail), dns, NOW, AUTH_POLICY, "the key is shorter than 1024 bits", "768 bits");
	signer = signer_default();
	signer.algorithm = SIGNER_RSA_SHA1;
	const char *sha1 = signer_sign(arena, &signer, slice_from(mail));
	one(arena_printf(arena, "%s%s", sha1, mail), dns, NOW, AUTH_PERMERROR, "rsa-sha1 is not accepted", "rsa-sha1");
	const char *forged = arena_printf(arena, "%s%s%s", replace(sha1, "a=rsa-sha1", "a=rsa-sha256"), sha1, mail);
	struct inspect_reply reply = verify(forged, dns, NOW);
	is_int((long long)reply.signature_count, 2, "two fields with the same b=");
	ok(reply.signatures[0].result != AUTH_PASS && reply.signatures[1].result != AUTH_PASS,
	   "an rsa-sha1 signature does not pass behind a field that bears its b= and a better a=");
	forged = arena_printf(arena, "%s%s%s", sha1, replace(sha1, "a=rsa-sha1", "a=rsa-sha256"), mail);
	reply = verify(forged, dns, NOW);
	ok(reply.signatures[0].result != AUTH_PASS && reply.signatures[1].result != AUTH_PASS, "nor in front of it");
	signer = signer_default();
	const char *text = sign(&signer, mail);
	one(replace(text, "h=From:", "h="), dns, NOW, AUTH_PERMERROR, "the From field is not signed", "h= without From");
	one(replace(text, "v=1", "v=2"), dns, NOW, AUTH_PERMERROR, "v= is missing, or not 1", "v=2");
	one(replace(text, "a=rsa-sha256", "a=rsa-md5"), dns, NOW, AUTH_PERMERROR, "the algorithm is not known",
	    "a=rsa-md5");
	one(replace(text, "v=1", "v=1; q=http/get"), dns, NOW, AUTH_PERMERROR, "the signature is malformed", "q= unknown");
	one(replace(text, "v=1", "v=1; v=1"), dns, NOW, AUTH_PERMERROR, "the signature is malformed", "v= twice");
}

/* Fields that the library has a reading of, but that are settled before it, must not be taken for the good one. */
static void test_beside(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)},
	                          {"none", DKIM_KEY_ABSENT, ""},
	                          {"late", DKIM_KEY_TEMPORARY, ""},
	                          {NULL, 0, NULL}};
	static const struct {
		const char *what, *with;
		enum auth_result result;
	} rows[] = {
	    {"v=1", "v=2", AUTH_PERMERROR},
	    {"v=1", "v=1; q=http", AUTH_PERMERROR},
	    {"a=rsa-sha256", "a=rsa-sha1", AUTH_PERMERROR},
	    {"a=rsa-sha256", "a=ed25519-sha256", AUTH_PERMERROR},
	    {"s=s", "s=none", AUTH_PERMERROR},
	    {"s=s", "s=late", AUTH_TEMPERROR},
	    {"v=1", "v=1; x=1700000001; y=", AUTH_FAIL},
	    {"v=1", "v=1; l=0", AUTH_FAIL},
	    {"v=1", "v=1; z=", AUTH_FAIL},
	    {"d=example.com", "d=example.org", AUTH_FAIL},
	    {"bh=", "bh=A", AUTH_PERMERROR},
	};
	struct signer signer = signer_default();
	const char *good = signer_sign(arena, &signer, slice_from(mail));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *other = replace(good, rows[i].what, rows[i].with);
		struct inspect_reply reply = verify(arena_printf(arena, "%s%s%s", other, good, mail), dns, NOW);
		ok(reply.signatures[0].result == rows[i].result, "%s above: %s", rows[i].with,
		   auth_result_name(reply.signatures[0].result));
		is_result(&reply, 1, AUTH_PASS, NULL, arena_printf(arena, "the good one below %s", rows[i].with));
		reply = verify(arena_printf(arena, "%s%s%s", good, other, mail), dns, NOW);
		is_result(&reply, 0, AUTH_PASS, NULL, arena_printf(arena, "the good one above %s", rows[i].with));
		ok(reply.signatures[1].result == rows[i].result, "%s below: %s", rows[i].with,
		   auth_result_name(reply.signatures[1].result));
	}
}

static void test_identity(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)},
	                          {"strict", DKIM_KEY_FOUND, key_text("v=DKIM1; t=s;", rsa.public_key)},
	                          {NULL, 0, NULL}};
	struct signer signer = signer_default();
	signer.identity = "list@sub.example.com";
	struct inspect_reply reply = verify(sign(&signer, mail), dns, NOW);
	is_result(&reply, 0, AUTH_PASS, NULL, "i= below d=");
	is_text(reply.signatures[0].identity, "list@sub.example.com", "i= is told");
	signer.selector = "strict";
	one(sign(&signer, mail), dns, NOW, AUTH_PERMERROR, "i= is not in the signing domain", "i= below d=, t=s");
	signer.identity = "a@example.com";
	one(sign(&signer, mail), dns, NOW, AUTH_PASS, NULL, "i= in d=, t=s");
	signer.selector = "s";
	one(replace(sign(&signer, mail), "i=a@example.com", "i=a@badexample.com"), dns, NOW, AUTH_PERMERROR,
	    "i= is not in the signing domain", "i= elsewhere");
}

/* The canonical body of `mail` has 25 bytes relaxed, 29 simple: empty lines at the end do not count. */
static void test_length(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)}, {NULL, 0, NULL}};
	static const char partly[] = "l= leaves a part of the body unsigned";
	struct signer signer = signer_default();
	signer.length = 25;
	const char *relaxed = sign(&signer, mail);
	one(relaxed, dns, NOW, AUTH_PASS, NULL, "l= is the whole relaxed body");
	one(arena_printf(arena, "%s\r\n \r\n", relaxed), dns, NOW, AUTH_PASS, NULL, "and empty lines behind it");
	one(arena_printf(arena, "%sx\r\n", relaxed), dns, NOW, AUTH_POLICY, partly, "and a line more behind it");
	signer.length = 24;
	one(sign(&signer, mail), dns, NOW, AUTH_POLICY, partly, "l= one byte short");
	signer.length = 0;
	one(sign(&signer, mail), dns, NOW, AUTH_POLICY, partly, "l=0");
	signer.simple = true;
	signer.length = 29;
	one(sign(&signer, mail), dns, NOW, AUTH_PASS, NULL, "l= is the whole simple body");
	signer.length = 28;
	one(sign(&signer, mail), dns, NOW, AUTH_POLICY, partly, "one byte short, simple");
}

static void test_time(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)}, {NULL, 0, NULL}};
	struct signer signer = signer_default();
	signer.time = 1000000000;
	signer.lifetime = 3600;
	const char *text = sign(&signer, mail);
	one(text, dns, 1000000100, AUTH_PASS, NULL, "x= is not over at the request's time");
	one(text, dns, 1000007200, AUTH_POLICY, "the signature has expired", "x= is over");
	one(text, dns, 999990000, AUTH_POLICY, "the signature is from the future", "t= lies ahead");
	signer.lifetime = 0;
	one(sign(&signer, mail), dns, 4000000000, AUTH_PASS, NULL, "no x=, much later");
}

/* The key of RFC 8463 A.2 at every selector. */
static const struct dns dns_own[] = {
    {"own", DKIM_KEY_FOUND, "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}, {NULL, 0, NULL}};

/* A relaxed/relaxed signature over the fields of that h=, made without the library. */
static const char *sign_names(const char *text, const char *names)
{
	struct slice message = slice_from(text);
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 50000, .max_bytes = SIZE_MAX};
	uint8_t digest[CANON_DIGEST_SIZE];
	struct strbuf data;
	size_t body = headers_parse(&headers, arena, &limits, message);
	canon_body((struct slice){message.data + body, message.len - body}, CANON_RELAXED, UINT64_MAX, digest);
	const char *value = arena_printf(
	    arena, " v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=own; h=%s;\r\n bh=%s; b=", names,
	    dkim_base64_encode(arena, (struct slice){(const char *)digest, sizeof digest}));
	strbuf_init(&data, arena);
	canon_fields(&data, arena, &headers, slice_from(names), CANON_RELAXED);
	canon_signature(&data, SLICE_LITERAL("DKIM-Signature"), slice_from(value), CANON_RELAXED);
	return arena_printf(arena, "DKIM-Signature:%s%s\r\n", value,
	                    dkim_private_key_sign(own_key, (struct slice){data.data, data.len}, arena));
}

static const char *sign_own(const char *text)
{
	return sign_names(text, "From:To");
}

/* libopendkim does not sign with U-labels. (t/e2e/eai.t has a signer that shares no code with the verifier.) */
static const char *sign_here(const struct signer *signer, const char *text)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 100, .max_bytes = SIZE_MAX};
	size_t at = headers_parse(&headers, arena, &limits, slice_from(text));
	enum canon canon = signer->simple ? CANON_SIMPLE : CANON_RELAXED;
	uint8_t hash[CANON_DIGEST_SIZE];
	struct strbuf data;
	canon_body(slice_from(text + at), canon, signer->length < 0 ? UINT64_MAX : (uint64_t)signer->length, hash);
	const char *word = signer->simple ? "simple" : "relaxed";
	const char *algorithm = signer->algorithm == SIGNER_ED25519 ? "ed25519-sha256" : "rsa-sha256";
	const char *identity = signer->identity == NULL ? "" : arena_printf(arena, " i=%s;", signer->identity);
	const char *length = signer->length < 0 ? "" : arena_printf(arena, " l=%lld;", (long long)signer->length);
	const char *value =
	    arena_printf(arena, " v=1; a=%s; c=%s/%s; d=%s; s=%s; t=%llu;%s%s\r\n\th=From:To:Subject; bh=%s; b=", algorithm,
	                 word, word, signer->domain, signer->selector, (unsigned long long)signer->time, identity, length,
	                 dkim_base64_encode(arena, (struct slice){(const char *)hash, sizeof hash}));
	strbuf_init(&data, arena);
	canon_fields(&data, arena, &headers, SLICE_LITERAL("From:To:Subject"), canon);
	canon_signature(&data, SLICE_LITERAL("DKIM-Signature"), slice_from(value), canon);
	struct dkim_private_key *key = dkim_private_key_create(slice_from(signer->key->private_key));
	const char *b = dkim_private_key_sign(key, (struct slice){data.data, data.len}, arena);
	dkim_private_key_destroy(key);
	return arena_printf(arena, "DKIM-Signature:%s%s\r\n%s", value, b, text);
}

/* RFC 8616 5: d=, s= and i= in U-labels, signed as they stand. */
static void test_utf8(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)},
	                          {"short", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa_short.public_key)},
	                          {"xn--sch-hoa", DKIM_KEY_FOUND, key_text("v=DKIM1; t=s:y;", rsa.public_key)},
	                          {"ed", DKIM_KEY_FOUND, key_text("v=DKIM1; k=ed25519;", ed25519.public_key)},
	                          {"bad", DKIM_KEY_FOUND, "v=DKIM1; p=QUJD"},
	                          {NULL, 0, NULL}};
	static const char u_mail[] = "From: M\xc3\xbcller <m\xc3\xbcller@b\xc3\xbc"
	                             "cher.example>\r\nTo: bob@example.net\r\n"
	                             "Subject: zwei  W\xc3\xb6rter\r\n\r\nerste \xc3\xbc\r\n\r\n";
	struct signer signer = signer_default();
	signer.domain = "b\xc3\xbc"
	                "cher.example";
	struct inspect_reply reply = verify(sign_here(&signer, u_mail), dns, NOW);
	is_result(&reply, 0, AUTH_PASS, NULL, "d= in U-labels");
	is_text(reply.signatures[0].domain, "xn--bcher-kva.example", "is told in A-labels");
	is_int(reply.signatures[0].key_bits, 2048, "bits of the key");
	const char *text = sign_here(&signer, u_mail);
	one(replace(text, "zwei  W", "zwei W"), dns, NOW, AUTH_PASS, NULL, "relaxed, a space gone");
	one(replace(text, "erste", "Erste"), dns, NOW, AUTH_FAIL, "the body was changed", "the body");
	one(replace(text, "zwei", "drei"), dns, NOW, AUTH_FAIL, not_signed, "the header");
	one(replace(text, "d=b\xc3\xbc", "d=bu\xcc\x88"), dns, NOW, AUTH_FAIL, not_signed,
	    "the same domain in another form");
	one(replace(text, "s=s;", "s=bad;"), dns, NOW, AUTH_PERMERROR, "the key cannot be read", "no key");
	one(replace(text, "bh=", "bh=="), dns, NOW, AUTH_PERMERROR, "bh= is missing, or no hash of its algorithm", "bh=");
	one(replace(text, "c=relaxed/relaxed", "c=relaxed/x"), dns, NOW, AUTH_PERMERROR,
	    "the canonicalization is not known", "c=");
	one(replace(text, "v=1;", "v=1; y=\xff;"), dns, NOW, AUTH_PERMERROR, "the signature is malformed", "no UTF-8");
	one(replace(text,
	            "d=b\xc3\xbc"
	            "cher",
	            "d=b\xc3"
	            "cher"),
	    dns, NOW, AUTH_PERMERROR, "the signature is malformed", "d= is no UTF-8");
	one(text, dns, NOW - 7200, AUTH_POLICY, "the signature is from the future", "t=");
	signer.simple = true;
	one(sign_here(&signer, u_mail), dns, NOW, AUTH_PASS, NULL, "simple");
	one(replace(sign_here(&signer, u_mail), "zwei  W", "zwei W"), dns, NOW, AUTH_FAIL, not_signed,
	    "simple, a space gone");
	signer.simple = false;
	signer.length = 10;
	one(sign_here(&signer, u_mail), dns, NOW, AUTH_PASS, NULL, "l= is the whole body");
	signer.length = 9;
	one(sign_here(&signer, u_mail), dns, NOW, AUTH_POLICY, "l= leaves a part of the body unsigned", "l= is less");
	signer.length = -1;
	signer.selector = "s\xc3\xbc"
	                  "ch";
	signer.identity = "m\xc3\xbcller@B\xc3\x9c"
	                  "CHER.example";
	reply = verify(sign_here(&signer, u_mail), dns, NOW);
	is_result(&reply, 0, AUTH_PASS, NULL, "s= and i= too, t=s");
	is_text(reply.signatures[0].selector, "xn--sch-hoa", "s= is told in A-labels");
	signer.identity = "a@sub.b\xc3\xbc"
	                  "cher.example";
	one(sign_here(&signer, u_mail), dns, NOW, AUTH_PERMERROR, "i= is not in the signing domain", "i= below d=, t=s");
	signer = signer_default();
	signer.domain = "xn--bcher-kva.example";
	signer.identity = "m=C3=BCller@B=C3=BCcher.example";
	one(sign_here(&signer, u_mail), dns, NOW, AUTH_PASS, NULL, "i= in quoted-printable, d= in A-labels");
	signer = (struct signer){.key = &ed25519,
	                         .algorithm = SIGNER_ED25519,
	                         .domain = "b\xc3\xbc"
	                                   "cher.example",
	                         .selector = "ed"};
	signer.length = -1;
	signer.time = NOW;
	const char *ed = sign_here(&signer, u_mail);
	one(ed, dns, NOW, AUTH_PASS, NULL, "ed25519");
	signer = signer_default();
	reply = verify(sign_here(&signer, ed), dns, NOW);
	is_result(&reply, 0, AUTH_PASS, NULL, "an ASCII signature above it");
	is_result(&reply, 1, AUTH_PASS, NULL, "and it");
	one(replace(sign(&signer, u_mail), "zwei", "drei"), dns, NOW, AUTH_FAIL, not_signed, "an ASCII signature alone");
	const char *both = arena_printf(arena, "%s%s", signer_sign(arena, &signer, slice_from(u_mail)), ed);
	reply = verify(both, dns, NOW);
	is_result(&reply, 0, AUTH_PASS, NULL, "libopendkim's signature above one that libopendkim does not take");
	is_result(&reply, 1, AUTH_PASS, NULL, "and that one");
	reply = verify(replace(both, "h=From:To", "h=DKIM-Signature:From:To"), dns, NOW);
	is_result(&reply, 0, AUTH_FAIL, not_signed, "h= changed");
	signer.domain = "b\xc3\xbc"
	                "cher.example";
	signer.key = &rsa_short;
	signer.selector = "short";
	one(sign_here(&signer, u_mail), dns, NOW, AUTH_POLICY, "the key is shorter than 1024 bits", "768 bits");
}

static void test_bounds(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("v=DKIM1;", rsa.public_key)}, {NULL, 0, NULL}};
	struct signer signer = signer_default();
	const char *field = signer_sign(arena, &signer, slice_from(mail));
	const char *text = arena_printf(arena, "%s%s", field, mail);
	struct strbuf many;
	strbuf_init(&many, arena);
	for (int i = 0; i < 12; i++) {
		strbuf_add_text(&many, field);
	}
	strbuf_add_text(&many, mail);
	struct inspect_reply reply = verify(many.data, dns, NOW);
	is_int((long long)reply.signature_count, SIGNATURES_MAX, "of 12 signatures eight are verified");
	is_result(&reply, 0, AUTH_PASS, NULL, "the first");
	is_result(&reply, 7, AUTH_PASS, NULL, "the eighth");
	strbuf_init(&many, arena);
	strbuf_add_text(&many, sign_names(mail, "From:DKIM-Signature:DKIM-Signature"));
	for (int i = 0; i < 8; i++) {
		strbuf_add_text(&many, "DKIM-Signature: v=1\r\n");
	}
	strbuf_add_text(&many, mail);
	reply = verify(many.data, dns_own, NOW);
	is_result(&reply, 0, AUTH_POLICY, "it signs DKIM-Signature fields, of which there are too many",
	          "a signature over more signatures than are looked at");
	strbuf_init(&many, arena);
	strbuf_add_text(&many, field);
	strbuf_add(&many, mail, strlen(mail) - strlen(strstr(mail, "\r\n\r\n")) + 2);
	for (int i = 0; i < 20001; i++) {
		strbuf_add_text(&many, "X: y\r\n");
	}
	strbuf_add_text(&many, strstr(mail, "\r\n\r\n") + 2);
	one(many.data, dns, NOW, AUTH_PERMERROR, "the message has too many header fields", "20,000 fields");
	strbuf_init(&many, arena);
	strbuf_add_text(&many, text);
	for (int i = 0; i < 300000; i++) {
		strbuf_add_text(&many, "longer");
	}
	one(many.data, dns, NOW, AUTH_FAIL, "the body was changed", "a line of 1.8 MB more");
	const char *long_line = arena_printf(arena, "From: a@x.example\r\nSubject: %s\r\n\r\n%s",
	                                     many.data + many.len - 1800000, many.data + many.len - 1800000);
	one(arena_printf(arena, "%s%s", sign_names(long_line, "From:Subject"), long_line), dns_own, NOW, AUTH_PASS, NULL,
	    "lines of 1.8 MB in header and body");
	one(arena_printf(arena, "%s%sr", sign_names(long_line, "From:Subject"), long_line), dns_own, NOW, AUTH_FAIL,
	    "the body was changed", "and a letter more");
	char *nul = arena_strdup(arena, replace(text, "two  words", "two # words"));
	*strchr(nul, '#') = '\0';
	reply = verify_bytes((struct slice){nul, strlen(text) + 1}, dns, NOW);
	is_result(&reply, 0, AUTH_FAIL, not_signed, "a NUL in the header");
	reply = verify_bytes((struct slice){"", 0}, dns, NOW);
	is_int((long long)reply.signature_count, 0, "an empty message");
}

/* Keys of every size, as the RFCs write them (RFC 6376 3.6.1: RSAPublicKey) and as everybody does. */
static void test_key_sizes(void)
{
	static const struct {
		unsigned bits;
		enum auth_result result;
		const char *problem;
	} rows[] = {
	    {1023, AUTH_POLICY, "the key is shorter than 1024 bits"},
	    {1024, AUTH_PASS, NULL},
	    {2048, AUTH_PASS, NULL},
	    {4096, AUTH_PASS, NULL},
	    {5816, AUTH_PASS, NULL}, /* the longest that libopendkim takes */
	    {5824, AUTH_PASS, NULL}, /* without it */
	    {8192, AUTH_PASS, NULL},
	    {8208, AUTH_PERMERROR, "the key is too long for this verifier, which takes up to 8192 bits"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct signer_key key = signer_key_create(arena, rows[i].bits);
		struct signer signer = signer_default();
		const char *long_key = key_text(
		    "v=DKIM1; k=rsa; n=a long note that the library would take for a part of the key;", key.public_key);
		const struct dns dns[] = {{"s", DKIM_KEY_FOUND, long_key}, {NULL, 0, NULL}};
		signer.key = &key;
		const char *text = sign(&signer, mail);
		struct inspect_reply reply = verify(text, dns, NOW);
		is_result(&reply, 0, rows[i].result, rows[i].problem, arena_printf(arena, "%u bits", rows[i].bits));
		is_int(reply.signatures[0].key_bits, rows[i].bits, "its size is told");
		if (rows[i].result == AUTH_PASS) {
			one(replace(text, "first", "First"), dns, NOW, AUTH_FAIL, "the body was changed", "with another body");
			one(replace(text, "anna@", "eve@"), dns, NOW, AUTH_FAIL, not_signed, "with another From");
		}
	}
	rules.key_bits_min = 2048;
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("", rsa.public_key)},
	                          {"short", DKIM_KEY_FOUND, key_text("", rsa_1024.public_key)},
	                          {"ed", DKIM_KEY_FOUND, key_text("k=ed25519;", ed25519.public_key)},
	                          {NULL, 0, NULL}};
	struct signer signer = signer_default();
	one(sign(&signer, mail), dns, NOW, AUTH_PASS, NULL, "key_bits_min = 2048, 2048 bits");
	signer.key = &rsa_1024;
	signer.selector = "short";
	one(sign(&signer, mail), dns, NOW, AUTH_POLICY, "the key is shorter than 2048 bits", "and 1024 bits");
	signer.key = &ed25519;
	signer.algorithm = SIGNER_ED25519;
	signer.selector = "ed";
	one(sign(&signer, mail), dns, NOW, AUTH_PASS, NULL, "ed25519 is not measured by it");
	rules.key_bits_min = 1024;
}

/* RFC 8017 A.1.1 within the SubjectPublicKeyInfo: what stands behind its bit string's header. */
static const char *bare_key(const char *public_key)
{
	struct slice bytes = {NULL, 0};
	dkim_base64_decode(arena, slice_from(public_key), &bytes);
	return dkim_base64_encode(arena, (struct slice){bytes.data + 24, bytes.len - 24});
}

static void test_bare_key(void)
{
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("", bare_key(rsa.public_key))}, {NULL, 0, NULL}};
	struct signer signer = signer_default();
	one(sign(&signer, mail), dns, NOW, AUTH_PASS, NULL, "an RSAPublicKey");
	one(replace(sign(&signer, mail), "anna@", "eve@"), dns, NOW, AUTH_FAIL, not_signed,
	    "an RSAPublicKey, From changed");
}

/* Changes that leave every signed byte as it was, and make another message of it (RFC 6376 3.8, 5.4 and 8.15). */
static void test_from(void)
{
	static const char many[] = "the message has more than one From field";
	const struct dns dns[] = {{"s", DKIM_KEY_FOUND, key_text("", rsa.public_key)}, {NULL, 0, NULL}};
	struct signer signer = signer_default();
	const char *field = signer_sign(arena, &signer, slice_from(mail));
	static const struct {
		const char *before, *from, *after;
		enum auth_result result;
		const char *problem;
	} rows[] = {
	    {"", "From: Anna <anna@example.com>\r\n", "", AUTH_PASS, NULL},
	    {"From: eve@example.org\r\n", "From: Anna <anna@example.com>\r\n", "", AUTH_POLICY, many},
	    {"from:\r\n", "From: Anna <anna@example.com>\r\n", "", AUTH_POLICY, many},
	    {"FROM : eve@example.org\r\n", "From: Anna <anna@example.com>\r\n", "", AUTH_POLICY, many},
	    {"From\t: eve@example.org\r\n", "From: Anna <anna@example.com>\r\n", "", AUTH_POLICY, many},
	    {"", "From: Anna <anna@example.com>\r\n", "From: eve@example.org\r\n", AUTH_FAIL, not_signed},
	    {"", "From: Anna <anna@example.com>\r\n", "From : eve@example.org\r\n", AUTH_FAIL, not_signed},
	    {"", "From: Anna <anna@example.com>\r\n", "From:\r\n", AUTH_FAIL, not_signed},
	    {"", "From: Anna <anna@example.com>\r\n", "Resent-From: eve@example.org\r\n", AUTH_PASS, NULL},
	    {"", "from :  Anna\r\n  <anna@example.com> \r\n", "", AUTH_PASS, NULL},
	    {"", "", "", AUTH_FAIL, not_signed},
	    {"", "From:\r\n", "", AUTH_FAIL, not_signed},
	    {"", "Fromm: Anna <anna@example.com>\r\n", "", AUTH_FAIL, not_signed},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *text =
		    arena_printf(arena, "%s%s%s%s%s", field, rows[i].before, rows[i].from, rows[i].after, strstr(mail, "To:"));
		const char *name = arena_printf(arena, "From %zu", i);
		one(text, dns, NOW, rows[i].result, rows[i].problem, name);
		if (rows[i].before[0] != '\0') {
			text = arena_printf(arena, "%s%s%s%s%s", rows[i].before, field, rows[i].from, rows[i].after,
			                    strstr(mail, "To:"));
			one(text, dns, NOW, rows[i].result, rows[i].problem, arena_printf(arena, "%s, above the signature", name));
		}
	}
	static const char *const odd[] = {"",
	                                  " ",
	                                  " Anna",
	                                  " undisclosed recipients:;",
	                                  " a@b@c",
	                                  " <>",
	                                  " a@[192.0.2.1]",
	                                  " a@x.example, b@y.example",
	                                  " \xc3\xa9@\xc3\xa9.example",
	                                  " \"",
	                                  " ((((",
	                                  " <"};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		const char *message = arena_printf(arena, "From:%s\r\nTo: b\r\n\r\nbody\r\n", odd[i]);
		one(arena_printf(arena, "%s%s", sign_own(message), message), dns_own, NOW, AUTH_PASS, NULL,
		    arena_printf(arena, "From:%s: signed as it is", odd[i]));
	}
	one(arena_printf(arena, "%s%s", sign_own("To: b\r\n\r\nbody\r\n"), "To: b\r\n\r\nbody\r\n"), dns_own, NOW,
	    AUTH_POLICY, "the message has no From field", "no From, signed as missing");
}

/* h= and what is done to the fields it names. */
static void test_signed_fields(void)
{
	static const char base[] = "From: a@x.example\r\nReceived: 1\r\nReceived: 2\r\nX-A:\r\n\r\nbody\r\n";
	static const struct {
		const char *names, *what, *with;
		enum auth_result result;
	} rows[] = {
	    {"From:Received", "Received: 1", "Received: 3", AUTH_PASS}, /* 5.4.2: the last one first */
	    {"From:Received", "Received: 2", "Received: 3", AUTH_FAIL},
	    {"From:Received:Received", "Received: 1", "Received: 3", AUTH_FAIL},
	    {"From:Received:Received", "Received: 1\r\n", "Received: 0\r\nReceived: 1\r\n", AUTH_PASS},
	    {"From:Received:Received:Received", "Received: 1\r\n", "Received: 0\r\nReceived: 1\r\n", AUTH_FAIL},
	    {"From:Received:Received:Received", "Received: 1", "Received: 1", AUTH_PASS},
	    {"From:From:Subject", "X-A:", "Subject: new\r\nX-A:", AUTH_FAIL}, /* oversigned, then added */
	    {"From:From:Subject", "X-A:", "Subject:\r\nX-A:", AUTH_FAIL},
	    {"From:From:Subject", "X-A:", "X-A:", AUTH_PASS},
	    {"From:From", "From:", "From: b\r\nFrom:", AUTH_FAIL},
	    {"From:X-A", "X-A:", "X-A: 1", AUTH_FAIL},
	    {"From:X-A", "X-A:\r\n", "", AUTH_FAIL},
	    {"From:X-A", "X-A:\r\n", "X-A: \r\n", AUTH_PASS},   /* relaxed: the same */
	    {"From:DKIM-Signature", "X-A:", "X-A:", AUTH_PASS}, /* itself does not count (5.4) */
	    {"From:DKIM-Signature", "X-A:", "DKIM-Signature: v=1\r\nX-A:", AUTH_FAIL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *field = sign_names(base, rows[i].names);
		struct inspect_reply reply =
		    verify(arena_printf(arena, "%s%s", field, replace(base, rows[i].what, rows[i].with)), dns_own, NOW);
		is_result(&reply, 0, rows[i].result, rows[i].result == AUTH_PASS ? NULL : not_signed,
		          arena_printf(arena, "h=%s, %zu", rows[i].names, i));
	}
	struct strbuf names;
	strbuf_init(&names, arena);
	strbuf_add_text(&names, "From");
	for (int i = 0; i < 1500; i++) {
		strbuf_printf(&names, ":X-%d", i);
	}
	const char *field = sign_names(base, names.data);
	one(arena_printf(arena, "%s%s", field, base), dns_own, NOW, AUTH_PASS, NULL, "h= with 1,500 names");
	one(arena_printf(arena, "%sX-7: 1\r\n%s", field, base), dns_own, NOW, AUTH_FAIL, not_signed, "one of which comes");
}

int main(void)
{
	arena = arena_create(1 << 20);
	rsa = signer_key_create(arena, 2048);
	rsa_1024 = signer_key_create(arena, 1024);
	rsa_short = signer_key_create(arena, 768);
	ed25519 = signer_key_create(arena, 0);
	own_key = dkim_private_key_create(SLICE_LITERAL(
	    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END "
	    "PRIVATE KEY-----\n"));
	ok(dkim_verify_init(), "the verifier starts");
	test_pass();
	test_fail();
	test_keys();
	test_weak();
	test_beside();
	test_identity();
	test_length();
	test_time();
	test_utf8();
	test_bounds();
	test_key_sizes();
	test_bare_key();
	test_from();
	test_signed_fields();
	dkim_private_key_destroy(own_key);
	arena_destroy(arena);
	return done_testing();
}
