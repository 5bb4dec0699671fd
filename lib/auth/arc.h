/* arc: verification of an Authenticated Received Chain (RFC 8617 5.2). Pure: header, body, keys and time in, verdict
 * out; it runs in a worker.
 *
 * Where we differ from the RFC's letter: a key that DNS could not give is temperror, not fail (5.2.1 makes every
 * failure permanent): a chain is neither good nor broken because a name server was slow. Stricter than it, as with
 * DKIM: a message signature whose l= leaves a part of the body unsigned, or that has expired, is not valid; RSA keys
 * under 1024 bits and rsa-sha1 never are. */
#ifndef MAILREEVE_AUTH_ARC_H
#define MAILREEVE_AUTH_ARC_H

#include "lib/auth/arc_chain.h"
#include "lib/auth/arc_keys.h"
#include "lib/auth/arc_results.h"

enum { ARC_MAX_RESULTS = 128 }; /* of all sets together */

/* One ARC Set. */
struct arc_set {
	unsigned instance;
	const char *domain;   /* d= of its seal, canonical; "" when there is none */
	const char *selector; /* s= */
	bool has_cv;          /* its seal says one that is known */
	enum arc_cv cv;
	/* What its ARC-Authentication-Results says; only for a chain that passes, and from the newest set down only as many
	 * sets as fit into ARC_MAX_RESULTS. */
	size_t result_count;
	const struct arc_result *results;
};

struct arc_verdict {
	enum auth_result result;    /* none, pass, fail, temperror */
	const char *problem;        /* why fail or temperror; else NULL. Never bytes of the message */
	size_t count;               /* of sets: the highest instance */
	const struct arc_set *sets; /* sets[i - 1] is instance i */
	unsigned oldest_pass; /* 5.2 step 5, on pass: the oldest instance whose message signature and all newer ones are
	                         valid; 0: all are */
	bool from_signed;     /* on pass: the newest message signature covers every From field */
	bool too_long;        /* more than ARC_MAX_SETS sets, or a field beyond ARC_MAX_FIELD */
	bool ended;           /* the newest seal says cv=fail */
};

/* keys: as arc_keys_resolve() left them; a key that is not among them is temporary. now: epoch seconds. Strings of the
 * verdict live in arena, or with the keys. */
void arc_verify(struct arena *arena, const struct headers *headers, struct slice body, const struct arc_keys *keys,
                uint64_t now, struct arc_verdict *verdict_r);

#endif
