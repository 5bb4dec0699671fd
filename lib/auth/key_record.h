/* key_record: what a DKIM key record says (RFC 6376 3.6.1), for verifiers that hold keys of their own (ARC). */
#ifndef MAILREEVE_AUTH_KEY_RECORD_H
#define MAILREEVE_AUTH_KEY_RECORD_H

#include "lib/auth/dkim_crypto.h"

enum { KEY_RECORD_BITS_MIN = 1024 }; /* of an RSA key (RFC 8301 3.2) */

/* The key of the record for a signature with that algorithm; dkim_public_key_destroy() when done. NULL: it may not be
 * used, or is none, and *problem_r says why: a malformed record, a revoked key, one of another type, not for mail or
 * not for sha256, a short one, one that cannot be decoded. text: the TXT record. */
struct dkim_public_key *key_record_open(struct arena *arena, struct slice text, enum dkim_algorithm algorithm,
                                        const char **problem_r);

#endif
