/* dmarc_record: a DMARC Policy Record (RFC 9989 4.7). */
#ifndef MAILREEVE_AUTH_DMARC_RECORD_H
#define MAILREEVE_AUTH_DMARC_RECORD_H

#include "lib/auth/dmarc.h"

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

struct dmarc_record {
	struct slice text;
	enum dmarc_policy p, sp, np; /* sp and np as they apply: where not given, that of p, and of sp */
	enum dmarc_psd psd;
	bool adkim_strict, aspf_strict;
	bool testing;
	struct slice rua, ruf; /* as published; empty: none */
};

/* False when the text is no record that may be used: it does not begin with the version (exactly "DMARC1"), breaks the
 * syntax of a tag list, or has no valid p= and no rua= that would make it p=none. Unknown tags, pct, rf and ri are
 * ignored; a tag with a value that is not known has its default; of a tag given twice the first counts. */
bool dmarc_record_parse(struct slice text, struct dmarc_record *record_r);

#endif
