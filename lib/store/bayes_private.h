/* bayes_private: tokens as bytes, for the files of lib/store that know bayes. */
#ifndef MAILREEVE_STORE_BAYES_PRIVATE_H
#define MAILREEVE_STORE_BAYES_PRIVATE_H

#include "lib/store/bayes.h"

/* A token in the store: eight bytes, most significant first. */
static inline void bayes_put_token(uint64_t token, char *bytes_r)
{
	for (int i = 0; i < 8; i++) {
		bytes_r[i] = (char)(token >> (56 - 8 * i) & 0xff);
	}
}

static inline void bayes_put_tokens(const uint64_t *tokens, size_t count, char *bytes_r)
{
	for (size_t i = 0; i < count; i++) {
		bayes_put_token(tokens[i], bytes_r + i * 8);
	}
}

static inline uint64_t bayes_take_token(const char *bytes)
{
	uint64_t token = 0;
	for (int i = 0; i < 8; i++) {
		token = token << 8 | (unsigned char)bytes[i];
	}
	return token;
}

#endif
