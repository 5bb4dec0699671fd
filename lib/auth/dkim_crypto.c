#include "lib/auth/dkim_crypto.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum { ED25519_KEY_SIZE = 32, SHA256_SIZE = 32, BYTES_MAX = 1 << 20 };

struct dkim_public_key {
	enum dkim_algorithm algorithm;
	EVP_PKEY *key;
};

struct dkim_private_key {
	enum dkim_algorithm algorithm;
	EVP_PKEY *key;
};

const char *dkim_algorithm_name(enum dkim_algorithm algorithm)
{
	switch (algorithm) {
	case DKIM_RSA_SHA256:
		return "rsa-sha256";
	case DKIM_ED25519_SHA256:
		return "ed25519-sha256";
	}
	return NULL;
}

const char *dkim_key_type(enum dkim_algorithm algorithm)
{
	switch (algorithm) {
	case DKIM_RSA_SHA256:
		return "rsa";
	case DKIM_ED25519_SHA256:
		return "ed25519";
	}
	return NULL;
}

bool dkim_algorithm_parse(struct slice text, enum dkim_algorithm *algorithm_r)
{
	for (enum dkim_algorithm algorithm = DKIM_RSA_SHA256; algorithm <= DKIM_ED25519_SHA256; algorithm++) {
		if (slice_equal_nocase(text, slice_from(dkim_algorithm_name(algorithm)))) {
			*algorithm_r = algorithm;
			return true;
		}
	}
	return false;
}

/* ---- base64 ---- */

static bool is_base64(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '+' || c == '/';
}

bool dkim_base64_decode(struct arena *arena, struct slice text, struct slice *bytes_r)
{
	size_t digits = 0;
	while (digits < text.len && is_base64(text.data[digits])) {
		digits++;
	}
	size_t padding = text.len - digits;
	if (text.len % 4 != 0 || text.len > BYTES_MAX || padding > 2 || slice_find(text, '=', 0) != digits ||
	    (padding == 2 && text.data[text.len - 1] != '=')) {
		return false;
	}
	unsigned char *bytes = arena_alloc(arena, text.len / 4 * 3 + 1);
	if (text.len > 0 && EVP_DecodeBlock(bytes, (const unsigned char *)text.data, (int)text.len) < 0) {
		return false;
	}
	*bytes_r = (struct slice){(const char *)bytes, text.len / 4 * 3 - padding};
	return true;
}

char *dkim_base64_encode(struct arena *arena, struct slice bytes)
{
	unsigned char *text = arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);
	EVP_EncodeBlock(text, (const unsigned char *)bytes.data, (int)bytes.len);
	return (char *)text;
}

/* ---- public keys ---- */

static EVP_PKEY *rsa_public(struct slice bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.data;
	const unsigned char *end = at + bytes.len;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)bytes.len);
	if (key == NULL) {
		at = (const unsigned char *)bytes.data;
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)bytes.len);
	}
	if (key != NULL && (at != end || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

struct dkim_public_key *dkim_public_key_create(enum dkim_algorithm algorithm, struct slice bytes)
{
	EVP_PKEY *key = NULL;
	if (bytes.len == 0 || bytes.len > BYTES_MAX) {
		return NULL;
	}
	switch (algorithm) {
	case DKIM_RSA_SHA256:
		key = rsa_public(bytes);
		break;
	case DKIM_ED25519_SHA256:
		if (bytes.len == ED25519_KEY_SIZE) {
			key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)bytes.data, bytes.len);
		}
		break;
	}
	if (key == NULL) {
		return NULL;
	}
	struct dkim_public_key *public_key = malloc(sizeof *public_key);
	if (public_key == NULL) {
		abort();
	}
	*public_key = (struct dkim_public_key){algorithm, key};
	return public_key;
}

void dkim_public_key_destroy(struct dkim_public_key *key)
{
	if (key != NULL) {
		EVP_PKEY_free(key->key);
		free(key);
	}
}

unsigned dkim_public_key_bits(const struct dkim_public_key *key)
{
	return key->algorithm == DKIM_ED25519_SHA256 ? ED25519_KEY_SIZE * 8U : (unsigned)EVP_PKEY_get_bits(key->key);
}

/* What the primitive signs: for RSA the data, which it hashes; ed25519 signs the hash as if it were the message (RFC
 * 8463 3). */
static struct slice to_sign(enum dkim_algorithm algorithm, struct slice data, uint8_t digest[SHA256_SIZE])
{
	if (algorithm == DKIM_RSA_SHA256) {
		return data;
	}
	if (EVP_Digest(data.data, data.len, digest, NULL, EVP_sha256(), NULL) != 1) {
		abort();
	}
	return (struct slice){(const char *)digest, SHA256_SIZE};
}

static const EVP_MD *hash_of(enum dkim_algorithm algorithm)
{
	return algorithm == DKIM_RSA_SHA256 ? EVP_sha256() : NULL;
}

bool dkim_public_key_verify(const struct dkim_public_key *key, struct slice data, struct slice signature)
{
	uint8_t digest[SHA256_SIZE];
	struct slice text = to_sign(key->algorithm, data, digest);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL &&
	            EVP_DigestVerifyInit(context, NULL, hash_of(key->algorithm), NULL, key->key) == 1 &&
	            EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.len,
	                             (const unsigned char *)text.data, text.len) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

/* ---- private keys ---- */

/* A key that asks for a passphrase is not for a daemon: without this, libcrypto would ask at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer, (void)size, (void)writing, (void)context;
	return -1;
}

struct dkim_private_key *dkim_private_key_create(struct slice pem)
{
	BIO *file = pem.len > BYTES_MAX ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
	EVP_PKEY *key = file == NULL ? NULL : PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL);
	BIO_free(file);
	int type = key == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key);
	if (type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519) {
		EVP_PKEY_free(key);
		return NULL;
	}
	struct dkim_private_key *private_key = malloc(sizeof *private_key);
	if (private_key == NULL) {
		abort();
	}
	*private_key = (struct dkim_private_key){type == EVP_PKEY_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256, key};
	return private_key;
}

void dkim_private_key_destroy(struct dkim_private_key *key)
{
	if (key != NULL) {
		EVP_PKEY_free(key->key);
		free(key);
	}
}

enum dkim_algorithm dkim_private_key_algorithm(const struct dkim_private_key *key)
{
	return key->algorithm;
}

unsigned dkim_private_key_bits(const struct dkim_private_key *key)
{
	return key->algorithm == DKIM_ED25519_SHA256 ? ED25519_KEY_SIZE * 8U : (unsigned)EVP_PKEY_get_bits(key->key);
}

const char *dkim_private_key_public(const struct dkim_private_key *key, struct arena *arena)
{
	if (key->algorithm == DKIM_ED25519_SHA256) {
		unsigned char raw[ED25519_KEY_SIZE];
		size_t size = sizeof raw;
		if (EVP_PKEY_get_raw_public_key(key->key, raw, &size) != 1) {
			abort();
		}
		return dkim_base64_encode(arena, (struct slice){(const char *)raw, size});
	}
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(key->key, &der);
	if (size <= 0) {
		abort();
	}
	const char *text = dkim_base64_encode(arena, (struct slice){(const char *)der, (size_t)size});
	OPENSSL_free(der);
	return text;
}

const char *dkim_private_key_sign(const struct dkim_private_key *key, struct slice data, struct arena *arena)
{
	uint8_t digest[SHA256_SIZE];
	struct slice text = to_sign(key->algorithm, data, digest);
	size_t size = (size_t)EVP_PKEY_get_size(key->key);
	unsigned char *signature = arena_alloc(arena, size);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestSignInit(context, NULL, hash_of(key->algorithm), NULL, key->key) == 1 &&
	            EVP_DigestSign(context, signature, &size, (const unsigned char *)text.data, text.len) == 1;
	EVP_MD_CTX_free(context);
	return good ? dkim_base64_encode(arena, (struct slice){(const char *)signature, size}) : NULL;
}
