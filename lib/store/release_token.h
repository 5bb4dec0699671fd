/* release_token: what a message that is released from the quarantine carries, so that the gate lets it pass once:
 *   X-Mailreeve-Release: 1 MESSAGE/COPY NONCE EXPIRES MODE MAC
 * MAC is HMAC-SHA256 (RFC 2104) in hexadecimal, under a key that only the store knows, over the rest, the one recipient
 * and the digest of the message. Whoever reads it on its way can do nothing with it but release this message to this
 * recipient, once (the store counts), before it expires. */
#ifndef MAILREEVE_STORE_RELEASE_TOKEN_H
#define MAILREEVE_STORE_RELEASE_TOKEN_H

#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* MAIL's ENVID of a release: it proves nothing, but the gate waits for the token before it refuses the recipient. */
#define RELEASE_ENVID "mailreeve-release"
#define RELEASE_TOKEN_FIELD "X-Mailreeve-Release"

enum {
	RELEASE_MESSAGE_SIZE = 17, /* identifier of a stored message, with the final NUL */
	RELEASE_NONCE_SIZE = 33,
	RELEASE_MAC_SIZE = 65,
	RELEASE_KEY_SIZE = 32,    /* bytes */
	RELEASE_DIGEST_SIZE = 32, /* bytes: SHA-256 */
	RELEASE_COPY_MAX = 1000000
};

struct release_token {
	char message[RELEASE_MESSAGE_SIZE]; /* 16 letters and digits */
	unsigned copy;
	char nonce[RELEASE_NONCE_SIZE]; /* 32 hexadecimal digits */
	uint64_t expires;               /* epoch seconds */
	bool forced;                    /* the administrator's word: enforced findings are lifted too */
	char mac[RELEASE_MAC_SIZE];
};

/* value: of the field, blanks and folds anywhere between its words. False: not exactly this form. The MAC is not looked
 * at. */
bool release_token_parse(struct slice value, struct release_token *token_r);

/* Sets token->mac. digest: of the message, RELEASE_DIGEST_SIZE bytes. */
void release_token_sign(struct release_token *token, const unsigned char *key, struct slice recipient,
                        const unsigned char *digest);
/* Is token->mac what release_token_sign() would set? In constant time. */
bool release_token_verify(const struct release_token *token, const unsigned char *key, struct slice recipient,
                          const unsigned char *digest);
/* The field's value, on one line. */
const char *release_token_print(struct arena *arena, const struct release_token *token);

/* The digest of what stands behind the field, as relays only ever add fields in front of it. False: no such field in
 * the header of the message. */
bool release_token_digest_behind(struct slice message, unsigned char *digest_r);
/* Of a whole message. */
void release_token_digest(struct slice message, unsigned char *digest_r);

#endif
