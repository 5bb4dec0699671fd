/* arc_seal: adds an ARC Set to a message that passes through (RFC 8617 5.1). */
#ifndef MAILREEVE_AUTH_ARC_SEAL_H
#define MAILREEVE_AUTH_ARC_SEAL_H

#include "lib/auth/arc_chain.h"
#include "lib/auth/canon.h"
#include "lib/auth/dkim_crypto.h"

struct arc_seal_request {
	const struct headers *headers; /* as the message goes on, without the set to be made */
	const uint8_t *body_digest;    /* CANON_DIGEST_SIZE: of the relaxed body */
	enum arc_cv cv;                /* of the chain that the message came with */
	const char *results;           /* what goes behind "i=N; ": an Authentication-Results value, folds as LF + blank */
	const char *domain, *selector; /* d=, s=: canonical */
	const struct dkim_private_key *key;
	const char *names; /* h=, as arc_seal_names() gives it */
	uint64_t now;      /* t= */
	size_t line; /* b= in lines of so many bytes (the seal is over its folds); 0: in one, as the sealers' test suite
	                has it */
};

enum { ARC_SEAL_LINE = 72 };

enum arc_seal_result {
	ARC_SEAL_MADE,
	ARC_SEAL_ENDED, /* the newest seal already says cv=fail: nothing is added (5.1 step 2) */
	ARC_SEAL_FULL,  /* it would be the set after the last that there can be, or the header has too many fields */
	ARC_SEAL_UNFIT, /* cv and the chain in the header do not go together: cv=pass without one, cv=none with one */
	ARC_SEAL_ERROR  /* libcrypto failed */
};

struct arc_seal {
	unsigned instance;
	const char *values[ARC_FIELD_COUNT]; /* without the leading space, folds as LF + tab; order of insertion from the
	                                        top: ARC_SEAL, ARC_MESSAGE_SIGNATURE, ARC_RESULTS */
};

/* The message signature is relaxed/relaxed. cv=fail: the seal is over its own set alone (5.1.2). Thread-safe. */
enum arc_seal_result arc_seal_make(struct arena *arena, const struct arc_seal_request *request,
                                   struct arc_seal *seal_r);

/* Which fields to sign: those of RFC 6376 5.4.1 and DKIM-Signature, as often as they are there, From once more, so that
 * none can be added. Never Authentication-Results, which the next hop may remove, nor ARC fields, nor what is written
 * on the way (Received, Return-Path). */
const char *arc_seal_names(struct arena *arena, const struct headers *headers);

#endif
