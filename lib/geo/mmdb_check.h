/* mmdb_check: is this a sound MaxMind DB file (MaxMind DB File Format Specification 2.0)? libmaxminddb believes what a
 * file says about itself; nothing that has not passed here is given to it. */
#ifndef MAILREEVE_GEO_MMDB_CHECK_H
#define MAILREEVE_GEO_MMDB_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MMDB_CHECK_MAX = 1 << 30 }; /* bytes of a file; a larger one is refused */

struct mmdb_summary {
	uint32_t node_count;
	unsigned record_size; /* bits: 24, 28 or 32 */
	unsigned ip_version;  /* 4 or 6 */
	uint64_t build_epoch;
	uint64_t networks; /* leaves of the tree that have data; aliased parts count once */
	bool has_country;  /* some value has a key that countries stand under, see mmdb.h */
	bool has_asn;      /* likewise numbers of autonomous systems */
};

/* Looks at the metadata, at each node of the search tree that can be reached, and at each value that can be reached
 * from there. NULL when all is well, else what is not, a static text. Takes memory of about a byte for each node and a
 * bit for each byte of data; time grows with the size of the file alone. Thread-safe. */
const char *mmdb_check(const uint8_t *data, size_t size, struct mmdb_summary *summary_r);

#endif
