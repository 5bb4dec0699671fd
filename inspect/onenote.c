#include "inspect/document.h"
#include "inspect/file_format.h"

enum { FILES_MAX = 256, NAMES_MAX = 64, NAME_LETTERS_MAX = 260, EXTENSION_MAX = 12, HEAD = 36 };

/* FileDataStoreObject.guidHeader, {BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC} */
static const struct slice store_id = {"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac", 16};

static bool is_letter(struct slice content, size_t at)
{
	uint32_t unit = bytes_le16(content, at);
	return at + 2 <= content.len && unit >= 0x20 && unit != 0x7f &&
	       strchr("<>\"|?*", unit < 0x80 ? (int)unit : 'a') == NULL;
}

/* Names are texts in UTF-16 far from the files. What ends like one is taken for one: a name alone shows what it is. */
static void visit_name(struct file_scan *scan, struct slice content, size_t start, size_t end)
{
	struct slice raw = bytes_part(content, start, end - start);
	const char *name = file_scan_name_wide(scan->arena, raw, false);
	const char *dot = strrchr(name, '.');
	if (dot == NULL || dot == name ||
	    file_class_of_extension(slice_from(slice_dup_lower(scan->arena, slice_from(dot + 1)))) == 0) {
		return;
	}
	struct file_member member = {.names = {name}};
	file_scan_visit(scan, &member);
}

static void visit_names(struct file_scan *scan, struct slice content)
{
	unsigned found = 0;
	for (size_t at = 0; at + 2 <= content.len && found < NAMES_MAX && file_scan_goes_on(scan);) {
		size_t start = at;
		bool dot = false;
		while (is_letter(content, at) && bytes_le16(content, at) < 0x3000) {
			dot = dot || (content.data[at] == '.' && content.data[at + 1] == '\0');
			at += 2;
		}
		size_t letters = (at - start) / 2;
		if (dot && letters > 3 && letters <= NAME_LETTERS_MAX) {
			visit_name(scan, content, start, at);
			found++;
		}
		at = at == start ? at + 1 : at;
	}
}

void onenote_walk(struct file_scan *scan, struct slice content)
{
	unsigned found = 0;
	for (size_t at = bytes_find(content, store_id, 0); at < content.len && found < FILES_MAX;
	     at = bytes_find(content, store_id, at + store_id.len)) {
		uint64_t size = bytes_le64(content, at + 16);
		struct slice file = bytes_part(content, at + HEAD, size < content.len ? (size_t)size : content.len);
		struct file_member member = {
		    .names = {arena_printf(scan->arena, "embedded-%u", ++found)}, .content = file, .size = size};
		if (file.len > 0 && !file_scan_visit(scan, &member)) {
			return;
		}
	}
	if (found > 0) {
		visit_names(scan, content);
	}
}
