#include "lib/inspect/wire_packet.h"

void wire_put(struct wire_writer *writer, const void *data, size_t n)
{
	if (writer->full || n > writer->left) {
		writer->full = true;
		return;
	}
	if (n > 0) {
		memcpy(writer->at, data, n);
	}
	writer->at += n;
	writer->left -= n;
}

/* Both ends are one build on one machine: numbers go in its own byte order. */
void wire_put_u32(struct wire_writer *writer, uint32_t value)
{
	wire_put(writer, &value, sizeof value);
}

void wire_put_u64(struct wire_writer *writer, uint64_t value)
{
	wire_put(writer, &value, sizeof value);
}

void wire_put_slice(struct wire_writer *writer, struct slice text)
{
	wire_put_u32(writer, (uint32_t)text.len);
	wire_put(writer, text.data, text.len);
}

/* Cut at WIRE_TEXT_MAX; NULL and "" are told apart by the first byte. */
void wire_put_text(struct wire_writer *writer, const char *text)
{
	char there = text != NULL;
	wire_put(writer, &there, 1);
	wire_put_slice(writer, (struct slice){text, text == NULL ? 0 : strnlen(text, WIRE_TEXT_MAX)});
}

struct wire_writer wire_writer_open(char *packet, uint32_t magic)
{
	struct wire_writer writer = {packet, WIRE_PACKET_MAX, false};
	wire_put_u32(&writer, magic);
	return writer;
}

size_t wire_writer_length(const struct wire_writer *writer)
{
	return writer->full ? 0 : WIRE_PACKET_MAX - writer->left;
}

void wire_get(struct wire_reader *reader, void *data_r, size_t n)
{
	if (reader->bad || n > reader->rest.len) {
		reader->bad = true;
		memset(data_r, 0, n);
		return;
	}
	memcpy(data_r, reader->rest.data, n);
	reader->rest = (struct slice){reader->rest.data + n, reader->rest.len - n};
}

uint32_t wire_get_u32(struct wire_reader *reader)
{
	uint32_t value;
	wire_get(reader, &value, sizeof value);
	return value;
}

uint64_t wire_get_u64(struct wire_reader *reader)
{
	uint64_t value;
	wire_get(reader, &value, sizeof value);
	return value;
}

/* A number of an enum or a count: at most `max`. */
uint32_t wire_get_upto(struct wire_reader *reader, uint32_t max)
{
	uint32_t value = wire_get_u32(reader);
	if (value > max) {
		reader->bad = true;
		return 0;
	}
	return value;
}

struct slice wire_get_slice(struct wire_reader *reader, uint32_t max)
{
	uint32_t n = wire_get_upto(reader, max);
	if (reader->bad || n > reader->rest.len) {
		reader->bad = true;
		return (struct slice){"", 0};
	}
	struct slice text = {slice_dup(reader->arena, (struct slice){reader->rest.data, n}), n};
	reader->rest = (struct slice){reader->rest.data + n, reader->rest.len - n};
	return text;
}

static size_t utf8_length(const unsigned char *text, size_t n)
{
	unsigned char first = text[0];
	size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	if (length == 0 || length > n) {
		return 0;
	}
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	bool wrong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) ||
	             (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f);
	return wrong ? 0 : length;
}

/* Fit for logs, headers and JSON: UTF-8, no control bytes. */
static bool text_fit(struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		const unsigned char *at = (const unsigned char *)text.data + i;
		size_t length = utf8_length(at, text.len - i);
		if (length == 0 || *at < ' ' || *at == 127) {
			return false;
		}
		i += length;
	}
	return true;
}

/* NULL where NULL was put. */
const char *wire_get_text_or_null(struct wire_reader *reader)
{
	char there;
	wire_get(reader, &there, 1);
	struct slice text = wire_get_slice(reader, WIRE_TEXT_MAX);
	reader->bad = reader->bad || !text_fit(text) || (there != 0 && there != 1) || (there == 0 && text.len > 0);
	return there == 0 ? NULL : text.data;
}

const char *wire_get_text(struct wire_reader *reader)
{
	const char *text = wire_get_text_or_null(reader);
	reader->bad = reader->bad || text == NULL;
	return text == NULL ? "" : text;
}

uint64_t wire_get_classes(struct wire_reader *reader)
{
	uint64_t classes = wire_get_u64(reader);
	reader->bad = reader->bad || classes >> FILE_CLASS_COUNT != 0;
	return classes;
}

struct wire_reader wire_reader_open(struct slice packet, struct arena *arena, uint32_t magic)
{
	struct wire_reader reader = {packet, arena, false};
	reader.bad = wire_get_u32(&reader) != magic;
	return reader;
}

bool wire_reader_done(const struct wire_reader *reader)
{
	return !reader->bad && reader->rest.len == 0;
}

void wire_put_database(struct wire_writer *writer, const struct inspect_database *database)
{
	wire_put_u32(writer, database->signatures);
	wire_put_u32(writer, database->official);
	wire_put_u32(writer, database->version);
	wire_put_u64(writer, database->time);
}

void wire_get_database(struct wire_reader *reader, struct inspect_database *database_r)
{
	database_r->signatures = wire_get_u32(reader);
	database_r->official = wire_get_upto(reader, 1) == 1;
	database_r->version = wire_get_u32(reader);
	database_r->time = wire_get_u64(reader);
}
