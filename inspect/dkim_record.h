/* dkim_record: what a DKIM key record says (RFC 6376 3.6.1), and its key in the form that libopendkim takes. */
#ifndef MAILREEVE_INSPECT_DKIM_RECORD_H
#define MAILREEVE_INSPECT_DKIM_RECORD_H

#include "lib/base/slice.h"

/* libopendkim takes 1024 bytes, which is an RSA key of 5816 bits (found by test). */
enum { DKIM_RECORD_LIBRARY_MAX = 1024, DKIM_RECORD_BITS_MAX = 8192 };

struct dkim_record {
	const char *problem; /* NULL: it may be used for such a signature */
	struct slice key;    /* "p=...", for the library; ended by NUL; valid when problem is NULL */
	struct slice bytes;  /* the same decoded: SubjectPublicKeyInfo, or the 32 bytes of ed25519 */
	unsigned bits;       /* of the RSA modulus; 256 for ed25519; 0: there is no key that could be read */
	bool testing;        /* t=y */
	bool strict;         /* t=s */
};

/* text: the TXT record. algorithm: a= of the signature, compact. Never fails: what is wrong is the problem, and all
 * that could be read of the rest is there. */
void dkim_record_read(struct arena *arena, struct slice text, struct slice algorithm, struct dkim_record *record_r);

#endif
