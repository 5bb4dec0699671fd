#include "inspect/file_scan.h"

#include "lib/base/clock.h"

#include <stdlib.h>
#include <zlib.h>

enum { INFLATE_STEP = 65536, BYTES_FIRST = 4096 };

bool file_scan_goes_on(struct file_scan *scan)
{
	if (scan->budget->exhausted == NULL && clock_now() >= scan->budget->deadline) {
		scan->budget->exhausted = "out of time";
	}
	return scan->budget->exhausted == NULL;
}

bool file_scan_visit(struct file_scan *scan, const struct file_member *member)
{
	if (scan->visitor == NULL) {
		return true;
	}
	if (!file_scan_goes_on(scan) || !part_budget_part(scan->budget, scan->part->depth + 1)) {
		return false;
	}
	struct part part = {
	    .parent = scan->part,
	    .names = member->names,
	    .type = "",
	    .content = member->encrypted ? (struct slice){"", 0} : member->content,
	    .size = member->size,
	    .encrypted = member->encrypted,
	    .depth = scan->part->depth + 1,
	};
	scan->visitor(scan->context, &part);
	return true;
}

void file_member_name(struct file_member *member, const char *name)
{
	size_t n = 0;
	while (member->names[n] != NULL && strcmp(member->names[n], name) != 0) {
		n++;
	}
	if (n < FILE_MEMBER_NAMES) {
		member->names[n] = name;
	}
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

/* The components of a path that lead up, and those that lead down. */
static unsigned count_components(const char *path, bool up)
{
	unsigned count = 0;
	for (const char *at = path; *at != '\0';) {
		size_t n = strcspn(at, "/\\");
		bool dots = n == 2 && at[0] == '.' && at[1] == '.';
		count += up ? dots : n > 0 && !dots && !(n == 1 && at[0] == '.');
		at += n;
		at += strspn(at, "/\\");
	}
	return count;
}

static bool is_rooted(const char *name)
{
	bool drive = ascii_is_alpha(name[0]) && name[1] == ':';
	return drive || (is_slash(name[0]) && name[strspn(name, "/\\")] != '\0');
}

void file_scan_path(struct file_scan *scan, const char *name)
{
	if (is_rooted(name) || count_components(name, true) > 0) {
		file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE_PATH, "a member leads out of the folder: %s", name);
	}
}

void file_scan_link(struct file_scan *scan, const char *name, const char *target)
{
	if (is_rooted(target) ||
	    (count_components(target, true) > 0 && count_components(target, true) >= count_components(name, false))) {
		file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE_PATH, "a link leads out of the folder: %s -> %s", name,
		                 target);
	}
}

/* The upper half of code page 437, which zip names are in when nothing else is said (APPNOTE appendix D). */
static const uint16_t code_page_437[128] = {
    0xc7,   0xfc,   0xe9,   0xe2,   0xe4,   0xe0,   0xe5,   0xe7,   0xea,   0xeb,   0xe8,   0xef,   0xee,
    0xec,   0xc4,   0xc5,   0xc9,   0xe6,   0xc6,   0xf4,   0xf6,   0xf2,   0xfb,   0xf9,   0xff,   0xd6,
    0xdc,   0xa2,   0xa3,   0xa5,   0x20a7, 0x192,  0xe1,   0xed,   0xf3,   0xfa,   0xf1,   0xd1,   0xaa,
    0xba,   0xbf,   0x2310, 0xac,   0xbd,   0xbc,   0xa1,   0xab,   0xbb,   0x2591, 0x2592, 0x2593, 0x2502,
    0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514,
    0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
    0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c,
    0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x3b1,  0xdf,   0x393,  0x3c0,  0x3a3,  0x3c3,  0xb5,   0x3c4,
    0x3a6,  0x398,  0x3a9,  0x3b4,  0x221e, 0x3c6,  0x3b5,  0x2229, 0x2261, 0xb1,   0x2265, 0x2264, 0x2320,
    0x2321, 0xf7,   0x2248, 0xb0,   0x2219, 0xb7,   0x221a, 0x207f, 0xb2,   0x25a0, 0xa0,
};

static void add_point(struct strbuf *text, uint32_t point)
{
	if (point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0xd800 && point < 0xe000) || point > 0x10ffff) {
		strbuf_add_char(text, '?');
	} else if (point < 0x80) {
		strbuf_add_char(text, (char)point);
	} else if (point < 0x800) {
		strbuf_add_char(text, (char)(0xc0 | point >> 6));
		strbuf_add_char(text, (char)(0x80 | (point & 0x3f)));
	} else if (point < 0x10000) {
		strbuf_add_char(text, (char)(0xe0 | point >> 12));
		strbuf_add_char(text, (char)(0x80 | (point >> 6 & 0x3f)));
		strbuf_add_char(text, (char)(0x80 | (point & 0x3f)));
	} else {
		strbuf_add_char(text, (char)(0xf0 | point >> 18));
		strbuf_add_char(text, (char)(0x80 | (point >> 12 & 0x3f)));
		strbuf_add_char(text, (char)(0x80 | (point >> 6 & 0x3f)));
		strbuf_add_char(text, (char)(0x80 | (point & 0x3f)));
	}
}

/* One character of well-formed UTF-8 (RFC 3629) at `at`: its length, or 0. */
static size_t utf8_next(struct slice text, size_t at, uint32_t *point_r)
{
	const unsigned char *p = (const unsigned char *)text.data + at;
	size_t left = text.len - at, n = p[0] < 0x80   ? 1
	                                 : p[0] < 0xc2 ? 0
	                                 : p[0] < 0xe0 ? 2
	                                 : p[0] < 0xf0 ? 3
	                                 : p[0] < 0xf5 ? 4
	                                               : 0;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (n == 0 || n > left) {
		return 0;
	}
	*point_r = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
		*point_r = *point_r << 6 | (p[i] & 0x3fU);
	}
	return *point_r >= least[n] ? n : 0;
}

static bool is_utf8(struct slice text)
{
	uint32_t point;
	for (size_t at = 0; at < text.len;) {
		size_t n = utf8_next(text, at, &point);
		if (n == 0) {
			return false;
		}
		at += n;
	}
	return true;
}

const char *file_scan_name(struct arena *arena, struct slice raw, bool dos)
{
	struct strbuf text;
	struct slice end = raw.len > FILE_SCAN_NAME_MAX
	                       ? (struct slice){raw.data + raw.len - FILE_SCAN_NAME_MAX, FILE_SCAN_NAME_MAX}
	                       : raw;
	while (end.len < raw.len && end.len > 0 && ((unsigned char)end.data[0] & 0xc0) == 0x80) {
		end.data++;
		end.len--;
	}
	bool good = is_utf8(end);
	strbuf_init(&text, arena);
	for (size_t at = 0; at < end.len;) {
		unsigned char c = (unsigned char)end.data[at];
		uint32_t point = c;
		size_t n = good ? utf8_next(end, at, &point) : 1;
		if (!good && c >= 0x80) {
			point = dos ? code_page_437[c - 0x80] : c < 0xa0 ? '?' : c;
		}
		add_point(&text, point);
		at += n;
	}
	return text.data == NULL ? "" : text.data;
}

const char *file_scan_name_wide(struct arena *arena, struct slice raw, bool big)
{
	struct strbuf text;
	size_t from = raw.len > 2 * FILE_SCAN_NAME_MAX ? (raw.len - 2 * FILE_SCAN_NAME_MAX) & ~(size_t)1 : 0;
	strbuf_init(&text, arena);
	for (size_t i = from; i + 2 <= raw.len; i += 2) {
		const unsigned char *p = (const unsigned char *)raw.data + i;
		uint32_t unit = big ? (uint32_t)(p[0] << 8 | p[1]) : (uint32_t)(p[1] << 8 | p[0]);
		uint32_t next = i + 4 > raw.len ? 0 : big ? (uint32_t)(p[2] << 8 | p[3]) : (uint32_t)(p[3] << 8 | p[2]);
		if (unit == 0) {
			break;
		}
		if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
			unit = 0x10000 + ((unit & 0x3ff) << 10 | (next & 0x3ff));
			i += 2;
		}
		add_point(&text, unit);
	}
	return text.data == NULL ? "" : text.data;
}

static bool grow(struct file_bytes *bytes, size_t need)
{
	size_t capacity = bytes->capacity < BYTES_FIRST ? BYTES_FIRST : bytes->capacity;
	while (capacity < need) {
		capacity += capacity / 2 + BYTES_FIRST;
	}
	char *data = capacity > bytes->capacity ? realloc(bytes->data, capacity) : bytes->data;
	if (data == NULL) {
		return false;
	}
	bytes->data = data;
	bytes->capacity = capacity;
	return true;
}

bool file_bytes_add(struct file_bytes *bytes, struct part_budget *budget, const void *data, size_t n)
{
	if (!part_budget_bytes(budget, n)) {
		return false;
	}
	if (!grow(bytes, bytes->len + n)) {
		budget->exhausted = budget->exhausted == NULL ? "out of memory" : budget->exhausted;
		return false;
	}
	if (n > 0) {
		memcpy(bytes->data + bytes->len, data, n);
	}
	bytes->len += n;
	return true;
}

void file_bytes_free(struct file_bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct file_bytes){.data = NULL};
}

static int inflate_some(z_stream *stream, struct part_budget *budget, size_t most, struct file_bytes *bytes)
{
	unsigned char out[INFLATE_STEP];
	int status = Z_OK;
	while (status == Z_OK) {
		stream->next_out = out;
		stream->avail_out = sizeof out;
		status = inflate(stream, Z_NO_FLUSH);
		size_t n = sizeof out - stream->avail_out;
		if (n > most - bytes->len) {
			n = most - bytes->len;
			status = Z_BUF_ERROR;
		}
		if (!file_bytes_add(bytes, budget, out, n)) {
			return Z_MEM_ERROR;
		}
		if (clock_now() >= budget->deadline) {
			budget->exhausted = budget->exhausted == NULL ? "out of time" : budget->exhausted;
			return Z_MEM_ERROR;
		}
	}
	return status;
}

bool file_inflate(struct part_budget *budget, struct slice packed, bool raw, size_t most, struct file_bytes *bytes,
                  size_t *used_r)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)packed.data,
	                   .avail_in = packed.len > UINT32_MAX ? UINT32_MAX : (uInt)packed.len};
	if (inflateInit2(&stream, raw ? -MAX_WBITS : MAX_WBITS) != Z_OK) {
		return false;
	}
	uInt given = stream.avail_in;
	int status = inflate_some(&stream, budget, most, bytes);
	if (used_r != NULL) {
		*used_r = given - stream.avail_in;
	}
	inflateEnd(&stream);
	return status == Z_STREAM_END;
}
