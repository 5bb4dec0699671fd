#include "t/mmdb_build.h"

#include <string.h>

void put_byte(struct mmdb_bytes *bytes, unsigned byte)
{
	bytes->data[bytes->size++] = (uint8_t)byte;
}

void put_text(struct mmdb_bytes *bytes, const char *text)
{
	put_byte(bytes, 2U << 5 | (unsigned)strlen(text));
	memcpy(bytes->data + bytes->size, text, strlen(text));
	bytes->size += strlen(text);
}

void put_map(struct mmdb_bytes *bytes, unsigned pairs)
{
	put_byte(bytes, 7U << 5 | pairs);
}

void put_array(struct mmdb_bytes *bytes, unsigned count)
{
	put_byte(bytes, count);
	put_byte(bytes, 11 - 7);
}

void put_number(struct mmdb_bytes *bytes, unsigned type, uint64_t number)
{
	unsigned size = type == 5 ? 2 : type == 9 ? 8 : 4;
	put_byte(bytes, type <= 7 ? type << 5 | size : size);
	if (type > 7) {
		put_byte(bytes, type - 7);
	}
	for (unsigned i = size; i > 0; i--) {
		put_byte(bytes, (unsigned)(number >> (8 * (i - 1))) & 0xffU);
	}
}

void put_pointer(struct mmdb_bytes *bytes, unsigned target)
{
	put_byte(bytes, 1U << 5 | target >> 8);
	put_byte(bytes, target & 0xffU);
}

static void put_record(struct mmdb_bytes *file, uint32_t offset)
{
	uint32_t record = offset == UINT32_MAX ? 1 : 1 + 16 + offset;
	put_byte(file, record >> 16 & 0xffU);
	put_byte(file, record >> 8 & 0xffU);
	put_byte(file, record & 0xffU);
}

void mmdb_build(struct mmdb_bytes *file, const struct mmdb_bytes *data, uint32_t left, uint32_t right, uint64_t epoch)
{
	file->size = 0;
	put_record(file, left);
	put_record(file, right);
	memset(file->data + file->size, 0, 16);
	file->size += 16;
	memcpy(file->data + file->size, data->data, data->size);
	file->size += data->size;
	memcpy(file->data + file->size, "\xab\xcd\xefMaxMind.com", 14);
	file->size += 14;
	put_map(file, 9);
	put_text(file, "binary_format_major_version"), put_number(file, 5, 2);
	put_text(file, "binary_format_minor_version"), put_number(file, 5, 0);
	put_text(file, "build_epoch"), put_number(file, 9, epoch);
	put_text(file, "database_type"), put_text(file, "Test");
	put_text(file, "description"), put_map(file, 1), put_text(file, "en"), put_text(file, "a test");
	put_text(file, "ip_version"), put_number(file, 5, 4);
	put_text(file, "node_count"), put_number(file, 6, 1);
	put_text(file, "record_size"), put_number(file, 5, 24);
	put_text(file, "languages"), put_array(file, 1), put_text(file, "en");
}
