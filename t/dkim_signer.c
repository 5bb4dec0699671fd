#include "t/dkim_signer.h"

#include "lib/mail/header.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <opendkim/dkim.h>
#pragma GCC diagnostic pop

/* dkim_sign() loses an ed25519 key when it is done with it; the verifier, which these tests are about, is not excused.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define LEAKS_EXCUSED() __lsan_disable()
#define LEAKS_COUNTED() __lsan_enable()
#else
#define LEAKS_EXCUSED() ((void)0)
#define LEAKS_COUNTED() ((void)0)
#endif

static void require(bool condition, const char *what)
{
	if (!condition) {
		printf("Bail out! dkim_signer: %s\n", what);
		exit(1);
	}
}

static const char *base64(struct arena *arena, const unsigned char *data, size_t n)
{
	char *out = arena_alloc(arena, n * 2 + 8);
	EVP_EncodeBlock((unsigned char *)out, data, (int)n);
	return out;
}

/* Of more primes where it is long: seconds less, and to a verifier the same. */
static EVP_PKEY *rsa_create(unsigned bits)
{
	EVP_PKEY *pair = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	require(context != NULL && EVP_PKEY_keygen_init(context) == 1 &&
	            EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits) == 1 &&
	            EVP_PKEY_CTX_set_rsa_keygen_primes(context, bits >= 8192 ? 5 : bits >= 4096 ? 4 : 2) == 1,
	        "no RSA");
	EVP_PKEY_generate(context, &pair);
	EVP_PKEY_CTX_free(context);
	return pair;
}

struct signer_key signer_key_create(struct arena *arena, unsigned bits)
{
	struct signer_key key;
	EVP_PKEY *pair = bits == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : rsa_create(bits);
	BIO *memory = BIO_new(BIO_s_mem());
	char *text;
	require(pair != NULL && memory != NULL, "no key");
	require(PEM_write_bio_PrivateKey_traditional(memory, pair, NULL, NULL, 0, NULL, NULL) == 1 ||
	            PEM_write_bio_PrivateKey(memory, pair, NULL, NULL, 0, NULL, NULL) == 1,
	        "no PEM");
	long n = BIO_get_mem_data(memory, &text);
	key.private_key = arena_memdup(arena, text, (size_t)n);
	BIO_free(memory);
	if (bits == 0) {
		unsigned char raw[32];
		size_t size = sizeof raw;
		require(EVP_PKEY_get_raw_public_key(pair, raw, &size) == 1, "no public key");
		key.public_key = base64(arena, raw, size);
	} else {
		unsigned char *der = NULL;
		int size = i2d_PUBKEY(pair, &der);
		require(size > 0, "no public key");
		key.public_key = base64(arena, der, (size_t)size);
		OPENSSL_free(der);
	}
	EVP_PKEY_free(pair);
	return key;
}

static dkim_alg_t algorithm(const struct signer *signer)
{
	switch (signer->algorithm) {
	case SIGNER_RSA_SHA256:
		return DKIM_SIGN_RSASHA256;
	case SIGNER_RSA_SHA1:
		return DKIM_SIGN_RSASHA1;
	case SIGNER_ED25519:
		return DKIM_SIGN_ED25519SHA256;
	}
	return DKIM_SIGN_UNKNOWN;
}

static void feed(DKIM *dkim, struct arena *arena, struct slice message)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 100000, .max_bytes = SIZE_MAX};
	size_t body = headers_parse(&headers, arena, &limits, message);
	for (size_t i = 0; i < headers.count; i++) {
		const struct header *header = &headers.items[i];
		char *field = arena_printf(arena, "%.*s:%.*s", SLICE_ARGS(header->name), SLICE_ARGS(header->value));
		require(dkim_header(dkim, (u_char *)field, strlen(field)) == DKIM_STAT_OK, "a header field");
	}
	require(dkim_eoh(dkim) == DKIM_STAT_OK, "the header");
	if (body < message.len) {
		require(dkim_body(dkim, (u_char *)(uintptr_t)message.data + body, message.len - body) == DKIM_STAT_OK,
		        "the body");
	}
	require(dkim_eom(dkim, NULL) == DKIM_STAT_OK, dkim_geterror(dkim) == NULL ? "the end" : dkim_geterror(dkim));
}

const char *signer_sign(struct arena *arena, const struct signer *signer, struct slice message)
{
	DKIM_LIB *library = dkim_init(NULL, NULL);
	DKIM_STAT status;
	u_char *value;
	size_t size;
	const u_char *fields[] = {(const u_char *)"from", (const u_char *)"to", (const u_char *)"subject", NULL};
	uint64_t now = signer->time;
	uint64_t lifetime = signer->lifetime;
	unsigned flags = signer->length >= 0 ? DKIM_LIBFLAGS_SIGNLEN : 0;
	dkim_canon_t canon = signer->simple ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
	unsigned bits = 0;
	dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &bits, sizeof bits);
	dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
	dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, fields, sizeof(u_char **));
	dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &now, sizeof now);
	if (lifetime > 0) {
		dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_SIGNATURETTL, &lifetime, sizeof lifetime);
	}
	DKIM *dkim = dkim_sign(library, (const u_char *)"test", NULL, (dkim_sigkey_t)(uintptr_t)signer->key->private_key,
	                       (const u_char *)signer->selector, (const u_char *)signer->domain, canon, canon,
	                       algorithm(signer), (ssize_t)signer->length, &status);
	require(dkim != NULL, "dkim_sign");
	if (signer->identity != NULL) {
		dkim_set_signer(dkim, (const u_char *)signer->identity);
	}
	LEAKS_EXCUSED();
	feed(dkim, arena, message);
	LEAKS_COUNTED();
	require(dkim_getsighdr_d(dkim, strlen("DKIM-Signature: "), &value, &size) == DKIM_STAT_OK, "no signature");
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_add_text(&out, "DKIM-Signature: ");
	for (size_t i = 0; i < size; i++) { /* folds come as a bare LF */
		if (value[i] == '\n' && (i == 0 || value[i - 1] != '\r')) {
			strbuf_add_char(&out, '\r');
		}
		strbuf_add_char(&out, (char)value[i]);
	}
	strbuf_add_text(&out, "\r\n");
	dkim_free(dkim);
	dkim_close(library);
	return out.data;
}
