/* dmarc_walk: the DNS Tree Walk (RFC 9989 4.10). */
#ifndef MAILREEVE_AUTH_DMARC_WALK_H
#define MAILREEVE_AUTH_DMARC_WALK_H

#include "lib/auth/dmarc_record.h"

enum { DMARC_WALK_MAX = 8 }; /* queries */

struct dmarc_step {
	const char *domain; /* the record was asked for at _dmarc.DOMAIN */
	bool found;
	struct dmarc_record record;
};

struct dmarc_walk {
	size_t count; /* steps taken: up to the one that ended the walk */
	struct dmarc_step steps[DMARC_WALK_MAX];
	const char *org_domain; /* 4.10.2; the starting domain itself where no record is found */
	const char *problem;    /* a DNS answer was temporary: steps behind it and org_domain are not reliable; else NULL */
};

/* The steps taken so far, by domain, for all walks of one evaluation: walks of one organisation share their upper
 * steps, and however many identifiers pass, a record is read once. Begin with {NULL}; lives in the walks' arena. */
struct dmarc_memo {
	struct dmarc_known *first;
};

/* domain: canonical. All queries of a walk are known beforehand and start together. False while one that is needed is
 * pending. */
bool dmarc_walk(struct arena *arena, struct lookups *lookups, struct dmarc_memo *memo, const char *domain,
                struct dmarc_walk *walk_r);

#endif
