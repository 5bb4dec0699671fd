/* token_word: where words begin and end, in any script. */
#ifndef MAILREEVE_INSPECT_TOKEN_WORD_H
#define MAILREEVE_INSPECT_TOKEN_WORD_H

#include "lib/base/slice.h"

struct token_words {
	struct arena *arena;
	char *data;
	size_t len;
	size_t at;
};

struct token_word {
	char *data; /* of text, which may be written to */
	struct slice text;
	bool link; /* it is one, as it stands */
	size_t at; /* of an "@" inside, else 0 */
	size_t letters;
	size_t digits;
	bool mixed;     /* Latin letters among those of another alphabet that look like them */
	bool invisible; /* characters without a width stood in it */
};

void token_words_open(struct token_words *words, struct arena *arena, struct slice text);

/* False: there is no more. Words are valid as long as the arena. */
bool token_words_next(struct token_words *words, struct token_word *word_r);

#endif
