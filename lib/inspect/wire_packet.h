/* wire_packet: numbers and texts of a packet, for wire.c and wire_reply.c. Writing goes on behind a thing that does not
 * fit, reading behind one that is bad; the end tells. Both ends are one build on one machine: numbers go in its own byte
 * order. */
#ifndef MAILREEVE_INSPECT_WIRE_PACKET_H
#define MAILREEVE_INSPECT_WIRE_PACKET_H

#include "lib/inspect/wire.h"

enum {
	WIRE_MAGIC_REQUEST = 0x4d525131,
	WIRE_MAGIC_REPLY = 0x4d525031,
	WIRE_MAGIC_SETTINGS = 0x4d525331,
	WIRE_MAGIC_NOTE = 0x4d524e31
};

struct wire_writer {
	char *at;
	size_t left;
	bool full;
};

struct wire_writer wire_writer_open(char *packet, uint32_t magic);
size_t wire_writer_length(const struct wire_writer *writer); /* 0: it did not fit */
void wire_put(struct wire_writer *writer, const void *data, size_t n);
void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);
void wire_put_slice(struct wire_writer *writer, struct slice text);
/* Cut at WIRE_TEXT_MAX; NULL and "" are told apart. */
void wire_put_text(struct wire_writer *writer, const char *text);

struct wire_reader {
	struct slice rest;
	struct arena *arena; /* texts are copied to it */
	bool bad;
};

struct wire_reader wire_reader_open(struct slice packet, struct arena *arena, uint32_t magic);
bool wire_reader_done(const struct wire_reader *reader); /* nothing was bad, and nothing is left */
void wire_get(struct wire_reader *reader, void *data_r, size_t n);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
uint32_t wire_get_upto(struct wire_reader *reader, uint32_t max); /* a number of an enum, or a count */
struct slice wire_get_slice(struct wire_reader *reader, uint32_t max);
const char *wire_get_text_or_null(struct wire_reader *reader); /* NULL where NULL was put */
const char *wire_get_text(struct wire_reader *reader);
uint64_t wire_get_classes(struct wire_reader *reader); /* FILE_CLASS_BIT()s */

void wire_put_database(struct wire_writer *writer, const struct inspect_database *database);
void wire_get_database(struct wire_reader *reader, struct inspect_database *database_r);

#endif
