/* dkim_own: verification by our own canonical form (lib/auth/canon.h), for what libopendkim cannot do.
 *
 * It reads some bytes in its own way: a bare CR, VT or FF in a header field is white space to it, a NUL the field's
 * end; in a body a bare CR (relaxed) or LF (simple) may be left out. It would pass what was changed, and fail what was
 * not. Its buffer for a key ends at RSA keys of 5816 bits. Where h= names DKIM-Signature it takes the very field that it
 * verifies for the first one. */
#ifndef MAILREEVE_INSPECT_DKIM_OWN_H
#define MAILREEVE_INSPECT_DKIM_OWN_H

#include "inspect/dkim_record.h"
#include "lib/mail/header.h"
#include "lib/mail/taglist.h"

/* Whether the message, of which headers were read and whose body starts there, has such bytes, or a field name that the
 * library does not take. */
bool dkim_own_needed(const struct headers *headers, struct slice message, size_t body);

enum dkim_own_result { DKIM_OWN_GOOD, DKIM_OWN_BODY_CHANGED, DKIM_OWN_WRONG };

/* field: the DKIM-Signature field; tags: of it, without a problem; record: of its key. */
enum dkim_own_result dkim_own_verify(struct arena *arena, const struct headers *headers, const struct header *field,
                                     const struct taglist *tags, struct slice body, const struct dkim_record *record);

#endif
