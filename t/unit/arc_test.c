/* ARC: chains that our own sealer and hands have made, changed in every way that should matter, and in some that should
 * not. The public suite is t/suite/arc_suite.c. */
#include "lib/auth/arc.h"
#include "lib/auth/arc_seal.h"
#include "t/tap.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { NOW = 1700000000 };

static struct arena *arena;
static struct dkim_private_key *ed25519;
static const struct header_limits limits = {.max_count = 1000, .max_bytes = 1 << 22};

/* ---- messages ---- */

struct mail {
	struct headers headers;
	const char *body;
};

static struct mail mail_new(void)
{
	struct mail mail = {.headers = {.count = 0}, .body = "Hello.\r\n"};
	headers_add(&mail.headers, arena, &limits, SLICE_LITERAL("From"), SLICE_LITERAL(" a@a.example"));
	headers_add(&mail.headers, arena, &limits, SLICE_LITERAL("Subject"), SLICE_LITERAL(" x"));
	return mail;
}

/* In memory of exactly its size, so that ASan sees reads behind its end; freed by nobody: a test ends soon. */
static void mail_put(struct mail *mail, const char *name, const char *value, bool on_top)
{
	struct strbuf wire;
	strbuf_init(&wire, arena);
	strbuf_add_char(&wire, ' ');
	for (; *value != '\0'; value++) {
		strbuf_add_text(&wire, *value == '\n' ? "\r" : "");
		strbuf_add_char(&wire, *value);
	}
	struct headers all = {.count = 0};
	if (on_top) {
		headers_add(&all, arena, &limits, slice_from(name), (struct slice){wire.data, wire.len});
	}
	for (size_t i = 0; i < mail->headers.count; i++) {
		headers_add(&all, arena, &limits, mail->headers.items[i].name, mail->headers.items[i].value);
	}
	if (!on_top) {
		headers_add(&all, arena, &limits, slice_from(name), (struct slice){wire.data, wire.len});
	}
	mail->headers = all;
}

static enum arc_seal_result mail_seal(struct mail *mail, enum arc_cv cv, const char *domain,
                                      struct dkim_private_key *key)
{
	uint8_t digest[CANON_DIGEST_SIZE];
	struct arc_seal seal;
	canon_body(slice_from(mail->body), CANON_RELAXED, UINT64_MAX, digest);
	struct arc_seal_request request = {.headers = &mail->headers,
	                                   .body_digest = digest,
	                                   .cv = cv,
	                                   .results = "mx.example;\n\tdmarc=pass header.from=a.example",
	                                   .domain = domain,
	                                   .selector = "s",
	                                   .key = key,
	                                   .names = arc_seal_names(arena, &mail->headers),
	                                   .now = NOW,
	                                   .line = ARC_SEAL_LINE};
	enum arc_seal_result result = arc_seal_make(arena, &request, &seal);
	for (enum arc_field field = ARC_RESULTS; result == ARC_SEAL_MADE && field < ARC_FIELD_COUNT; field++) {
		mail_put(mail, arc_field_name(field), seal.values[field], true);
	}
	return result;
}

/* A chain of that many sets, by d1.example, d2.example ... */
static struct mail chain_of(unsigned count)
{
	struct mail mail = mail_new();
	for (unsigned i = 1; i <= count; i++) {
		mail_seal(&mail, i == 1 ? ARC_CV_NONE : ARC_CV_PASS, arena_printf(arena, "d%u.example", i), ed25519);
	}
	return mail;
}

/* ---- verifying ---- */

static const char *record; /* for every name */

static void keys_for(const struct mail *mail, struct arc_keys *keys_r)
{
	arc_keys_collect(arena, &mail->headers, keys_r);
	for (size_t i = 0; i < keys_r->count; i++) {
		keys_r->items[i].status = DKIM_KEY_FOUND;
		keys_r->items[i].text = slice_from(record);
	}
}

static struct arc_verdict verify_with(const struct mail *mail, const struct arc_keys *keys)
{
	struct arc_verdict verdict;
	size_t n = strlen(mail->body);
	char *body = malloc(n == 0 ? 1 : n);
	memcpy(body, mail->body, n);
	arc_verify(arena, &mail->headers, (struct slice){body, n}, keys, NOW, &verdict);
	free(body);
	return verdict;
}

static struct arc_verdict verify(const struct mail *mail)
{
	struct arc_keys *keys = arena_alloc(arena, sizeof *keys);
	keys_for(mail, keys);
	return verify_with(mail, keys);
}

static void fails(struct arc_verdict verdict, const char *problem, const char *name)
{
	bool same = verdict.result == AUTH_FAIL && strstr(verdict.problem, problem) != NULL;
	ok(same, "%s: %s", name, problem);
	if (!same) {
		diag("%s: %s", auth_result_name(verdict.result), verdict.problem == NULL ? "" : verdict.problem);
	}
}

static void test_chains(void)
{
	struct mail mail = chain_of(3);
	struct arc_verdict verdict = verify(&mail);
	ok(verdict.result == AUTH_PASS && verdict.count == 3 && verdict.from_signed, "a chain of three passes");
	is_int(verdict.oldest_pass, 0, "every message signature is valid");
	is_text(verdict.sets[2].domain, "d3.example", "who sealed last");
	ok(verdict.sets[0].cv == ARC_CV_NONE && verdict.sets[1].cv == ARC_CV_PASS, "what they said of the chain");
	ok(verdict.sets[0].result_count == 1 && verdict.sets[0].results[0].result == AUTH_PASS, "what the first one saw");
	is_text(verdict.sets[0].results[0].domain, "a.example", "of whom");
	mail.body = "Goodbye.\r\n";
	fails(verify(&mail), "ARC-Message-Signature i=3: the body was changed", "another body");
	mail_seal(&mail, ARC_CV_PASS, "d4.example", ed25519);
	verdict = verify(&mail);
	ok(verdict.result == AUTH_PASS && verdict.oldest_pass == 4, "changed on its way, and sealed by who changed it");
	mail_put(&mail, "From", "b@b.example", false);
	fails(verify(&mail), "the signature is not valid", "another From");
	mail = mail_new();
	is_int(verify(&mail).result, AUTH_NONE, "no chain");
}

static void test_fifty(void)
{
	struct mail mail = chain_of(ARC_MAX_SETS);
	struct arc_verdict verdict = verify(&mail);
	ok(verdict.result == AUTH_PASS && verdict.count == ARC_MAX_SETS && verdict.oldest_pass == 0, "fifty sets pass");
	struct arc_keys keys;
	arc_keys_collect(arena, &mail.headers, &keys);
	is_int((long long)keys.count, 50, "their keys are asked for");
	is_int(mail_seal(&mail, ARC_CV_PASS, "d51.example", ed25519), ARC_SEAL_FULL, "there is no fifty-first");
	mail_put(&mail, "ARC-Seal", "i=51; cv=pass", true);
	verdict = verify(&mail);
	fails(verdict, "more than 50 sets", "a field more");
	ok(verdict.too_long, "it is too long");
	mail = chain_of(1);
	mail_put(&mail, "ARC-Seal", arena_printf(arena, "i=2; cv=pass; x=%020000d", 0), true);
	verdict = verify(&mail);
	ok(verdict.result == AUTH_FAIL && verdict.too_long, "a field of 20000 bytes is too long");
}

static void test_ends(void)
{
	struct mail mail = chain_of(1);
	mail.body = "Goodbye.\r\n";
	is_int(mail_seal(&mail, ARC_CV_FAIL, "d2.example", ed25519), ARC_SEAL_MADE,
	       "a broken chain is sealed with cv=fail");
	struct arc_verdict verdict = verify(&mail);
	fails(verdict, "the newest seal says cv=fail", "it is over");
	ok(verdict.ended && verdict.count == 2 && verdict.sets[1].cv == ARC_CV_FAIL, "and shows its sets");
	is_int(mail_seal(&mail, ARC_CV_FAIL, "d3.example", ed25519), ARC_SEAL_ENDED, "nothing is added to it");
	struct arc_keys keys;
	arc_keys_collect(arena, &mail.headers, &keys);
	ok(keys.any && keys.count == 0, "nor any key asked for");
	mail = mail_new();
	is_int(mail_seal(&mail, ARC_CV_PASS, "d1.example", ed25519), ARC_SEAL_UNFIT, "cv=pass without a chain is refused");
	mail = chain_of(1);
	is_int(mail_seal(&mail, ARC_CV_NONE, "d2.example", ed25519), ARC_SEAL_UNFIT, "cv=none with one too");
	mail_put(&mail, "ARC-Seal", "i=3; cv=none", true);
	is_int(mail_seal(&mail, ARC_CV_PASS, "d2.example", ed25519), ARC_SEAL_UNFIT, "and cv=pass for one with holes");
}

/* ---- keys ---- */

static void test_key_status(void)
{
	static const struct {
		enum dkim_key_status status;
		enum auth_result result;
		const char *problem;
	} rows[] = {
	    {DKIM_KEY_TEMPORARY, AUTH_TEMPERROR, "the key could not be fetched"},
	    {DKIM_KEY_ABSENT, AUTH_FAIL, "there is no key"},
	    {DKIM_KEY_TOO_LONG, AUTH_FAIL, "the key record is too long"},
	    {DKIM_KEY_AMBIGUOUS, AUTH_FAIL, "there is more than one key record"},
	};
	struct mail mail = chain_of(2);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t k = 0; k < 2; k++) {
			struct arc_keys keys;
			keys_for(&mail, &keys);
			keys.items[k].status = rows[i].status;
			struct arc_verdict verdict = verify_with(&mail, &keys);
			ok(verdict.result == rows[i].result && strstr(verdict.problem, rows[i].problem) != NULL, "key %zu: %s", k,
			   rows[i].problem);
		}
	}
	struct arc_keys keys = {.count = 0};
	is_int(verify_with(&mail, &keys).result, AUTH_TEMPERROR, "keys that were not handed over are temporary");
	keys_for(&mail, &keys);
	keys.items[0].status = keys.items[1].status = DKIM_KEY_TEMPORARY;
	mail.body = "Goodbye.\r\n";
	fails(verify_with(&mail, &keys), "the body was changed",
	      "what is broken whatever the keys are is no matter of DNS");
}

static const char ed25519_public[] = "Q+yBjNdgpKjB6qrq8Wvp7a/JDRcAFIUS3Y//xXXDAfk=";

static void test_key_records(void)
{
	static const struct {
		const char *text, *problem; /* %s: the key; NULL: it is good */
	} rows[] = {
	    {"v=DKIM1; k=ed25519; p=%s", NULL},
	    {"k=ed25519; p=%s; s=email; h=sha256:sha1; t=y:s; n=note; foo=bar", NULL},
	    {"k=ed25519; s=x:*; p=%s;", NULL},
	    {"k=ed25519; p=", "the key is revoked"},
	    {"p=%s", "the key is of another type than a= says"},
	    {"k=rsa; p=%s", "the key is of another type than a= says"},
	    {"k=ed25519; p=%s; s=other", "the key is not for mail"},
	    {"k=ed25519; p=%s; h=sha1", "the key is not for sha256"},
	    {"k=ed25519; v=DKIM1; p=%s", "the key record is malformed"},
	    {"v=DKIM2; k=ed25519; p=%s", "the key record is malformed"},
	    {"k=ed25519; p=%s; p=%s", "the key record is malformed"},
	    {"k=ed25519; p=%sAAAA", "the key cannot be read"},
	    {"k=ed25519; p=!", "the key cannot be read"},
	};
	struct mail mail = chain_of(1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct strbuf text;
		strbuf_init(&text, arena);
		for (const char *c = rows[i].text; *c != '\0'; c++) {
			if (c[0] == '%' && c[1] == 's') {
				strbuf_add_text(&text, ed25519_public);
				c++;
			} else {
				strbuf_add_char(&text, *c);
			}
		}
		record = text.data;
		if (rows[i].problem == NULL) {
			is_int(verify(&mail).result, AUTH_PASS, rows[i].text);
		} else {
			fails(verify(&mail), rows[i].problem, rows[i].text);
		}
	}
}

static struct dkim_private_key *rsa_key(unsigned bits)
{
	char *pem;
	EVP_PKEY *pair = EVP_RSA_gen(bits);
	BIO *out = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(out, pair, NULL, NULL, 0, NULL, NULL);
	size_t n = (size_t)BIO_get_mem_data(out, &pem);
	struct dkim_private_key *key = dkim_private_key_create((struct slice){pem, n});
	BIO_free(out);
	EVP_PKEY_free(pair);
	return key;
}

static void test_rsa(void)
{
	static const struct {
		unsigned bits;
		bool good;
	} rows[] = {{768, false}, {1024, true}, {2048, true}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dkim_private_key *key = rsa_key(rows[i].bits);
		struct mail mail = mail_new();
		mail_seal(&mail, ARC_CV_NONE, "d1.example", key);
		record = arena_printf(arena, "v=DKIM1; p=%s", dkim_private_key_public(key, arena));
		if (rows[i].good) {
			is_int(verify(&mail).result, AUTH_PASS, "an RSA key that is long enough");
		} else {
			fails(verify(&mail), "the key is shorter than 1024 bits", "a short RSA key");
		}
		dkim_private_key_destroy(key);
	}
}

/* ---- sets made by hand ---- */

static const char *sign_value(const struct strbuf *data)
{
	return dkim_private_key_sign(ed25519, (struct slice){data->data, data->len}, arena);
}

/* One set with these tags besides the needed ones; names: h=. */
static struct mail hand_made(const char *message_tags, const char *seal_tags, const char *names)
{
	struct mail mail = mail_new();
	uint8_t digest[CANON_DIGEST_SIZE];
	struct strbuf data;
	canon_body(slice_from(mail.body), CANON_RELAXED, UINT64_MAX, digest);
	const char *bh = dkim_base64_encode(arena, (struct slice){(const char *)digest, sizeof digest});
	const char *results = "i=1; mx.example; none";
	const char *message = arena_printf(arena, "i=1; %s; d=d1.example; s=s; h=%s; bh=%s; b=", message_tags, names, bh);
	strbuf_init(&data, arena);
	canon_fields(&data, arena, &mail.headers, slice_from(names), CANON_RELAXED);
	canon_header(&data, SLICE_LITERAL("ARC-Message-Signature"), slice_from(message), CANON_RELAXED, false);
	message = arena_printf(arena, "%s%s", message, sign_value(&data));
	const char *seal = arena_printf(arena, "i=1; %s; d=d1.example; s=s; b=", seal_tags);
	strbuf_init(&data, arena);
	canon_header(&data, SLICE_LITERAL("ARC-Authentication-Results"), slice_from(results), CANON_RELAXED, true);
	canon_header(&data, SLICE_LITERAL("ARC-Message-Signature"), slice_from(message), CANON_RELAXED, true);
	canon_header(&data, SLICE_LITERAL("ARC-Seal"), slice_from(seal), CANON_RELAXED, false);
	seal = arena_printf(arena, "%s%s", seal, sign_value(&data));
	mail_put(&mail, "arc-authentication-results", results, true);
	mail_put(&mail, "ARC-MESSAGE-SIGNATURE", message, true);
	mail_put(&mail, "ARC-Seal", seal, true);
	return mail;
}

#define A "a=ed25519-sha256"
#define C A "; c=relaxed/relaxed"

static void test_tags(void)
{
	static const struct {
		const char *message, *seal, *names;
		const char *problem; /* NULL: pass */
	} rows[] = {
	    {C, A "; cv=none", "from:subject", NULL},
	    {C "; l=8", A "; cv=none", "from", NULL},
	    {C "; l=7", A "; cv=none", "from", "l= leaves a part of the body unsigned"},
	    {C "; l=x", A "; cv=none", "from", "l= is no number"},
	    {C "; x=1700000001; t=1", A "; cv=none", "from", NULL},
	    {C "; x=1699999999", A "; cv=none", "from", "it has expired"},
	    {C "; x=1800000000; t=1900000000", A "; cv=none", "from", "it has expired"},
	    {C "; x=soon", A "; cv=none", "from", "x= is no time"},
	    {C "; t=1900000000", A "; cv=none; t=1900000000", "from", NULL},
	    {C "; q=dns/txt", A "; cv=none", "from", NULL},
	    {C "; q=x:DNS/TXT", A "; cv=none", "from", NULL},
	    {C "; q=http", A "; cv=none", "from", "q= is not known"},
	    {C "; v=1; z=x", A "; cv=none; x=1; q=http; l=0; c=foo", "from", NULL},
	    {C, A "; cv=none; h=from", "from", "ARC-Seal i=1: it has h="},
	    {C, A "; cv=none; h=", "from", "ARC-Seal i=1: it has h="},
	    {C, A "; cv=None", "from", "does not say cv=none"},
	    {C, A "; cv=pass", "from", "does not say cv=none"},
	    {C, A, "from", "does not say cv=none"},
	    {C, A "; cv=none; t=", "from", "t= is no time"},
	    {C, "a=rsa-sha1; cv=none", "from", "ARC-Seal i=1: the algorithm is not accepted"},
	    {"a=rsa-sha1; c=relaxed/relaxed", A "; cv=none", "from", "Signature i=1: the algorithm is not accepted"},
	    {C, "a=rsa-sha256; cv=none", "from", "of another type"},
	    {C, A "; cv=none", "from: ARC-SEAL :subject", "h= names ARC-Seal"},
	    {A "; c=relaxed/relaxed/x", A "; cv=none", "from", "c= is not known"},
	    {A "; c=Relaxed/relaxed", A "; cv=none", "from", "c= is not known"},
	    {C "; a=ed25519-sha256", A "; cv=none", "from", "the tags are malformed"},
	    {C ";; y=1", A "; cv=none", "from", "the tags are malformed"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mail mail = hand_made(rows[i].message, rows[i].seal, rows[i].names);
		const char *name = arena_printf(arena, "%s | %s | h=%s", rows[i].message, rows[i].seal, rows[i].names);
		if (rows[i].problem == NULL) {
			struct arc_verdict verdict = verify(&mail);
			is_text(verdict.problem, NULL, name);
		} else {
			fails(verify(&mail), rows[i].problem, name);
		}
	}
	struct mail mail = hand_made(C, A "; cv=none", "subject");
	struct arc_verdict verdict = verify(&mail);
	ok(verdict.result == AUTH_PASS && !verdict.from_signed, "a chain that passes need not sign From: that is told");
	mail = hand_made(C, A "; cv=none", "from:subject");
	mail_put(&mail, "From", "b@b.example", true);
	verdict = verify(&mail);
	ok(verdict.result == AUTH_PASS && !verdict.from_signed, "nor a second one");
	struct strbuf many;
	strbuf_init(&many, arena);
	for (int i = 0; i < 600; i++) {
		strbuf_add_text(&many, "x:");
	}
	strbuf_add_text(&many, "from");
	mail = hand_made(C, A "; cv=none", many.data);
	fails(verify(&mail), "h= names too many fields", "601 names");
}

/* ---- structure ---- */

static void test_instances(void)
{
	static const struct {
		const char *value;
		unsigned instance;
		const char *payload;
	} rows[] = {
	    {" i=1; mx.example; none", 1, " mx.example; none"},
	    {"i=50;", 50, ""},
	    {" (a(b)\\)) i (c) =\r\n\t07 (d) ;x", 7, "x"},
	    {"i=0;x", 0, NULL},
	    {"i=51;x", 0, NULL},
	    {"i=001;x", 0, NULL},
	    {"i=1 x;y", 0, NULL},
	    {"i=;x", 0, NULL},
	    {"i=1", 0, NULL},
	    {"I=1;x", 0, NULL},
	    {"mx.example; i=1;", 0, NULL},
	    {"(i=1;x", 0, NULL},
	    {"(\\", 0, NULL},
	    {"", 0, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = strlen(rows[i].value);
		char *copy = malloc(n == 0 ? 1 : n);
		memcpy(copy, rows[i].value, n);
		struct slice payload;
		unsigned instance = arc_results_instance((struct slice){copy, n}, &payload);
		ok(instance == rows[i].instance && (instance == 0 || slice_equal(payload, slice_from(rows[i].payload))),
		   "instance %u", rows[i].instance);
		free(copy);
	}
}

static void test_results(void)
{
	static const struct {
		const char *payload;
		const char *expected; /* "method=result domain ..." */
	} rows[] = {
	    {" mx.example; none", ""},
	    {" mx.example 1; dmarc=pass header.from=a.example", "dmarc=pass a.example "},
	    {" mx.google.com;\r\n dkim=pass header.i=@A.example header.s=s header.b=jq/+=;\r\n spf=pass (google.com: "
	     "domain of "
	     "x@b.example designates 192.0.2.1) smtp.mailfrom=x@b.example;\r\n dmarc=fail (p=NONE dis=NONE) "
	     "header.from=a.example",
	     "dkim=pass a.example spf=pass b.example dmarc=fail a.example "},
	    {"i=1; mx.microsoft.com 1; spf=pass (sender ip is 192.0.2.1) smtp.rcpttodomain=c.example "
	     "smtp.mailfrom=b.example; "
	     "dmarc=pass (p=none) action=none header.from=a.example; arc=none",
	     ""},
	    {" mx.microsoft.com 1; spf=pass (sender ip is 192.0.2.1) smtp.rcpttodomain=c.example smtp.mailfrom=b.example; "
	     "dmarc=pass (p=none) action=none header.from=a.example; arc=none",
	     "spf=pass b.example dmarc=pass a.example "},
	    {" mx; spf=pass smtp.mailfrom=\"x y;z\"@b.example", "spf=pass b.example "},
	    {" mx; spf=pass smtp.mfrom=\"x@b.example\"", "spf=pass b.example "},
	    {" mx; DKIM/1=Pass reason=\"a;b\\\"c\" Header.D=a.example header.i=x@a.example", "dkim=pass a.example "},
	    {" mx; dkim=pass header.d=a.example header.i=@sub.a.example", "dkim=pass a.example "},
	    {" mx; dkim=pass header.i=@sub.a.example header.d=a.example", "dkim=pass a.example "},
	    {" mx; dkim=pass header.i=@a.example header.d=a..example", ""},
	    {" mx; dkim=pass header.i=@a.example header.i=@b.example", ""},
	    {" mx; dmarc=pass header.from=- header.from=a.example", ""},
	    {" mx; dmarc=pass header.from=a.example header.from=\"\"", ""},
	    {" mx; dmarc=pass header.from=a.example header.from=b.example", ""},
	    {" mx; dmarc=pass (header.from=b.example) header.from=a.example;", "dmarc=pass a.example "},
	    {" mx; dmarc=passed header.from=a.example", ""},
	    {" mx; dmarc=pass smtp.from=a.example", ""},
	    {" mx; dmarc=pass header.from=a.example; dmarc", ""},
	    {" mx; dmarc=pass header.from=a.example; x=(", ""},
	    {" mx; dmarc=pass header.from=\"a.example", ""},
	    {" mx x; dmarc=pass header.from=a.example", ""},
	    {"; dmarc=pass header.from=a.example", ""},
	    {"", ""},
	    {" mx; spf=pass smtp.mailfrom=a.example; spf=pass smtp.mailfrom=a.example; spf=pass smtp.mailfrom=a.example; "
	     "spf=pass "
	     "smtp.mailfrom=a.example; spf=pass smtp.mailfrom=a.example",
	     ""},
	};
	static const char *const methods[] = {"dmarc", "spf", "dkim"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arc_result results[4];
		struct strbuf got;
		size_t n = strlen(rows[i].payload);
		char *copy = malloc(n == 0 ? 1 : n);
		memcpy(copy, rows[i].payload, n);
		size_t count = arc_results_read(arena, (struct slice){copy, n}, 4, results);
		strbuf_init(&got, arena);
		for (size_t k = 0; k < count; k++) {
			strbuf_printf(&got, "%s=%s %s ", methods[results[k].method], auth_result_name(results[k].result),
			              results[k].domain);
		}
		is_text(got.data, rows[i].expected, arena_printf(arena, "results %zu", i + 1));
		free(copy);
	}
}

static void test_names(void)
{
	struct mail mail = mail_new();
	mail_put(&mail, "DKIM-Signature", "v=1", true);
	mail_put(&mail, "dkim-signature", "v=1", true);
	mail_put(&mail, "Authentication-Results", "mx; none", true);
	mail_put(&mail, "Received", "from x", true);
	mail_put(&mail, "Return-Path", "<a>", true);
	mail_put(&mail, "ARC-Seal", "i=1", true);
	is_text(arc_seal_names(arena, &mail.headers), "From:From:Subject:DKIM-Signature:DKIM-Signature",
	        "what is signed: each field that is there, From once more, nothing of the way");
}

static void test_keys(void)
{
	struct mail mail = chain_of(3);
	struct arc_keys keys;
	arc_keys_collect(arena, &mail.headers, &keys);
	is_int((long long)keys.count, 3, "each name once");
	is_text(keys.items[0].name, "s._domainkey.d3.example", "from the newest down");
	mail_put(&mail, "ARC-Seal", "i=3; cv=pass", true);
	arc_keys_collect(arena, &mail.headers, &keys);
	ok(keys.any && keys.count == 0, "a chain that cannot be needs no keys");
}

int main(void)
{
	/* The key of t/fuzz/arc_fuzz.c; for tests and nothing else. */
	static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
	                          "MC4CAQAwBQYDK2VwBCIEIONAgI9/l0ZDwSYrUfpeiSOrJnE7y7va+Y4I7RnjNyNo\n"
	                          "-----END PRIVATE KEY-----\n";
	arena = arena_create(65536);
	ed25519 = dkim_private_key_create(slice_from(pem));
	const char *good = arena_printf(arena, "k=ed25519; p=%s", ed25519_public);
	record = good;
	test_chains();
	test_fifty();
	test_ends();
	test_key_status();
	test_tags();
	test_key_records();
	test_rsa();
	test_instances();
	test_results();
	test_names();
	test_keys();
	dkim_private_key_destroy(ed25519);
	arena_destroy(arena);
	return done_testing();
}
