#include "lib/report/dmarc_uri.h"

#include <stdint.h>

enum { ADDRESS_MAX = 320, LIMIT_MAX = 1 << 20 };

static int hex(char c)
{
	return ascii_is_digit(c)                                ? c - '0'
	       : ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f' ? ascii_lower(c) - 'a' + 10
	                                                        : -1;
}

/* RFC 3986 2.1. False: a percent sign without two digits, or what no address holds. */
static bool percent_decode(struct slice text, char out[ADDRESS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (n + 1 == ADDRESS_MAX) {
			return false;
		}
		if (c == '%') {
			int high = i + 2 < text.len ? hex(text.data[i + 1]) : -1;
			int low = high >= 0 ? hex(text.data[i + 2]) : -1;
			if (low < 0) {
				return false;
			}
			c = (char)(high * 16 + low);
			i += 2;
		}
		if ((unsigned char)c <= ' ' || (unsigned char)c == 0x7f || c == '<' || c == '>' || c == ',') {
			return false;
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0;
}

/* "10m": with k, m, g or t of 1024. False: no such limit. */
static bool parse_limit(struct slice text, uint64_t *limit_r)
{
	static const char units[] = "kmgt";
	unsigned long long number;
	unsigned shift = 0;
	const char *unit = text.len > 0 ? strchr(units, ascii_lower(text.data[text.len - 1])) : NULL;
	if (unit != NULL && *unit != '\0') {
		shift = 10 * (unsigned)(unit - units + 1);
		text.len--;
	}
	if (!slice_to_uint(text, LIMIT_MAX, &number)) {
		return false;
	}
	*limit_r = (uint64_t)number << shift;
	return true;
}

static bool parse_one(struct arena *arena, struct slice text, struct dmarc_uri *uri_r)
{
	static const struct slice scheme = {"mailto:", sizeof "mailto:" - 1};
	char decoded[ADDRESS_MAX];
	text = slice_trim(text);
	if (!slice_starts_nocase(text, scheme)) {
		return false;
	}
	text = (struct slice){text.data + scheme.len, text.len - scheme.len};
	size_t mark = slice_find(text, '!', 0);
	*uri_r = (struct dmarc_uri){.size_max = 0};
	if (mark < text.len && !parse_limit((struct slice){text.data + mark + 1, text.len - mark - 1}, &uri_r->size_max)) {
		return false;
	}
	text.len = slice_find((struct slice){text.data, mark}, '?', 0);
	return percent_decode(text, decoded) &&
	       address_parse_path(arena, arena_printf(arena, "<%s>", decoded), &uri_r->address) &&
	       uri_r->address.local[0] != '\0' && uri_r->address.domain[0] != '\0';
}

size_t dmarc_uri_parse(struct arena *arena, struct slice list, struct dmarc_uri uris_r[DMARC_URI_MAX])
{
	struct slice piece;
	size_t count = 0;
	if (list.len == 0) {
		return 0;
	}
	while (count < DMARC_URI_MAX && slice_split(&list, ',', &piece)) {
		bool known = !parse_one(arena, piece, &uris_r[count]);
		for (size_t i = 0; i < count && !known; i++) {
			known = slice_equal_nocase(slice_from(uris_r[i].address.text), slice_from(uris_r[count].address.text));
		}
		count += !known;
	}
	return count;
}
