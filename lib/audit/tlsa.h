/* tlsa: the rdata of a TLSA record (RFC 6698 2.1), for mail (RFC 7672 3.1). */
#ifndef MAILREEVE_AUDIT_TLSA_H
#define MAILREEVE_AUDIT_TLSA_H

#include "lib/base/slice.h"

enum tlsa_problem {
	TLSA_GOOD,
	TLSA_MALFORMED,  /* too short, or a digest of another length */
	TLSA_USAGE,      /* neither 2 (DANE-TA) nor 3 (DANE-EE) */
	TLSA_PARAMETERS, /* unknown selector or matching type */
};

struct tlsa {
	unsigned usage, selector, matching;
	struct slice data; /* into the rdata */
};

enum tlsa_problem tlsa_parse(struct slice rdata, struct tlsa *tlsa_r);

/* "3 1 1 ab12..." with at most max digits of the data. */
const char *tlsa_text(struct arena *arena, const struct tlsa *tlsa, size_t max);

#endif
