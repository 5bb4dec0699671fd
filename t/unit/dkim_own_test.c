/* What libopendkim cannot judge, or is not asked: keys of every size, U-labels, From, and what h= names. */
#include "t/dkim_check.h"

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
	setup();
	test_utf8();
	test_key_sizes();
	test_bare_key();
	test_from();
	test_signed_fields();
	return teardown();
}
