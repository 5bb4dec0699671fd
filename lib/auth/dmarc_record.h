/* dmarc_record: a DMARC Policy Record (RFC 9989 4.7). */
#ifndef MAILREEVE_AUTH_DMARC_RECORD_H
#define MAILREEVE_AUTH_DMARC_RECORD_H

#include "lib/auth/dmarc.h"

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

struct dmarc_record {
	struct slice text;
	bool usable; /* false: a policy tag is not valid and no report is asked for; "no DMARC processing" */
	enum dmarc_policy p, sp, np; /* as they apply: p=none where not given; sp where not given as p, np as sp */
	bool has_sp, has_np;         /* given */
	enum dmarc_psd psd;
	bool adkim_strict, aspf_strict;
	bool testing;
	struct slice rua, ruf; /* as published; empty: none */
	struct slice fo;       /* failure reporting options, as published; empty: "0" */
};

/* False when the text is no DMARC Policy Record: it does not begin with the version (exactly "v" and "DMARC1"). All
 * else is read by 4.7, 4.8 and 4.10.1: unknown tags, pct, rf, ri and what is no tag are passed over; of a tag given
 * twice the first counts; a value that is not known is the tag's default, but one of p, sp or np spoils the policy:
 * p=none when rua has a URI, else the record is not usable. It is a record nevertheless: it counts among several at one
 * name, and in the tree walk. */
bool dmarc_record_parse(struct slice text, struct dmarc_record *record_r);

#endif
