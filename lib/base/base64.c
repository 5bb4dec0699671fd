#include "lib/base/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_value(char c)
{
	const char *at = c == '\0' ? NULL : strchr(digits, c);
	return at == NULL ? -1 : (int)(at - digits);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool base64_decode(struct arena *arena, struct slice text, struct slice *bytes_r)
{
	char *out = arena_alloc(arena, text.len / 4 * 3 + 3);
	size_t digits_seen = 0;
	size_t padding = 0;
	size_t n = 0;
	uint32_t bits = 0;
	for (size_t i = 0; i < text.len; i++) {
		int value = digit_value(text.data[i]);
		if (is_space(text.data[i])) {
			continue;
		}
		if (text.data[i] == '=') {
			padding++;
			continue;
		}
		if (value < 0 || padding > 0) {
			return false;
		}
		bits = (bits << 6 | (uint32_t)value) & 0xffffffU;
		if (digits_seen++ % 4 != 0) {
			size_t left = (4 - digits_seen % 4) % 4 * 2; /* bits that belong to the next byte */
			out[n++] = (char)(bits >> left & 0xffU);
		}
	}
	*bytes_r = (struct slice){out, n};
	return digits_seen % 4 != 1 && (padding == 0 || (digits_seen + padding) % 4 == 0) && padding <= 2;
}

const char *base64_encode(struct arena *arena, struct slice bytes)
{
	char *out = arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);
	char *to = out;
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
		uint32_t bits = 0;
		for (size_t k = 0; k < 3; k++) {
			bits = bits << 8 | (k < have ? (unsigned char)bytes.data[i + k] : 0U);
		}
		for (size_t k = 0; k < 4; k++) {
			*to++ = '=';
			if (k <= have) {
				to[-1] = digits[bits >> (18 - 6 * k) & 63U];
			}
		}
	}
	*to = '\0';
	return out;
}
