/* mmdb: one MaxMind DB file, checked and held in memory: what happens to the file afterwards does not matter. */
#ifndef MAILREEVE_GEO_MMDB_H
#define MAILREEVE_GEO_MMDB_H

#include "lib/base/current.h"
#include "lib/base/ip.h"
#include "lib/base/stamp.h"
#include "lib/geo/mmdb_check.h"

enum { GEO_NAME_SIZE = 96 };

/* What is known about an address. */
struct geo_facts {
	struct ip address;           /* of this one */
	char country[3];             /* ISO 3166-1 alpha-2, capitals; "": not known */
	uint32_t asn;                /* of the autonomous system; 0: not known */
	char as_name[GEO_NAME_SIZE]; /* its name, UTF-8 without control characters, cut; "": not known */
};

/* Immutable, counted, used by any number of threads. */
struct mmdb {
	struct counted counted;
	struct mmdb_summary summary;
	char type[64]; /* as the file says: "GeoLite2-Country"; printable ASCII */
	struct mmdb_library *library;
};

/* Copies the file, checks the copy and opens it. NULL with *error_r (free()), without the path. *stamp_r is set when
 * the file could be looked at, else zero. */
struct mmdb *mmdb_load(const char *path, struct stamp *stamp_r, char **error_r);
void mmdb_release(struct mmdb *mmdb); /* takes NULL */

/* The layouts of MaxMind (GeoLite2, GeoIP2, Enterprise), DB-IP, IPinfo and IPLocate. Country: country.iso_code,
 * country_code, country (where that is two letters), registered_country.iso_code, the first that is there. System:
 * autonomous_system_number or asn, or the same below traits, a number or "AS29518". Facts that are not there stay as
 * they are. */
void mmdb_country(const struct mmdb *mmdb, const struct ip *ip, struct geo_facts *facts);
void mmdb_system(const struct mmdb *mmdb, const struct ip *ip, struct geo_facts *facts);

#endif
