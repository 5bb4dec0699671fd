/* dkim_own: verification by our own canonical form (lib/auth/canon.h), for what libopendkim cannot do.
 *
 * It reads some bytes in its own way: a bare CR, VT or FF in a header field is white space to it, a NUL the field's
 * end; in a body a bare CR (relaxed) or LF (simple) may be left out. It would pass what was changed, and fail what was
 * not. Its buffer for a key ends at RSA keys of 5816 bits. Where h= names DKIM-Signature it takes the very field that
 * it verifies for the first one. It refuses a message with a signature that is not ASCII (d=, s= and i= in U-labels,
 * signed as they stand: RFC 8616 5), and does not undo the quoting of a domain in i=. */
#ifndef MAILREEVE_INSPECT_DKIM_OWN_H
#define MAILREEVE_INSPECT_DKIM_OWN_H

#include "inspect/dkim_record.h"
#include "lib/auth/canon.h"
#include "lib/mail/header.h"
#include "lib/mail/taglist.h"

/* The library is not given a longer line. */
enum { DKIM_OWN_LINE_MAX = 1 << 20 };

/* Whether the message, of which headers were read and whose body starts there, has such bytes, a line longer than
 * DKIM_OWN_LINE_MAX, or a field name that the library does not take. */
bool dkim_own_needed(const struct headers *headers, struct slice message, size_t body);

/* A body, and by enum canon what its canonical form is, once it is known: several signatures are made over it. */
struct dkim_own_body {
	struct slice text;
	struct {
		bool known;
		uint64_t length; /* bytes */
		uint8_t digest[CANON_DIGEST_SIZE];
	} whole[2];
};
uint64_t dkim_own_body_length(struct dkim_own_body *body, enum canon canon);

enum dkim_own_result { DKIM_OWN_GOOD, DKIM_OWN_BODY_CHANGED, DKIM_OWN_WRONG };

/* field: the DKIM-Signature field; tags: of it, without a problem; record: of its key. */
enum dkim_own_result dkim_own_verify(struct arena *arena, const struct headers *headers, const struct header *field,
                                     const struct taglist *tags, struct dkim_own_body *body,
                                     const struct dkim_record *record);

#endif
