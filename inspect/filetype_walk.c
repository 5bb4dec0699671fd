/* filetype_walk(): who opens what. */
#include "inspect/filetype.h"

#include "inspect/archive.h"
#include "inspect/cab.h"
#include "inspect/document.h"
#include "inspect/file_format.h"
#include "inspect/file_scan.h"
#include "inspect/file_text.h"
#include "inspect/office.h"
#include "inspect/ooxml.h"
#include "inspect/rar.h"
#include "inspect/zip.h"

enum { APPENDED_MAX = 8, ACTIVE_MIME_HEADER_MAX = 128 };

static void walk_zip(struct file_scan *scan, struct slice content)
{
	struct ooxml office = {.type = NULL};
	scan->office = &office;
	zip_walk(scan, content);
	ooxml_finish(&office, scan->verdict);
	scan->office = NULL;
}

typedef void walker(struct file_scan *scan, struct slice content);

/* Archives that stand behind a program which unpacks them, or behind anything else. */
static const struct {
	const char *bytes;
	size_t length;
	walker *walk;
	const char *what;
} appended[] = {
    {"Rar!\x1a\x07", 6, rar_walk, "a rar archive"},
    {"7z\xbc\xaf\x27\x1c", 6, archive_walk, "a 7z archive"},
    {"MSCF\0\0\0\0", 8, cab_walk, "a cabinet"},
};

/* Headers that a program only mentions in its code are not archives: the next bytes must fit. */
static bool is_plausible(struct slice found)
{
	if (bytes_are(found, 0, "MSCF", 4)) {
		return bytes_le32(found, 8) <= found.len && bytes_le32(found, 8) > 36 && bytes_are(found, 24, "\3\1", 2);
	}
	if (bytes_are(found, 0, "7z", 2)) {
		return found.len > 32 && found.data[6] == '\0' && bytes_le64(found, 12) + bytes_le64(found, 20) <= found.len;
	}
	return found.len > 20 && ((unsigned char)found.data[6] <= 1);
}

static void walk_appended(struct file_scan *scan, struct slice content)
{
	for (size_t i = 0; i < sizeof appended / sizeof *appended; i++) {
		struct slice pattern = {appended[i].bytes, appended[i].length};
		size_t at = bytes_find(content, pattern, 1);
		for (unsigned tries = 0; at < content.len && tries < APPENDED_MAX; tries++) {
			struct slice found = bytes_part(content, at, content.len);
			if (is_plausible(found)) {
				file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE, "%s in a program", appended[i].what);
				appended[i].walk(scan, found);
				break;
			}
			at = bytes_find(content, pattern, at + 1);
		}
	}
}

/* A zip archive is found from its end: anything can stand before it. */
static bool walk_tail(struct file_scan *scan, struct slice content, bool strict)
{
	bool found = zip_has_tail(content, strict);
	if (found) {
		file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE, "a zip archive behind something else");
		walk_zip(scan, content);
	}
	return found;
}

/* Office keeps macros of web archives and of XML documents so: a header, then an OLE file packed by zlib. */
static void walk_active_mime(struct file_scan *scan, struct slice content)
{
	struct file_bytes bytes = {.data = NULL};
	size_t at = bytes_find(bytes_part(content, 0, ACTIVE_MIME_HEADER_MAX), SLICE_LITERAL("\x78"), 10);
	file_inflate(scan->budget, bytes_part(content, at, content.len), false, SIZE_MAX, &bytes, NULL);
	if (bytes.len > 0) {
		office_walk(scan, (struct slice){bytes.data, bytes.len});
	}
	file_bytes_free(&bytes);
}

static bool is_excel_stream(struct slice content)
{
	uint32_t id = bytes_le16(content, 0), size = bytes_le16(content, 2), what = bytes_le16(content, 6);
	return (id == 0x0009 || id == 0x0209 || id == 0x0409 || id == 0x0809) && size >= 4 && size <= 16 &&
	       (what == 0x0005 || what == 0x0006 || what == 0x0010 || what == 0x0020 || what == 0x0040 || what == 0x0100);
}

static void walk_other(struct file_scan *scan, struct slice content)
{
	if (bytes_are(content, 0, "ActiveMime", 10)) {
		walk_active_mime(scan, content);
	} else if (is_excel_stream(content)) {
		scan->verdict->type = "application/vnd.ms-excel";
		office_excel_stream(content, scan->verdict);
	}
	bool zip = walk_tail(scan, content, false);
	if (zip || !file_verdict_has(scan->verdict, FILE_CLASS_ARCHIVE) || file_text_is(content)) {
		return;
	}
	if (bytes_find(content, SLICE_LITERAL("PK\3\4"), 0) < content.len) {
		walk_zip(scan, content);
	} else {
		file_verdict_add(scan->verdict, FILE_CLASS_ARCHIVE_UNKNOWN, "named as an archive, and none that is known here");
	}
}

static void walk(struct file_scan *scan, struct slice content)
{
	switch (file_format_detect(content).format) {
	case FILE_FORMAT_PROGRAM:
		walk_appended(scan, content);
		walk_tail(scan, content, true);
		break;
	case FILE_FORMAT_ZIP:
		walk_zip(scan, content);
		break;
	case FILE_FORMAT_RAR:
		rar_walk(scan, content);
		walk_tail(scan, content, true);
		break;
	case FILE_FORMAT_CAB:
		cab_walk(scan, content);
		walk_tail(scan, content, true);
		break;
	case FILE_FORMAT_PACKED:
		archive_unpack(scan, content);
		walk_tail(scan, content, true);
		break;
	case FILE_FORMAT_LIBARCHIVE:
		archive_walk(scan, content);
		walk_tail(scan, content, true);
		break;
	case FILE_FORMAT_OLE:
		office_walk(scan, content);
		break;
	case FILE_FORMAT_RTF:
		rtf_walk(scan, content);
		walk_tail(scan, content, true);
		break;
	case FILE_FORMAT_PDF:
		pdf_walk(scan, content);
		walk_tail(scan, content, true);
		break;
	case FILE_FORMAT_ONENOTE:
		onenote_walk(scan, content);
		break;
	case FILE_FORMAT_CLOSED:
	case FILE_FORMAT_SHORTCUT:
	case FILE_FORMAT_OTHER:
		walk_other(scan, content);
		break;
	}
}

void filetype_walk(const struct part *part, struct part_budget *budget, part_visitor *visitor, void *context,
                   struct file_verdict *verdict)
{
	struct file_scan scan = {
	    .part = part, .budget = budget, .visitor = visitor, .context = context, .verdict = verdict};
	if (part->encrypted || part->content.len == 0 || budget->exhausted != NULL) {
		return;
	}
	scan.arena = arena_create(4096);
	walk(&scan, part->content);
	arena_destroy(scan.arena);
	if (budget->exhausted != NULL) {
		file_verdict_add(verdict, FILE_CLASS_ARCHIVE_BOMB, "%s", budget->exhausted);
	}
}
