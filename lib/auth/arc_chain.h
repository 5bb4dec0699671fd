/* arc_chain: the ARC Sets of a message as they stand in its header (RFC 8617 4), and whether they can be a chain.
 * Nothing is verified here. For the verifier (arc.h), the sealer (arc_seal.h), and for what must know the keys
 * beforehand (arc_keys.h). */
#ifndef MAILREEVE_AUTH_ARC_CHAIN_H
#define MAILREEVE_AUTH_ARC_CHAIN_H

#include "lib/mail/header.h"
#include "lib/mail/taglist.h"

enum {
	ARC_MAX_SETS = 50,
	ARC_MAX_FIELD = 16384 /* bytes of a field's value: a longer one is in error */
};

enum arc_cv { ARC_CV_NONE, ARC_CV_PASS, ARC_CV_FAIL };
const char *arc_cv_name(enum arc_cv cv); /* "pass" */

/* What the three fields of a set have in common: one each. */
enum arc_field { ARC_RESULTS, ARC_MESSAGE_SIGNATURE, ARC_SEAL, ARC_FIELD_COUNT };

struct arc_links {
	const struct header *fields[ARC_FIELD_COUNT]; /* NULL: missing */
	const struct taglist *tags[ARC_FIELD_COUNT];  /* of ARC_MESSAGE_SIGNATURE and ARC_SEAL; empty where it is missing */
};

struct arc_chain {
	size_t fields;          /* of all three kinds in the header; 0: there is no chain */
	unsigned count;         /* the highest instance; 0: none that could be read */
	struct arc_links *sets; /* count of them; sets[i - 1] is instance i */
	bool ended;             /* the newest seal says cv=fail: the chain is over (5.1, 5.2 step 2) */
	bool too_long;          /* more than ARC_MAX_SETS, or a field longer than ARC_MAX_FIELD */
	const char *problem;    /* NULL: it has the structure of 5.2 step 3 */
};

void arc_chain_read(struct arena *arena, const struct headers *headers, struct arc_chain *chain_r);

/* The name of the field, "ARC-Seal". */
const char *arc_field_name(enum arc_field field);

/* ARC-Authentication-Results: reads "i=N;" in front (4.1.1). 0: it is not there; *payload_r: what follows it. */
unsigned arc_results_instance(struct slice value, struct slice *payload_r);

#endif
