/* zone_text: the answers that a session had, as a text in zone syntax (dns_open_zone_text()): the same questions to
 * that text have the same answers. For the history, and for who wants to see them. */
#ifndef MAILREEVE_DNS_ZONE_TEXT_H
#define MAILREEVE_DNS_ZONE_TEXT_H

#include "lib/dns/dns.h"

/* At most max bytes, whole answers only: one that does not fit, one with a record of more than 2 KB, or of a name with a
 * star, is left out, and the last line says "; incomplete". A question without an answer is left out too. Temporary
 * failures become $SERVFAIL or $TIMEOUT, what is not there $NODATA or $NXDOMAIN, each with the type. */
void zone_text_write(struct lookups *lookups, size_t max, struct strbuf *text);

/* One answer. */
void zone_text_answer(struct strbuf *text, const char *name, enum dns_type type, const struct dns_answer *answer);

#endif
