/* mmdb_build: small MaxMind DB files for tests, byte by byte. */
#ifndef MAILREEVE_T_MMDB_BUILD_H
#define MAILREEVE_T_MMDB_BUILD_H

#include <stddef.h>
#include <stdint.h>

struct mmdb_bytes {
	uint8_t data[65536];
	size_t size;
};

/* Values, appended. Texts are under 29 bytes long, maps have under 29 pairs. */
void put_byte(struct mmdb_bytes *bytes, unsigned byte);
void put_text(struct mmdb_bytes *bytes, const char *text);
void put_map(struct mmdb_bytes *bytes, unsigned pairs);
void put_array(struct mmdb_bytes *bytes, unsigned count);
void put_number(struct mmdb_bytes *bytes, unsigned type, uint64_t number); /* 5 uint16, 6 uint32, 8 int32, 9 uint64 */
void put_pointer(struct mmdb_bytes *bytes, unsigned target);               /* under 2048 */

/* A database with one node: 0.0.0.0/1 has the value at offset `left` of the data section, 128.0.0.0/1 the one at
 * `right`; UINT32_MAX: nothing. */
void mmdb_build(struct mmdb_bytes *file, const struct mmdb_bytes *data, uint32_t left, uint32_t right, uint64_t epoch);

#endif
