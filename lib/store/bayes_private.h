/* bayes_private: tokens as bytes, for the files of lib/store that know bayes. */
#ifndef MAILREEVE_STORE_BAYES_PRIVATE_H
#define MAILREEVE_STORE_BAYES_PRIVATE_H

#include "lib/store/bayes.h"

#define BAYES_NOW_CHANGE "(SELECT value FROM store_counter WHERE subject = 'bayes')"

/* n.i: numbers from 0 to below a parameter. */
#define BAYES_NUMBERS(parameter)                                                                                       \
	"WITH RECURSIVE n(i) AS (SELECT 0 WHERE " parameter " > 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < " parameter  \
	") "

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

static inline uint32_t bayes_count(const struct store_value *value)
{
	return value->integer < 0 ? 0 : value->integer > UINT32_MAX ? UINT32_MAX : (uint32_t)value->integer;
}

#endif
