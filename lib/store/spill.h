/* spill: a file of batches that wait for the store, in the order in which they came. Of one process at a time, which
 * holds a lock on it; one that a process left behind is adopted by the next. Used by one thread.
 *
 * The file "spill-ID": a header of 32 bytes ("MRSPILL1", the id of the queue as 16 hexadecimal digits, 8 zero bytes),
 * then records: u32 length of the batch, u32 CRC-32 of what follows, u64 sequence, the batch (batch_code.h). Integers
 * are little-endian, sequences rise. A record that was cut off by a crash at the end of the file does not count; what
 * is damaged (in its length too: then records follow) is kept aside as "spill-ID.damaged". */
#ifndef MAILREEVE_STORE_SPILL_H
#define MAILREEVE_STORE_SPILL_H

#include "lib/base/slice.h"

#include <stdint.h>

enum { SPILL_HEADER_SIZE = 32, SPILL_RECORD_HEADER_SIZE = 16, SPILL_ID_SIZE = 17 };

/* ---- the format ---- */

enum spill_read { SPILL_RECORD, SPILL_END, SPILL_CUT, SPILL_DAMAGED };
struct spill_record {
	uint64_t sequence;
	struct slice batch; /* into the bytes */
};
/* The id in the header, SPILL_ID_SIZE bytes; false: it is none. */
bool spill_parse_header(struct slice bytes, char *id_r);
/* The record at the front of *bytes, taken off. SPILL_CUT: the bytes end within it; SPILL_END: there are none. */
enum spill_read spill_parse_record(struct slice *bytes, struct spill_record *record_r);
/* Behind the header of a record at the front, whose length may be wrong: does what looks like a later one begin? */
bool spill_record_follows(struct slice bytes);

/* ---- the file ---- */

struct spill;

/* Makes the folder (0700) where it is missing. False with *error_r. */
bool spill_folder(const char *dir, char **error_r);
/* A queue's file, made with the first append. id: 16 hexadecimal digits, copied like dir. */
struct spill *spill_create(const char *dir, const char *id);
/* One that nobody holds any more; NULL: there is none. */
struct spill *spill_adopt(const char *dir);
/* Closes it; the file goes when nothing is left in it. Takes NULL. */
void spill_close(struct spill *spill);

const char *spill_id(const struct spill *spill);
/* Bytes of records that are still to be read. */
uint64_t spill_size(const struct spill *spill);
/* Bytes of all files in the folder. */
uint64_t spill_folder_size(const char *dir);

/* Puts a record at the end; false with errno, and the file as it was. */
bool spill_append(struct spill *spill, uint64_t sequence, struct slice batch);
/* What was appended is on disk. */
bool spill_sync(struct spill *spill);

/* The next record: SPILL_RECORD with the batch, which lies in *data_r (free()), or SPILL_END. A file with damage is set
 * aside, which is logged, and reading ends. */
enum spill_read spill_next(struct spill *spill, uint64_t *sequence_r, struct slice *batch_r, char **data_r);
/* The records that were read are done with: when none is left the file is emptied. */
void spill_remove_read(struct spill *spill);
/* The records that were read since are to be read again. */
void spill_rewind(struct spill *spill);

#endif
