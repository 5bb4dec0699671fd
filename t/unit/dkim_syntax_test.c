/* What a signature field and a key record must be before any cryptography (RFC 6376 3.5 and 3.6.1). */
#include "inspect/dkim_record.h"
#include "inspect/dkim_syntax.h"
#include "t/dkim_signer.h"
#include "t/tap.h"

#include <stdint.h>

static struct arena *arena;

/* In memory of exactly its size. */
static const char *problem_of(const char *text)
{
	struct taglist tags;
	size_t n = strlen(text);
	char *copy = malloc(n == 0 ? 1 : n);
	memcpy(copy, text, n);
	struct slice value = {copy, n};
	taglist_parse(value, &tags);
	const char *problem = dkim_syntax_problem(arena, value, &tags);
	free(copy);
	return problem;
}

#define START "v=1; a=rsa-sha256; d=example.com; s=s; "
#define HASH "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define END HASH "; b=QUJD"

static const char malformed[] = "the signature is malformed";
static const char no_base64[] = "b= is missing, or no base64";
static const char no_hash[] = "bh= is missing, or no hash of its algorithm";
static const char no_number[] = "l=, t= or x= is no number";
static const char no_version[] = "v= is missing, or not 1";
static const char no_from[] = "the From field is not signed";
static const char no_canon[] = "the canonicalization is not known";

static const struct {
	const char *value, *problem;
} signatures[] = {
    {START "h=from; " END, NULL},
    {START "h=from; " END ";", NULL},
    {START "h=from; " END " ; ", NULL},
    {" v = 1 ;\r\n\ta\r\n = rsa-sha256;\r\n d=example.com; s=s; h = from : to\r\n :subject; " END, NULL},
    {START "h=FROM:To; " END, NULL},
    {START "h=to:from:from; " END, NULL},
    {START "h=from:dkim-signature; " END, NULL},
    {START "h=from; z=From:a=20b|To:c; x_new=1; " END, NULL},
    {START "h=from; z=; " END, NULL},
    {"a=RSA-SHA256; v=1; d=example.com; s=s; h=from; " END, NULL},
    {"v=1; a=ed25519-sha256; d=example.com; s=s; h=from; " END, NULL},
    {START "d2=\xc3\xa9; h=from; " END, NULL},
    {START "h=from; " HASH "; b=QU JD\r\n QU==", NULL},
    /* lists of tags */
    {"", malformed},
    {";", malformed},
    {START "h=from;; " END, malformed},
    {START "h=from; x; " END, malformed},
    {START "h=from; =x; " END, malformed},
    {START "h=from; 1x=y; " END, malformed},
    {START "h=from; h=from; " END, malformed},
    {START "h=from; d=example.com; " END, malformed},
    {START END, malformed},
    {START "h=from; x-new=1; " END, malformed},
    {START "H=from; " END, malformed},
    {START "h=from; x_new=\x01; " END, malformed},
    {START "h=from; x_new=\x7f; " END, malformed},
    {START "h=from; x_new=a\rb; " END, malformed},
    {START "h=from; x_new=a\nb; " END, malformed},
    {START "h=from; x_new=a\n b; " END, malformed},
    {START "h=from; x_new=a\vb; " END, malformed},
    /* h= */
    {START "h=; " END, malformed},
    {START "h=from:; " END, malformed},
    {START "h=:from; " END, malformed},
    {START "h=from::to; " END, malformed},
    {START "h=from to; " END, malformed},
    {START "h=to:subject; " END, no_from},
    {START "h=fromage:x-from; " END, no_from},
    /* v= and a= */
    {"a=rsa-sha256; d=example.com; s=s; h=from; " END, no_version},
    {"v=; a=rsa-sha256; d=example.com; s=s; h=from; " END, no_version},
    {"v=2; a=rsa-sha256; d=example.com; s=s; h=from; " END, no_version},
    {"v=1.0; a=rsa-sha256; d=example.com; s=s; h=from; " END, no_version},
    {"v=01; a=rsa-sha256; d=example.com; s=s; h=from; " END, no_version},
    {"v=1 (one); a=rsa-sha256; d=example.com; s=s; h=from; " END, no_version},
    {"v=1; d=example.com; s=s; h=from; " END, "a= is missing"},
    {"v=1; a=; d=example.com; s=s; h=from; " END, "a= is missing"},
    {"v=1; a=rsa-sha1; d=example.com; s=s; h=from; " END, "rsa-sha1 is not accepted"},
    {"v=1; a=RSA-Sha1; d=example.com; s=s; h=from; " END, "rsa-sha1 is not accepted"},
    {"v=1; a=rsa-sha512; d=example.com; s=s; h=from; " END, "the algorithm is not known"},
    {"v=1; a=ed25519-sha1; d=example.com; s=s; h=from; " END, "the algorithm is not known"},
    {"v=1; a=rsa; d=example.com; s=s; h=from; " END, "the algorithm is not known"},
    /* c= */
    {START "h=from; c=simple; " END, NULL},
    {START "h=from; c=relaxed; " END, NULL},
    {START "h=from; c=relaxed/simple; " END, NULL},
    {START "h=from; c=simple/relaxed; " END, NULL},
    {START "h=from; c=Relaxed/Relaxed; " END, NULL},
    {START "h=from; c=; " END, no_canon},
    {START "h=from; c=nowsp; " END, no_canon},
    {START "h=from; c=relaxed/; " END, no_canon},
    {START "h=from; c=/relaxed; " END, no_canon},
    {START "h=from; c=relaxed/relaxed/relaxed; " END, no_canon},
    /* l=, t=, x= */
    {START "h=from; l=0; " END, NULL},
    {START "h=from; l=99999999999999999999999999; " END, NULL},
    {START "h=from; l=; " END, no_number},
    {START "h=from; l=-1; " END, no_number},
    {START "h=from; l=0x10; " END, no_number},
    {START "h=from; l=1 0; " END, no_number},
    {START "h=from; t=1; x=2; " END, NULL},
    {START "h=from; t=999999999998; x=999999999999; " END, NULL},
    {START "h=from; x=1; " END, NULL},
    {START "h=from; t=1000000000000; " END, no_number},
    {START "h=from; t=now; " END, no_number},
    {START "h=from; x=1.5; " END, no_number},
    {START "h=from; t=2; x=2; " END, "x= is not later than t="},
    {START "h=from; t=2; x=1; " END, "x= is not later than t="},
    /* b= and bh= */
    {START "h=from; " HASH, no_base64},
    {START "h=from; " HASH "; b=", no_base64},
    {START "h=from; " HASH "; b= \r\n ", no_base64},
    {START "h=from; " HASH "; b=QUJ!", no_base64},
    {START "h=from; " HASH "; b=QUJD!", no_base64},
    {START "h=from; " HASH "; b=QU=D", no_base64},
    {START "h=from; " HASH "; b=Q", no_base64},
    {START "h=from; " HASH "; b=QUJD====", no_base64},
    {START "h=from; " HASH "; b=QUJD QU_-", no_base64},
    {START "h=from; b=QUJD", no_hash},
    {START "h=from; bh=; b=QUJD", no_hash},
    {START "h=from; bh=QUJD; b=QUJD", no_hash},
    {START "h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA; b=QUJD", no_hash},
    {START "h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF!=; b=QUJD", no_hash},
};

static void test_signatures(void)
{
	for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
		const char *name = text_escape(arena, slice_from(signatures[i].value), "", false, 90);
		is_text(problem_of(signatures[i].value), signatures[i].problem, name);
	}
	struct strbuf many;
	strbuf_init(&many, arena);
	strbuf_add_text(&many, START "h=from");
	for (int i = 0; i < 10000; i++) {
		strbuf_add_text(&many, ":x");
	}
	strbuf_add_text(&many, "; " END);
	is_text(problem_of(many.data), NULL, "h= with 10,000 names");
	for (int i = 0; i < 70; i++) {
		strbuf_printf(&many, "; x%d=", i);
	}
	is_text(problem_of(many.data), malformed, "more than 64 tags");
}

static void test_numbers(void)
{
	struct taglist tags;
	taglist_parse(SLICE_LITERAL("l=99999999999999999999999999; t=1700000000; x="), &tags);
	ok(dkim_syntax_number(arena, &tags, "l", 7) == UINT64_MAX, "a number that does not fit is the largest");
	ok(dkim_syntax_number(arena, &tags, "t", 7) == 1700000000, "a number");
	ok(dkim_syntax_number(arena, &tags, "y", 7) == 7, "none: the fallback");
}

static const char bad_record[] = "the key record is malformed";
static const char revoked[] = "the key is revoked";
static const char other_type[] = "the key is of another type than a= says";
static const char no_mail[] = "the key is not for mail";
static const char no_sha256[] = "the key is not for sha256";
static const char no_key[] = "the key cannot be read";

/* "$" stands for the key. */
static const struct {
	const char *text, *algorithm, *problem;
	bool testing, strict;
} records[] = {
    {"p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; k=rsa; p=$;", "RSA-SHA256", NULL, false, false},
    {" v = DKIM1 ; k = RSA ;\tp = $ ; ", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; g=*; h=sha1:sha256; n=a note; s=*; t=; p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; g=; p=$", "rsa-sha256", NULL, false, false}, /* RFC 6376 C.1: g= is gone */
    {"v=DKIM1; g=else; p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; unknown=tag; p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; t=y; p=$", "rsa-sha256", NULL, true, false},
    {"v=DKIM1; t=s; p=$", "rsa-sha256", NULL, false, true},
    {"v=DKIM1; t = y : s ; p=$", "rsa-sha256", NULL, true, true},
    {"v=DKIM1; t=x:yy; p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; t=y; p=", "rsa-sha256", revoked, true, false},
    {"v=DKIM1; p=; n=$", "rsa-sha256", revoked, false, false},
    {"v=DKIM1; p= ; ", "rsa-sha256", revoked, false, false},
    {"v=DKIM1", "rsa-sha256", revoked, false, false},
    {"k=rsa; v=DKIM1; p=$", "rsa-sha256", bad_record, false, false}, /* 3.6.1: v= MUST be the first */
    {"v=dkim1; p=$", "rsa-sha256", bad_record, false, false},
    {"v=DKIM2; p=$", "rsa-sha256", bad_record, false, false},
    {"v=DKIM1; p=$; p=$", "rsa-sha256", bad_record, false, false},
    {"v=DKIM1; p=$; garbage", "rsa-sha256", bad_record, false, false},
    {"v=DKIM1; k=ed25519; p=$", "rsa-sha256", other_type, false, false},
    {"v=DKIM1; k=rsa; p=$", "ed25519-sha256", other_type, false, false},
    {"v=DKIM1; p=$", "ed25519-sha256", other_type, false, false},
    {"v=DKIM1; k=dsa; p=$", "rsa-sha256", other_type, false, false},
    {"v=DKIM1; k=; p=$", "rsa-sha256", other_type, false, false},
    {"v=DKIM1; s=email; p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; s=chat:*; p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; s=emails; p=$", "rsa-sha256", no_mail, false, false},
    {"v=DKIM1; s=; p=$", "rsa-sha256", no_mail, false, false},
    {"v=DKIM1; h=sha256; p=$", "rsa-sha256", NULL, false, false},
    {"v=DKIM1; h=sha1; p=$", "rsa-sha256", no_sha256, false, false},
    {"v=DKIM1; h=; p=$", "rsa-sha256", no_sha256, false, false},
    {"v=DKIM1; p=QUJD", "rsa-sha256", no_key, false, false},
    {"v=DKIM1; p=!$", "rsa-sha256", no_key, false, false},
    {"v=DKIM1; p=MAA=", "rsa-sha256", no_key, false, false},
    {"v=DKIM1; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "rsa-sha256", no_key, false, false},
    {"v=DKIM1; p=MIQAAAAB", "rsa-sha256", no_key, false, false},
    {"v=DKIM1; p=MAYCAQACAQM=", "rsa-sha256", no_key, false, false}, /* a modulus of nothing */
    {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "ed25519-sha256", NULL, false, false},
    {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUQ==", "ed25519-sha256", no_key, false, false},
    {"v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", "ed25519-sha256", no_key,
     false, false}, /* RFC 8463 4.2: not as SubjectPublicKeyInfo */
};

static void test_records(void)
{
	struct signer_key rsa = signer_key_create(arena, 1024);
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		struct strbuf text;
		strbuf_init(&text, arena);
		for (const char *c = records[i].text; *c != '\0'; c++) {
			strbuf_add_text(&text, *c == '$' ? rsa.public_key : (char[]){*c, '\0'});
		}
		char *copy = malloc(text.len + 1);
		memcpy(copy, text.data == NULL ? "" : text.data, text.len);
		struct dkim_record record;
		dkim_record_read(arena, (struct slice){copy, text.len}, slice_from(records[i].algorithm), &record);
		is_text(record.problem, records[i].problem, arena_printf(arena, "key %s", records[i].text));
		ok(record.testing == records[i].testing && record.strict == records[i].strict, "its flags");
		free(copy);
	}
}

int main(void)
{
	arena = arena_create(1 << 16);
	test_signatures();
	test_numbers();
	test_records();
	arena_destroy(arena);
	return done_testing();
}
