#include "t/messages.h"

#include <stdint.h>

/* In two pieces, so that no scanner trips over this file. */
static const char eicar_head[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-";
static const char eicar_tail[] = "ANTIVIRUS-TEST-FILE!$H+H*";

struct slice message_eicar(struct arena *arena)
{
	const char *text = arena_printf(arena, "%s%s", eicar_head, eicar_tail);
	return slice_from(text);
}

const char *message_base64(struct arena *arena, struct slice data)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; i < data.len; i += 3) {
		uint32_t group = 0;
		for (size_t k = 0; k < 3; k++) {
			group = group << 8 | (i + k < data.len ? (unsigned char)data.data[i + k] : 0U);
		}
		for (size_t k = 0; k < 4; k++) {
			strbuf_add_char(&out, i + k > data.len ? '=' : digits[group >> (18 - 6 * k) & 63]);
		}
		if (i % 57 == 54) {
			strbuf_add_text(&out, "\r\n");
		}
	}
	return out.data;
}

static uint32_t crc32_of(struct slice data)
{
	uint32_t crc = ~0U;
	for (size_t i = 0; i < data.len; i++) {
		crc ^= (unsigned char)data.data[i];
		for (int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (0xedb88320U & (0U - (crc & 1U)));
		}
	}
	return ~crc;
}

static void put_le(struct strbuf *out, uint32_t value, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		strbuf_add_char(out, (char)(value >> (8 * i) & 255));
	}
}

/* One stored member. */
struct slice message_zip(struct arena *arena, const char *name, struct slice data)
{
	struct strbuf out;
	uint32_t n = (uint32_t)data.len;
	uint32_t name_length = (uint32_t)strlen(name);
	uint32_t crc = crc32_of(data);
	strbuf_init(&out, arena);
	for (int central = 0; central < 2; central++) {
		put_le(&out, central ? 0x02014b50 : 0x04034b50, 4);
		put_le(&out, 20, central ? 2 : 0);
		put_le(&out, 20, 2);
		put_le(&out, 0, 2); /* flags */
		put_le(&out, 0, 2); /* stored */
		put_le(&out, 0x21U << 16, 4);
		put_le(&out, crc, 4);
		put_le(&out, n, 4);
		put_le(&out, n, 4);
		put_le(&out, name_length, 2);
		put_le(&out, 0, 2);
		for (int i = 0; central && i < 7; i++) {
			put_le(&out, 0, 2); /* comment, disk, attributes, offset */
		}
		strbuf_add(&out, name, name_length);
		if (!central) {
			strbuf_add_slice(&out, data);
		}
	}
	put_le(&out, 0x06054b50, 4);
	put_le(&out, 0, 4);
	put_le(&out, 1, 2);
	put_le(&out, 1, 2);
	put_le(&out, 46 + name_length, 4);
	put_le(&out, 30 + name_length + n, 4);
	put_le(&out, 0, 2);
	return (struct slice){out.data, out.len};
}

const char *message_attach(struct arena *arena, const char *first_field, const char *name, struct slice data)
{
	return arena_printf(
	    arena,
	    "%sContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n"
	    "--b\r\nContent-Type: application/octet-stream; name=%s\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n",
	    first_field, name, message_base64(arena, data));
}
