#include "lib/store/action_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { RANDOM_BYTES = 10, DIGITS = 16 }; /* 80 bits */

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford's, small: local parts are made so */

static const char *const names[ACTION_VERBS] = {
    [ACTION_RELEASE] = "release", [ACTION_ALLOW] = "allow", [ACTION_TRUST] = "trust",   [ACTION_BLOCK] = "block",
    [ACTION_OFF] = "off",         [ACTION_DAILY] = "daily", [ACTION_WEEKLY] = "weekly", [ACTION_LANGUAGE] = "lang",
};

const char *action_verb_name(enum action_verb verb)
{
	return names[verb];
}

/* Ten bytes as sixteen digits. */
static void encode(const unsigned char *bytes, char *text_r)
{
	unsigned bits = 0;
	uint32_t held = 0;
	size_t n = 0;
	for (size_t i = 0; i < RANDOM_BYTES; i++) {
		held = held << 8 | bytes[i];
		for (bits += 8; bits >= 5; bits -= 5) {
			text_r[n++] = digits[held >> (bits - 5) & 31];
		}
	}
	text_r[n] = '\0';
}

bool action_nonce_make(char nonce_r[ACTION_NONCE_SIZE])
{
	unsigned char random[RANDOM_BYTES];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
		return false;
	}
	encode(random, nonce_r);
	return true;
}

/* The word in front keeps it apart from what else the key is used for. */
static void mac_of(const unsigned char *key, enum action_verb verb, const char *nonce, char *mac_r)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	char input[64];
	size_t n = 0;
	int size = snprintf(input, sizeof input, "action %s %s", names[verb], nonce);
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, ACTION_KEY_SIZE, (const unsigned char *)input, (size_t)size,
	              mac, sizeof mac, &n) == NULL ||
	    n < RANDOM_BYTES) {
		abort();
	}
	encode(mac, mac_r);
}

const char *action_token_print(struct arena *arena, const unsigned char *key, enum action_verb verb, const char *nonce)
{
	char mac[ACTION_MAC_SIZE];
	mac_of(key, verb, nonce, mac);
	return arena_printf(arena, "%s-%s%s", names[verb], nonce, mac);
}

static bool take_digits(const char *text, char *digits_r)
{
	for (size_t i = 0; i < DIGITS; i++) {
		char c = ascii_lower(text[i]);
		if (c == '\0' || strchr(digits, c) == NULL) {
			return false;
		}
		digits_r[i] = c;
	}
	digits_r[DIGITS] = '\0';
	return true;
}

bool action_token_parse(struct slice text, struct action_token *token_r)
{
	size_t dash = slice_find(text, '-', 0);
	if (text.len != dash + 1 + DIGITS + DIGITS) {
		return false;
	}
	for (size_t i = 0; i < ACTION_VERBS; i++) {
		if (slice_equal_nocase((struct slice){text.data, dash}, slice_from(names[i]))) {
			token_r->verb = (enum action_verb)i;
			return take_digits(text.data + dash + 1, token_r->nonce) &&
			       take_digits(text.data + dash + 1 + DIGITS, token_r->mac);
		}
	}
	return false;
}

bool action_token_verify(const struct action_token *token, const unsigned char *key)
{
	char mac[ACTION_MAC_SIZE];
	mac_of(key, token->verb, token->nonce, mac);
	return CRYPTO_memcmp(mac, token->mac, DIGITS) == 0;
}
