/* pack: the compressed form of a message in the store: one zstd frame (RFC 8878) that tells its size and has a
 * checksum. */
#ifndef MAILREEVE_STORE_PACK_H
#define MAILREEVE_STORE_PACK_H

#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* *packed_r is the caller's to free(). False: out of memory. */
bool pack_compress(struct slice data, struct slice *packed_r);

/* size: what the row says the message has; nothing else is accepted. *data_r is the caller's to free(). False: damaged,
 * not one whole frame, or of another size. */
bool pack_expand(struct slice packed, uint64_t size, struct slice *data_r);

#endif
