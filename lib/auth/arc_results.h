/* arc_results: what an ARC-Authentication-Results field says of the checks that a DMARC failure can be weighed against
 * (RFC 8617 4.1.1, RFC 8601 2.2): dmarc, spf and dkim with the domain each is about. Strict: what does not follow the
 * grammar says nothing. */
#ifndef MAILREEVE_AUTH_ARC_RESULTS_H
#define MAILREEVE_AUTH_ARC_RESULTS_H

#include "lib/mail/authres.h"

enum arc_method { ARC_METHOD_DMARC, ARC_METHOD_SPF, ARC_METHOD_DKIM };

struct arc_result {
	enum arc_method method;
	enum auth_result result;
	/* Canonical: of dmarc header.from, of spf smtp.mailfrom (smtp.mfrom), of dkim header.d (or header.i); never "". */
	const char *domain;
};

/* payload: what stands behind "i=N;". Results of these methods with a domain, in their order; returns how many. 0 when
 * anything up to the payload's end cannot be read, or there are more than `max` (1 at least): half of a statement is
 * none. */
size_t arc_results_read(struct arena *arena, struct slice payload, size_t max, struct arc_result *results_r);

#endif
