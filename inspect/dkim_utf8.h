/* dkim_utf8: DKIM signatures of an internationalized message, which may write d=, s= and i= in U-labels; the signature
 * is made over them as they stand (RFC 8616 5). libopendkim takes no message with such a field, so that all signatures
 * of one are verified here. */
#ifndef MAILREEVE_INSPECT_DKIM_UTF8_H
#define MAILREEVE_INSPECT_DKIM_UTF8_H

#include "lib/mail/authres.h"
#include "lib/mail/header.h"
#include "lib/mail/taglist.h"

struct dkim_utf8 {
	const struct headers *headers;
	struct slice body;
	const struct header *field; /* the signature */
	const struct taglist *tags; /* of it; v=, a= and h= were found to be good */
	struct slice key;           /* the key record, found to be usable for it */
};

/* pass, fail, policy or permerror with *problem_r a static text, NULL on pass. *bits_r: of the key, 0 when it could not
 * be read. t= and x=, and whether the key is long enough, are the caller's affair. */
enum auth_result dkim_utf8_verify(struct arena *arena, const struct dkim_utf8 *signature, unsigned *bits_r,
                                  const char **problem_r);

#endif
