/* dkim_signer: messages signed with libopendkim and keys made at run time, for tests. */
#ifndef MAILREEVE_T_DKIM_SIGNER_H
#define MAILREEVE_T_DKIM_SIGNER_H

#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum signer_algorithm { SIGNER_RSA_SHA256, SIGNER_RSA_SHA1, SIGNER_ED25519 };

struct signer_key {
	const char *private_key; /* PEM */
	const char *public_key;  /* base64, as in p= */
};

/* bits 0: ed25519 */
struct signer_key signer_key_create(struct arena *arena, unsigned bits);

struct signer {
	const struct signer_key *key;
	enum signer_algorithm algorithm;
	const char *domain;
	const char *selector;
	const char *identity; /* NULL: no i= */
	bool simple;          /* simple/simple, not relaxed/relaxed */
	int64_t length;       /* l=, -1: none */
	uint64_t time;        /* t= */
	uint64_t lifetime;    /* x= is so much later; 0: no x= */
};

/* "DKIM-Signature: ...\r\n" for the message (CRLF, with a header); aborts when it cannot be signed. */
const char *signer_sign(struct arena *arena, const struct signer *signer, struct slice message);

#endif
