/* late_lookups: lookups_...() of dns.h for tests, over a zone file. In late mode each new question is pending until
 * the next late_round(), so that a check is run in every state of half-known answers. Linked instead of lib/dns/lookups.c. */
#ifndef MAILREEVE_T_LATE_LOOKUPS_H
#define MAILREEVE_T_LATE_LOOKUPS_H

#include "lib/dns/dns.h"

struct lookups *late_create(const char *zone_path, bool late);
void late_destroy(struct lookups *lookups);
void late_round(struct lookups *lookups); /* answers what was asked before */
size_t late_questions(const struct lookups *lookups);

/* Writes a zone file below TMPDIR; its path is valid until the next call. */
const char *late_write_zone(const char *text);

#endif
