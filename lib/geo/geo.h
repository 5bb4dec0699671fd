/* geo: where an address is and whose network it belongs to, by databases on disk that are read again when they change.
 */
#ifndef MAILREEVE_GEO_GEO_H
#define MAILREEVE_GEO_GEO_H

#include "lib/geo/mmdb.h"

enum geo_kind { GEO_COUNTRY, GEO_ASN, GEO_KINDS };

struct geo_settings {
	const char *paths[GEO_KINDS]; /* "": none; both may name one file */
	uint64_t check_interval_ns;   /* between two looks whether a file has changed */
	bool expected[GEO_KINDS];     /* the operator has named the file: that it is not there is a warning */
};

/* Safe from any thread. */
struct geo;
struct geo *geo_open(const struct geo_settings *settings); /* loads; what cannot be loaded is logged, and tried again */
void geo_close(struct geo *geo);                           /* takes NULL */

/* Other files, or another interval; the files are looked at now. Not from two threads at a time. */
void geo_configure(struct geo *geo, const struct geo_settings *settings);

/* What is known; all facts are empty where nothing is. At most once in an interval one caller looks whether the files
 * have changed and loads what has; the others do not wait for it. A file that was renamed into its place is loaded at
 * once, one that is written in place when it has been still for a second; one that is refused, or has gone, is logged
 * once, and what was loaded before stays. Takes no lock. */
void geo_lookup(struct geo *geo, const struct ip *ip, struct geo_facts *facts_r);

/* Is there a database to ask? */
bool geo_has(struct geo *geo, enum geo_kind kind);

/* When the database was made, epoch seconds; 0: there is none. */
uint64_t geo_built(struct geo *geo, enum geo_kind kind);

/* NULL: the file can be used for that, else why not (free()), for `config check`. */
char *geo_problem(const char *path, enum geo_kind kind);

#endif
