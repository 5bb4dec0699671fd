/* smime: what an opaque S/MIME part holds (application/pkcs7-mime; RFC 8551 3). Signatures are not checked: what
 * matters is which files a mail program would show. */
#ifndef MAILREEVE_INSPECT_SMIME_H
#define MAILREEVE_INSPECT_SMIME_H

#include "lib/base/slice.h"

enum smime_kind {
	SMIME_NONE,       /* no CMS, or one that cannot be read */
	SMIME_SIGNED,     /* the content is in *content_r */
	SMIME_ENCRYPTED,  /* enveloped */
	SMIME_COMPRESSED, /* cannot be looked into */
	SMIME_OTHER       /* certificates, receipts: nothing that a program shows */
};

/* content: decoded (DER or BER). *content_r is from malloc(); the caller frees its data. */
enum smime_kind smime_open(struct slice content, struct slice *content_r);

#endif
