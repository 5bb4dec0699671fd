/* dkim_crypto: the signature algorithms of DKIM and ARC on libcrypto: rsa-sha256 (RFC 6376 3.3.2) and ed25519-sha256
 * (RFC 8463). Keys are parsed once and can be used by any number of threads. */
#ifndef MAILREEVE_AUTH_DKIM_CRYPTO_H
#define MAILREEVE_AUTH_DKIM_CRYPTO_H

#include "lib/base/slice.h"

#include <stdint.h>

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };
const char *dkim_algorithm_name(enum dkim_algorithm algorithm); /* "rsa-sha256" */
const char *dkim_key_type(enum dkim_algorithm algorithm); /* k= of its keys: "rsa" */
/* False for any other, rsa-sha1 too. Letters of either case. */
bool dkim_algorithm_parse(struct slice text, enum dkim_algorithm *algorithm_r);

/* Strict base64 (RFC 4648 4, padding asked for); white space must be gone (tag_compact()). False when it is none. */
bool dkim_base64_decode(struct arena *arena, struct slice text, struct slice *bytes_r);
char *dkim_base64_encode(struct arena *arena, struct slice bytes); /* in one line */

struct dkim_public_key;
/* p= of a key record, decoded: RSA as SubjectPublicKeyInfo or RSAPublicKey, ed25519 as 32 bytes. NULL: no such key. */
struct dkim_public_key *dkim_public_key_create(enum dkim_algorithm algorithm, struct slice bytes);
void dkim_public_key_destroy(struct dkim_public_key *key); /* takes NULL */
unsigned dkim_public_key_bits(const struct dkim_public_key *key); /* of the modulus; 256 for ed25519 */
/* data: what was signed, canonical. */
bool dkim_public_key_verify(const struct dkim_public_key *key, struct slice data, struct slice signature);

struct dkim_private_key;
/* PEM text, RSA or ed25519, not encrypted. NULL: no such key. */
struct dkim_private_key *dkim_private_key_create(struct slice pem);
void dkim_private_key_destroy(struct dkim_private_key *key); /* takes NULL */
enum dkim_algorithm dkim_private_key_algorithm(const struct dkim_private_key *key);
unsigned dkim_private_key_bits(const struct dkim_private_key *key);
/* What p= of its key record says, in base64: SubjectPublicKeyInfo, or the 32 bytes of ed25519. */
const char *dkim_private_key_public(const struct dkim_private_key *key, struct arena *arena);
/* NULL when libcrypto fails (no memory). In base64. */
const char *dkim_private_key_sign(const struct dkim_private_key *key, struct slice data, struct arena *arena);

#endif
