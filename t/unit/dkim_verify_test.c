/* The fences around libopendkim. */
#include "t/dkim_check.h"

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

int main(void)
{
	setup();
	test_pass();
	test_fail();
	test_keys();
	test_weak();
	test_beside();
	test_identity();
	test_length();
	test_time();
	test_bounds();
	return teardown();
}
