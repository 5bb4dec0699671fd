/* rdata: the data of a record from its wire form (RFC 1035 3.3, RFC 3596). */
#ifndef MAILREEVE_DNS_RDATA_H
#define MAILREEVE_DNS_RDATA_H

#include "lib/dns/dns.h"

/* rdata: without compression, as libunbound and the zone give it. False when it is malformed. Memory from arena. */
bool dns_rdata_decode(struct arena *arena, enum dns_type type, struct slice rdata, struct dns_record *record_r);

#endif
