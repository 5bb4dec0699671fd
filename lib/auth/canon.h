/* canon: what a DKIM or ARC signature is made over: canonical header fields and body (RFC 6376 3.4), the choice of
 * fields by h= (5.4.2), the hash of the body (3.7). For our own verifier of ARC, our sealer and our signer; DKIM
 * signatures are verified by libopendkim. Lines end with CRLF: a CR or LF alone is a byte like any other. */
#ifndef MAILREEVE_AUTH_CANON_H
#define MAILREEVE_AUTH_CANON_H

#include "lib/mail/header.h"

#include <stdint.h>

enum canon { CANON_SIMPLE, CANON_RELAXED };

enum { CANON_DIGEST_SIZE = 32 }; /* SHA-256 */

/* Adds "name:value" and, with `line_end`, CRLF. */
void canon_header(struct strbuf *out, struct slice name, struct slice value, enum canon canon, bool line_end);

/* The same for a signature's own field, as it is signed: with an empty b= and no line end. */
void canon_signature(struct strbuf *out, struct slice name, struct slice value, enum canon canon);

/* The value of a signature field without what its b= tag holds (3.7); the rest as it was. */
struct slice canon_without_b(struct arena *arena, struct slice value);

/* Adds the fields that `names` (h=, colon-separated) picks, each time the lowest one of that name that has not been
 * taken yet; a name that has no field (left) adds nothing. */
void canon_fields(struct strbuf *out, struct arena *arena, const struct headers *headers, struct slice names,
                  enum canon canon);

/* SHA-256 of the canonical body, of its first `limit` bytes (l=; UINT64_MAX: all). Returns the length of the whole
 * canonical body in bytes. */
uint64_t canon_body(struct slice body, enum canon canon, uint64_t limit, uint8_t digest_r[CANON_DIGEST_SIZE]);

#endif
