/* token_text: words of a text, and what stands next to each other. */
#ifndef MAILREEVE_INSPECT_TOKEN_TEXT_H
#define MAILREEVE_INSPECT_TOKEN_TEXT_H

#include "inspect/token_set.h"

/* Tokens of a text in UTF-8 (broken bytes end a word): its words in small letters, each with the next and the next but
 * one; numbers as their shape; of links and addresses the hosts. kind: as in token_add(). Characters that fill a word
 * from several alphabets are read as Latin ones. Time: linear in text and bounded by words_max. */
void token_text(struct token_set *set, const char *kind, struct slice text, size_t words_max);

/* A link as it stands in an attribute or a text: its host, domain, words of its path, and what is odd about it. */
void token_link(struct token_set *set, struct slice link);

/* The domain under which names are registered, as far as its form tells: the last two labels, or three below "co.uk".
 */
struct slice token_domain(struct slice host);

#endif
