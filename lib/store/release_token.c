#include "lib/store/release_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word, empty at the end. */
static struct slice next_word(struct slice *rest)
{
	size_t start = 0;
	while (start < rest->len && is_blank(rest->data[start])) {
		start++;
	}
	size_t end = start;
	while (end < rest->len && !is_blank(rest->data[end])) {
		end++;
	}
	struct slice word = {rest->data + start, end - start};
	*rest = (struct slice){rest->data + end, rest->len - end};
	return word;
}

static bool is_hex(char c)
{
	return ascii_is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_letter_or_digit(char c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'Z');
}

/* A word of exactly size - 1 bytes of that kind. */
static bool take(struct slice word, bool (*kind)(char), char *out_r, size_t size)
{
	if (word.len != size - 1) {
		return false;
	}
	for (size_t i = 0; i < word.len; i++) {
		if (!kind(word.data[i])) {
			return false;
		}
	}
	memcpy(out_r, word.data, word.len);
	out_r[word.len] = '\0';
	return true;
}

static bool take_copy(struct slice word, struct release_token *token)
{
	unsigned long long copy;
	size_t slash = slice_find(word, '/', 0);
	struct slice number = {"", 0};
	if (slash < word.len) {
		number = (struct slice){word.data + slash + 1, word.len - slash - 1};
	}
	if (!take((struct slice){word.data, slash}, is_letter_or_digit, token->message, sizeof token->message) ||
	    !slice_to_uint(number, RELEASE_COPY_MAX, &copy)) {
		return false;
	}
	token->copy = (unsigned)copy;
	return true;
}

bool release_token_parse(struct slice value, struct release_token *token_r)
{
	unsigned long long expires = 0;
	struct slice rest = value;
	*token_r = (struct release_token){.copy = 0};
	bool good = slice_equal(next_word(&rest), SLICE_LITERAL("1")) && take_copy(next_word(&rest), token_r) &&
	            take(next_word(&rest), is_hex, token_r->nonce, sizeof token_r->nonce) &&
	            slice_to_uint(next_word(&rest), UINT32_MAX, &expires);
	struct slice mode = next_word(&rest);
	token_r->expires = expires;
	token_r->forced = slice_equal(mode, SLICE_LITERAL("forced"));
	return good && (token_r->forced || slice_equal(mode, SLICE_LITERAL("once"))) &&
	       take(next_word(&rest), is_hex, token_r->mac, sizeof token_r->mac) && next_word(&rest).len == 0;
}

/* All but the MAC; nothing in it holds a blank. */
static int print_head(const struct release_token *token, char *text_r, size_t size)
{
	return snprintf(text_r, size, "1 %s/%u %s %llu %s", token->message, token->copy, token->nonce,
	                (unsigned long long)token->expires, token->forced ? "forced" : "once");
}

static void mac_of(const struct release_token *token, const unsigned char *key, struct slice recipient,
                   const unsigned char *digest, char *mac_r)
{
	char head[128];
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t n = 0;
	size_t head_size = (size_t)print_head(token, head, sizeof head) + 1;
	/* The digest has one length and the head ends with NUL, so that no two inputs run into one. */
	size_t size = head_size + RELEASE_DIGEST_SIZE + recipient.len;
	unsigned char *input = malloc(size);
	if (input == NULL) {
		abort();
	}
	memcpy(input, head, head_size);
	memcpy(input + head_size, digest, RELEASE_DIGEST_SIZE);
	if (recipient.len > 0) {
		memcpy(input + head_size + RELEASE_DIGEST_SIZE, recipient.data, recipient.len);
	}
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, RELEASE_KEY_SIZE, input, size, mac, sizeof mac, &n) ==
	        NULL ||
	    n != RELEASE_DIGEST_SIZE) {
		abort();
	}
	free(input);
	for (size_t i = 0; i < n; i++) {
		snprintf(mac_r + 2 * i, 3, "%02x", mac[i]);
	}
}

void release_token_sign(struct release_token *token, const unsigned char *key, struct slice recipient,
                        const unsigned char *digest)
{
	mac_of(token, key, recipient, digest, token->mac);
}

bool release_token_verify(const struct release_token *token, const unsigned char *key, struct slice recipient,
                          const unsigned char *digest)
{
	char mac[RELEASE_MAC_SIZE];
	mac_of(token, key, recipient, digest, mac);
	return CRYPTO_memcmp(mac, token->mac, RELEASE_MAC_SIZE) == 0;
}

const char *release_token_print(struct arena *arena, const struct release_token *token)
{
	char head[128];
	print_head(token, head, sizeof head);
	return arena_printf(arena, "%s %s", head, token->mac);
}

void release_token_digest(struct slice message, unsigned char *digest_r)
{
	unsigned n = 0;
	if (EVP_Digest(message.len == 0 ? "" : message.data, message.len, digest_r, &n, EVP_sha256(), NULL) != 1 ||
	    n != RELEASE_DIGEST_SIZE) {
		abort();
	}
}

/* Behind the line that begins at `at`. */
static size_t next_line(struct slice message, size_t at)
{
	size_t end = slice_find(message, '\n', at);
	return end < message.len ? end + 1 : message.len;
}

bool release_token_digest_behind(struct slice message, unsigned char *digest_r)
{
	static const struct slice name = SLICE_LITERAL(RELEASE_TOKEN_FIELD ":");
	size_t at = 0;
	while (at < message.len && message.data[at] != '\r' && message.data[at] != '\n') {
		bool found = slice_starts_nocase((struct slice){message.data + at, message.len - at}, name);
		at = next_line(message, at);
		while (found && at < message.len && (message.data[at] == ' ' || message.data[at] == '\t')) {
			at = next_line(message, at);
		}
		if (found) {
			release_token_digest((struct slice){message.data + at, message.len - at}, digest_r);
			return true;
		}
	}
	return false;
}
