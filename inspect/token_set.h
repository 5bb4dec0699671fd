/* token_set: the tokens of one message: hashes of readable texts, each once, and the texts of those few that were asked
 * for.
 *
 * The hash is XXH3 without a key. A key would buy nothing: who wants his message to have a token just writes what gives
 * it, so nobody gains by finding a second text with its hash, and counts that one host has learnt are of use on another
 * (a fleet, a backup, an import). 64 bits: two of ten million tokens are the same with a chance of 3 in a million. */
#ifndef MAILREEVE_INSPECT_TOKEN_SET_H
#define MAILREEVE_INSPECT_TOKEN_SET_H

#include "lib/inspect/inspect.h"

struct token_set {
	struct arena *arena;
	uint64_t *slots; /* open addressing; 0: free */
	size_t count;
	bool cut;                       /* there was no more room */
	enum inspect_token_group group; /* of tokens that are added now */
	const uint64_t *named;
	size_t named_count;
	const char **names;
};

/* named: at most INSPECT_NAMED_MAX, as in the request; must outlive the set, as the arena must. */
void token_set_init(struct token_set *set, struct arena *arena, const uint64_t *named, size_t named_count);

/* Tokens that are added from now on belong to that group. Gives the one before. */
enum inspect_token_group token_group(struct token_set *set, enum inspect_token_group group);

/* The token "KIND: text". kind: a literal, "subject" or "" for the words of the text themselves. */
void token_add(struct token_set *set, const char *kind, struct slice text);

/* The same, of no set: for who reads other lists of words. */
uint64_t token_of(enum inspect_token_group group, const char *kind, struct slice text);

/* The token "KIND: first + second", or with `gap` "first .. second": words that follow each other, or with one between.
 */
void token_add_pair(struct token_set *set, const char *kind, struct slice first, struct slice second, bool gap);

/* Fills tokens, token_count, tokens_cut, name_count and token_names. */
void token_set_close(struct token_set *set, struct inspect_reply *reply_r);

#endif
