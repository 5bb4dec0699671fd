/* action_token: what a link or a reply address in a mail to a user stands for: one thing that he may have done.
 *
 *   VERB-NONCEMAC        release-0123456789abcdefghjkmnpqrstvwxyz
 *
 * NONCE names a row of the store (digests.h: whose it is, which message, whom it is about, until when), MAC is
 * HMAC-SHA256 (RFC 2104), cut to 80 bits, over verb and nonce under a key that only the store knows: it tells a token
 * that was never made without asking the store about it, and no one verb can be made into another. Letters in either
 * case are the same; 40 bytes at most, so that with a name before it it is a local part (RFC 5321 4.5.3.1.1: 64).
 *
 * Nobody acts on a token alone: programs follow links, and people forward mail. A reply must be the user's own
 * (pipeline/stage_digest.c); a console that is given one shows what it is about, and acts on a POST, by
 * digest_action_run() (report/digest_action.h). */
#ifndef MAILREEVE_STORE_ACTION_TOKEN_H
#define MAILREEVE_STORE_ACTION_TOKEN_H

#include "lib/base/slice.h"

#include <stdbool.h>

enum action_verb {
	ACTION_RELEASE, /* let the message through */
	ACTION_ALLOW,   /* its author may write to the user from now on */
	ACTION_TRUST,   /* both */
	ACTION_BLOCK,   /* its author may not */
	ACTION_OFF,     /* no more digests */
	ACTION_DAILY,
	ACTION_WEEKLY,
	ACTION_LANGUAGE, /* digests in the language of the row */
	ACTION_VERBS
};
const char *action_verb_name(enum action_verb verb); /* "release" */

enum {
	ACTION_NONCE_SIZE = 17, /* 80 bits in base 32, with the final NUL */
	ACTION_MAC_SIZE = 17,
	ACTION_KEY_SIZE = 32, /* bytes: of quarantine_key() */
	ACTION_TOKEN_MAX = 41 /* bytes of the longest token */
};

struct action_token {
	enum action_verb verb;
	char nonce[ACTION_NONCE_SIZE];
	char mac[ACTION_MAC_SIZE];
};

/* False: no random bytes. */
bool action_nonce_make(char nonce_r[ACTION_NONCE_SIZE]);

/* The token of a verb of a row, in arena. */
const char *action_token_print(struct arena *arena, const unsigned char *key, enum action_verb verb, const char *nonce);
/* False: not exactly this form. The MAC is not looked at. */
bool action_token_parse(struct slice text, struct action_token *token_r);
/* Is the MAC that of verb and nonce? In constant time. */
bool action_token_verify(const struct action_token *token, const unsigned char *key);

#endif
