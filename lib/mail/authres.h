/* authres: the Authentication-Results field (RFC 8601): strict writer, lenient reader. */
#ifndef MAILREEVE_MAIL_AUTHRES_H
#define MAILREEVE_MAIL_AUTHRES_H

#include "lib/mail/field.h"

/* The registered result words; not every method uses every one. */
enum auth_result {
	AUTH_NONE,
	AUTH_PASS,
	AUTH_FAIL,
	AUTH_SOFTFAIL,
	AUTH_NEUTRAL,
	AUTH_POLICY,
	AUTH_TEMPERROR,
	AUTH_PERMERROR
};
const char *auth_result_name(enum auth_result result); /* "temperror" */

/* Writer, strictly by RFC 8601 2.2. Begin with the authserv-id (of one with U-labels the A-labels are written), add
 * methods with their properties, finish. Values are quoted where the grammar asks for it, and cut when over 800 bytes;
 * comments are cut at 200 and US-ASCII, values too unless `utf8` is set; what cannot stand in a header becomes '?'. Lines are folded at 76 bytes where
 * there is a place to, and are never over 998. */
struct authres {
	struct field field;
	unsigned methods;
	bool utf8; /* values may be UTF-8: in an internationalized message alone (RFC 6532). Set after begin */
};
void authres_begin(struct authres *authres, struct arena *arena, const char *authserv_id);
void authres_method(struct authres *authres, const char *method, enum auth_result result, const char *comment,
                    const char *reason); /* comment and reason may be NULL */
void authres_property(struct authres *authres, const char *ptype, const char *property, const char *value);
/* The value of the header field, folded with LF + tab, without a leading space; "...; none" where no method was
 * added (RFC 8601 2.2). */
const char *authres_finish(struct authres *authres);

/* Reader for removal (RFC 8601 5): does this value claim to come from authserv_id, to any reader? Neither case, comments
 * and folding, quotes, a version, a missing ";", trailing dots, control bytes, white or invisible characters inside,
 * nor U-labels for A-labels and the other way round make a difference. When in doubt the answer is true: a field without
 * an identifier (empty, or the first result in its place) may be taken for ours. */
bool authres_claims(struct slice value, const char *authserv_id);

#endif
