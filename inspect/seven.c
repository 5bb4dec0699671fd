#include "inspect/seven.h"

#include "inspect/file_format.h"

enum {
	START = 32,
	END = 0,
	HEADER = 1,
	MAIN_STREAMS = 4,
	PACK_INFO = 6,
	UNPACK_INFO = 7,
	SIZES = 9,
	DIGESTS = 10,
	FOLDERS = 11,
	ENCODED = 23
};

/* The number of leading ones in the first byte says how many bytes follow. */
static uint64_t number(struct slice header, size_t *at)
{
	unsigned first = *at < header.len ? (unsigned char)header.data[(*at)++] : 0;
	uint64_t value = 0;
	unsigned mask = 0x80, shift = 0;
	for (; mask != 0 && (first & mask) != 0; mask >>= 1, shift += 8) {
		value |= (uint64_t)(*at < header.len ? (unsigned char)header.data[*at] : 0) << shift;
		*at += 1;
	}
	return mask == 0 ? value : value | (uint64_t)(first & (mask - 1)) << shift;
}

static void skip_digests(struct slice header, size_t *at, uint64_t count)
{
	uint64_t defined = count;
	if (*at < header.len && header.data[(*at)++] == 0) {
		defined = 0;
		for (uint64_t i = 0; i < count; i++) {
			size_t byte = *at + (size_t)(i / 8);
			defined += byte < header.len && ((unsigned char)header.data[byte] & 0x80U >> (i % 8)) != 0;
		}
		*at += (size_t)(count + 7) / 8;
	}
	*at += (size_t)defined * 4;
}

/* Sizes and checksums of the packed streams; each takes a byte at least. */
static bool skip_pack_info(struct slice header, size_t *at)
{
	number(header, at);
	uint64_t count = number(header, at);
	if (count > header.len) {
		return false;
	}
	for (uint64_t id; (id = number(header, at)) != END && *at < header.len;) {
		if (id == SIZES) {
			for (uint64_t i = 0; i < count; i++) {
				number(header, at);
			}
		} else if (id == DIGESTS) {
			skip_digests(header, at, count);
		} else {
			return true;
		}
	}
	return true;
}

bool seven_is_plausible(struct slice content)
{
	uint64_t offset = bytes_le64(content, 12), size = bytes_le64(content, 20);
	size_t at = 0;
	if (!bytes_are(content, 0, "7z\xbc\xaf\x27\x1c", 6) || offset >= content.len || size > content.len) {
		return true;
	}
	struct slice header = bytes_part(content, START + (size_t)offset, (size_t)size);
	uint64_t id = number(header, &at);
	id = id == HEADER ? number(header, &at) : id == ENCODED ? MAIN_STREAMS : END;
	if (id != MAIN_STREAMS) {
		return true;
	}
	id = number(header, &at);
	if (id == PACK_INFO) {
		if (!skip_pack_info(header, &at)) {
			return false;
		}
		id = number(header, &at);
	}
	return id != UNPACK_INFO || number(header, &at) != FOLDERS || number(header, &at) <= header.len;
}
