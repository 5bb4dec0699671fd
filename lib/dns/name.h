/* name: domain names as text and on the wire (RFC 1035 3.1, 5.1). */
#ifndef MAILREEVE_DNS_NAME_H
#define MAILREEVE_DNS_NAME_H

#include "lib/dns/dns.h"

/* The one text form of a name (dns.h): small letters, no final dot, odd bytes as \DDD. text_r has DNS_MAX_NAME_TEXT
 * bytes. False for what is no domain name; the root too: nothing of interest lives there. */
bool dns_name_normalise(struct slice text, char *text_r);

/* An uncompressed name at the front of wire: its length in bytes, 0 when malformed. The root gives "". */
size_t dns_name_from_wire(struct slice wire, char *text_r);

#endif
