/* batch_code: a batch of statements as bytes, for the queue in memory and the file of those that wait. Integers are
 * little-endian. batch      u32 number of statements, statements statement  u32 length of the SQL, the SQL, u32 number
 * of values, values value      u8 type (enum store_type); integer and real: 8 bytes; text and blob: u32 length, bytes
 */
#ifndef MAILREEVE_STORE_BATCH_CODE_H
#define MAILREEVE_STORE_BATCH_CODE_H

#include "lib/store/store.h"

/* Bytes that batch_encode() writes; SIZE_MAX: more than a record may have. */
size_t batch_size(const struct store_statement *statements, size_t count);
void batch_encode(const struct store_statement *statements, size_t count, char *data_r);
/* The statements, in arena; values point into bytes. NULL: the bytes are no batch. */
struct store_statement *batch_decode(struct slice bytes, struct arena *arena, size_t *count_r);

enum { BATCH_BYTES_MAX = 128 << 20 };

#endif
