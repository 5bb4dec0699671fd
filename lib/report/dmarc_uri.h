/* dmarc_uri: the addresses that a domain wants its reports sent to (rua=; RFC 9989 4.7, RFC 3986, RFC 6068). */
#ifndef MAILREEVE_REPORT_DMARC_URI_H
#define MAILREEVE_REPORT_DMARC_URI_H

#include "lib/mail/address.h"

#include <stdint.h>

enum { DMARC_URI_MAX = 10 }; /* of a list; more are dropped */

struct dmarc_uri {
	struct address address;
	uint64_t size_max; /* bytes of a report, from "!10m" (RFC 7489 6.2); 0: no limit */
};

/* Reads a comma-separated list. What is no mailto: with one address is passed over, an address that stood before too.
 * Returns how many there are. */
size_t dmarc_uri_parse(struct arena *arena, struct slice list, struct dmarc_uri uris_r[DMARC_URI_MAX]);

#endif
