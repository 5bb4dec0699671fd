/* authres: the Authentication-Results field (RFC 8601): strict writer, lenient reader. */
#ifndef MAILREEVE_MAIL_AUTHRES_H
#define MAILREEVE_MAIL_AUTHRES_H

#include "lib/base/slice.h"

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

/* Writer. Begin with the authserv-id, add methods with their properties, finish. Values are quoted where the grammar
 * asks for it, comments are made safe; bytes that cannot stand in a header are dropped, a value's 8-bit ones too unless
 * it is UTF-8 and `utf8` is set. */
struct authres {
	struct strbuf text;
	unsigned methods;
	size_t line; /* bytes since the last fold */
	bool utf8;   /* values may be UTF-8: in an internationalized message alone (RFC 6532). Set after begin */
};
void authres_begin(struct authres *authres, struct arena *arena, const char *authserv_id);
void authres_method(struct authres *authres, const char *method, enum auth_result result, const char *comment,
                    const char *reason); /* comment and reason may be NULL */
void authres_property(struct authres *authres, const char *ptype, const char *property, const char *value);
/* The value of the header field, folded with LF + tab, without a leading space; "...; none" where no method was
 * added (RFC 8601 2.2). */
const char *authres_finish(struct authres *authres);

/* Reader for removal (RFC 8601 5): does this value claim to come from authserv_id? Case does not matter; comments and
 * folding before and around the identifier, a quoted identifier, and a missing version or ";" are all understood, and
 * trailing dots are ignored. When in doubt the answer is true: a field that might be ours is removed. */
bool authres_claims(struct slice value, const char *authserv_id);

#endif
