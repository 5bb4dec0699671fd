/* received_spf: the Received-SPF field (RFC 7208 9.1): strict writer, lenient reader for removal. */
#ifndef MAILREEVE_MAIL_RECEIVED_SPF_H
#define MAILREEVE_MAIL_RECEIVED_SPF_H

#include "lib/base/ip.h"
#include "lib/mail/authres.h"

struct received_spf {
	enum auth_result result; /* none pass fail softfail neutral temperror permerror */
	const char *comment;     /* for people; NULL: none */
	const struct ip *client;
	const char *envelope_from; /* "" for the null path, and then identity is "helo" */
	const char *helo;
	const char *identity;  /* "mailfrom" or "helo" */
	const char *receiver;  /* our name */
	const char *mechanism; /* that matched; NULL: not known ("default" where none did) */
	const char *problem;   /* of temperror and permerror; NULL: none */
	bool utf8;             /* values may be UTF-8 (authres.h) */
};

/* The value, folded with LF + tab, without a leading space. Safe like authres's (authres.h), whatever the values are.
 */
const char *received_spf_write(struct arena *arena, const struct received_spf *field);

/* Does the value claim to come from that receiver: by receiver=, or as the comment that stands first ("(mx.example:
 * ..."), which is all that many writers give? Without either it is nobody's, and not ours. */
bool received_spf_claims(struct slice value, const char *receiver);

#endif
