/* dkim_check: what the tests of DKIM's verifier share: messages signed by libopendkim, and by our own canonical form
 * where it would not sign such a message; keys without a DNS. Include in one .c per test program. */
#ifndef MAILREEVE_T_DKIM_CHECK_H
#define MAILREEVE_T_DKIM_CHECK_H

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

static inline const char *key_text(const char *tags, const char *public_key)
{
	return arena_printf(arena, "%s p=%s", tags, public_key);
}

static inline void resolve(struct dkim_keys *keys, const struct dns *dns)
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
static inline struct inspect_reply verify_bytes(struct slice message, const struct dns *dns, uint64_t now)
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

static inline struct inspect_reply verify(const char *text, const struct dns *dns, uint64_t now)
{
	return verify_bytes(slice_from(text), dns, now);
}

static inline void is_result(const struct inspect_reply *reply, size_t i, enum auth_result expected,
                             const char *problem, const char *name)
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

static inline struct signer signer_default(void)
{
	return (struct signer){.key = &rsa, .domain = "example.com", .selector = "s", .length = -1, .time = NOW - 60};
}

static inline const char *sign(const struct signer *signer, const char *text)
{
	return arena_printf(arena, "%s%s", signer_sign(arena, signer, slice_from(text)), text);
}

static inline const char *replace(const char *text, const char *what, const char *with)
{
	const char *at = strstr(text, what);
	return at == NULL ? "" : arena_printf(arena, "%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
}

static const char not_signed[] = "the header fields, or the key, are not those of the signer";

static inline void one(const char *text, const struct dns *dns, uint64_t now, enum auth_result expected,
                       const char *problem, const char *name)
{
	struct inspect_reply reply = verify(text, dns, now);
	is_int((long long)reply.signature_count, 1, name);
	is_result(&reply, 0, expected, problem, name);
}

/* The key of RFC 8463 A.2 at every selector. */
static const struct dns dns_own[] = {
    {"own", DKIM_KEY_FOUND, "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}, {NULL, 0, NULL}};

/* A relaxed/relaxed signature over the fields of that h=, made without the library. */
static inline const char *sign_names(const char *text, const char *names)
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

static inline const char *sign_own(const char *text)
{
	return sign_names(text, "From:To");
}

/* Keys, and the verifier. */
static inline void setup(void)
{
	arena = arena_create(1 << 20);
	rsa = signer_key_create(arena, 2048);
	rsa_1024 = signer_key_create(arena, 1024);
	rsa_short = signer_key_create(arena, 768);
	ed25519 = signer_key_create(arena, 0);
	own_key = dkim_private_key_create(SLICE_LITERAL("-----BEGIN PRIVATE KEY-----\n"
	                                                "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
	                                                "-----END PRIVATE KEY-----\n"));
	ok(dkim_verify_init(), "the verifier starts");
}

static inline int teardown(void)
{
	dkim_private_key_destroy(own_key);
	arena_destroy(arena);
	return done_testing();
}

#endif
