#include "inspect/office.h"

#include "inspect/file_format.h"
#include "inspect/file_text.h"
#include "inspect/ole.h"
#include "inspect/vba.h"

#include <stdlib.h>

enum {
	STREAM_MAX = 64 << 20,
	WORD_ENCRYPTED = 0x0100, /* FibBase.fEncrypted, [MS-DOC] 2.5.2 */
	NESTING_MAX = 3,         /* an OLE file in a presentation in a presentation */
};

struct walk {
	struct file_scan *scan;
	struct ole *ole;
	unsigned nesting;
};

static void walk_nested(struct file_scan *scan, struct slice content, unsigned nesting);

/* What a file is by the streams in its root storage. */
static const struct {
	const char *stream, *type;
} known_streams[] = {
    {"WordDocument", "application/msword"},
    {"Workbook", "application/vnd.ms-excel"},
    {"Book", "application/vnd.ms-excel"},
    {"PowerPoint Document", "application/vnd.ms-powerpoint"},
    {"__properties_version1.0", "application/vnd.ms-outlook"},
    {"VisioDocument", "application/vnd.visio"},
    {"EncryptedPackage", "application/x-ooxml-encrypted"},
    {"Quill", "application/vnd.ms-publisher"},
    {"FileHeader", "application/x-hwp"},
    {"Catalog", "image/x-ms-thumbnails"},
};

/* Class ids (in the order of bytes of the file) of the root storage or of embedded objects. */
static const struct {
	unsigned char id[8]; /* what differs: the rest is the same for each family */
	enum file_class class;
	const char *type, *what;
} known_ids[] = {
    {{0x84, 0x10, 0x0c, 0, 0, 0, 0, 0}, FILE_CLASS_INSTALLER, "application/x-msi", "a Windows Installer package"},
    {{0x86, 0x10, 0x0c, 0, 0, 0, 0, 0}, FILE_CLASS_INSTALLER, "application/x-ms-patch", "a Windows Installer patch"},
    {{0x82, 0x10, 0x0c, 0, 0, 0, 0, 0}, FILE_CLASS_INSTALLER, "application/x-msi", "a Windows Installer transform"},
    {{0x02, 0xce, 0x02, 0, 0, 0, 0, 0}, FILE_CLASS_OFFICE_ACTIVE, NULL, "an object of the Equation Editor"},
    {{0x0c, 0, 0x03, 0, 0, 0, 0, 0}, FILE_CLASS_OFFICE_ACTIVE, NULL, "a package object"},
    {{0x27, 0xda, 0xec, 0xd8, 0x6d, 0x7f, 0x1a, 0x4c}, FILE_CLASS_OFFICE_ACTIVE, NULL, "a Flash object"},
    {{0x0b, 0x51, 0x6a, 0x8b, 0x79, 0x91, 0xcf, 0x11}, FILE_CLASS_OFFICE_ACTIVE, NULL, "a Shell.Explorer object"},
};

static void free_text(struct slice text)
{
	free((char *)(uintptr_t)text.data);
}

static struct slice read_stream(struct walk *walk, const struct ole_entry *entry, struct file_bytes *bytes)
{
	ole_read(walk->ole, entry, STREAM_MAX, walk->scan->budget, bytes);
	return (struct slice){bytes->data == NULL ? "" : bytes->data, bytes->len};
}

static void examine_source(struct walk *walk, struct slice source)
{
	struct slice text;
	file_text_plain(source, &text);
	const char *name = vba_auto_name(text), *what = vba_suspicion(text);
	if (name != NULL) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_MACRO_AUTO, "a macro runs by itself: %s%s%s", name,
		                 what == NULL ? "" : "; it ", what == NULL ? "" : what);
	}
	free_text(text);
}

/* Everything in a storage named VBA: modules by their source, and the identifiers in _VBA_PROJECT, which stay when the
 * source was taken out so that only compiled code is left. */
static void examine_vba(struct walk *walk, const struct ole_entry *entry)
{
	struct file_bytes bytes = {.data = NULL}, source = {.data = NULL};
	struct slice stream = read_stream(walk, entry, &bytes);
	file_verdict_add(walk->scan->verdict, FILE_CLASS_MACRO, "macros: a VBA project");
	if (strcmp(entry->name, "_VBA_PROJECT") == 0 || strncmp(entry->name, "__SRP_", 6) == 0) {
		examine_source(walk, stream);
	} else if (vba_module_source(stream, walk->scan->budget, &source)) {
		examine_source(walk, (struct slice){source.data == NULL ? "" : source.data, source.len});
	}
	file_bytes_free(&source);
	file_bytes_free(&bytes);
}

/* A field that begins (0x13) with the word DDE or DDEAUTO. */
static void examine_word(struct walk *walk, struct slice stream)
{
	struct slice text;
	if ((bytes_le16(stream, 10) & WORD_ENCRYPTED) != 0) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_DOCUMENT_ENCRYPTED, "a Word document with a password");
		return;
	}
	file_text_plain(stream, &text);
	for (size_t at = slice_find(text, 0x13, 0); at < text.len; at = slice_find(text, 0x13, at + 1)) {
		struct slice field = slice_trim(bytes_part(text, at + 1, 40));
		if (slice_starts_nocase(field, SLICE_LITERAL("dde")) && field.len > 4 &&
		    (field.data[3] == ' ' || field.data[3] == 'a')) {
			file_verdict_add(walk->scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "a field starts a program (DDE)");
		}
	}
	free_text(text);
}

static void examine_current_user(struct walk *walk, struct slice stream)
{
	if (bytes_le32(stream, 12) == 0xf3d1c4df) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_DOCUMENT_ENCRYPTED, "a presentation with a password");
	}
}

/* PowerPoint packs embedded files, and its macros, into records of its one stream: type 0x1011, instance 1 is packed by
 * zlib behind the size ([MS-PPT] 2.10.34). */
static void examine_powerpoint(struct walk *walk, struct slice stream)
{
	for (size_t at = 0; at + 8 <= stream.len && file_scan_goes_on(walk->scan);) {
		uint32_t version = bytes_le16(stream, at), type = bytes_le16(stream, at + 2), size = bytes_le32(stream, at + 4);
		struct slice body = bytes_part(stream, at + 8, size);
		struct file_bytes bytes = {.data = NULL};
		if (type == 0x1011 && version >> 4 == 1) {
			file_inflate(walk->scan->budget, bytes_part(body, 4, body.len), false, STREAM_MAX, &bytes, NULL);
			body = (struct slice){bytes.data == NULL ? "" : bytes.data, bytes.len};
		}
		if (type == 0x1011) {
			struct file_member member = {.names = {"object.bin"}, .content = body, .size = body.len};
			file_scan_visit(walk->scan, &member);
			walk_nested(walk->scan, body, walk->nesting + 1);
		} else if (type == 0x1012 || type == 0x0fee) {
			file_verdict_add(walk->scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "an ActiveX control");
		}
		file_bytes_free(&bytes);
		at += (version & 0xf) == 0xf ? 8 : 8 + (size_t)size; /* a container's records follow */
	}
}

static struct slice text_at(struct slice data, size_t *at)
{
	struct slice rest = bytes_part(data, *at, FILE_SCAN_NAME_MAX);
	size_t end = slice_find(rest, '\0', 0);
	*at += end + 1;
	return bytes_part(rest, 0, end);
}

void office_visit_native(struct file_scan *scan, struct slice native)
{
	struct file_member member = {.names = {NULL}};
	size_t at = 6;
	struct slice label = text_at(native, &at), path = text_at(native, &at);
	at += 4; /* what kind it is */
	uint32_t temporary = bytes_le32(native, at);
	struct slice place = bytes_part(native, at + 4, temporary);
	at += 4 + (size_t)temporary;
	uint32_t size = bytes_le32(native, at);
	struct slice content = bytes_part(native, at + 4, size);
	if (label.len == 0 || bytes_le16(native, 4) != 2 || content.len == 0) {
		return; /* data of some program, not a package */
	}
	place.len = slice_find(place, '\0', 0);
	file_member_name(&member, file_scan_name(scan->arena, label, true));
	file_member_name(&member, file_scan_name(scan->arena, path, true));
	file_member_name(&member, file_scan_name(scan->arena, place, true));
	file_verdict_add(scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "an embedded file: %s", member.names[0]);
	member.content = content;
	member.size = size;
	file_scan_visit(scan, &member);
}

static void visit_stream(struct walk *walk, const char *name, struct slice content)
{
	struct file_member member = {.names = {name}, .content = content, .size = content.len};
	file_scan_visit(walk->scan, &member);
}

/* The name of an attachment of an Outlook message stands in streams of its storage ([MS-OXMSG] 2.2.2). */
static void visit_attachment(struct walk *walk, const struct ole_entry *entry)
{
	static const struct {
		const char *stream;
		bool wide;
	} names[] = {{"__substg1.0_3707001F", true},  {"__substg1.0_3707001E", false}, {"__substg1.0_3704001F", true},
	             {"__substg1.0_3704001E", false}, {"__substg1.0_3001001F", true},  {"__substg1.0_3001001E", false}};
	struct file_member member = {.names = {NULL}};
	struct file_bytes bytes = {.data = NULL};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct ole_entry *named = ole_find(walk->ole, entry->parent, names[i].stream);
		if (named == NULL) {
			continue;
		}
		struct file_bytes text = {.data = NULL};
		ole_read(walk->ole, named, 2 * FILE_SCAN_NAME_MAX, walk->scan->budget, &text);
		struct slice raw = {text.data == NULL ? "" : text.data, text.len};
		file_member_name(&member, names[i].wide ? file_scan_name_wide(walk->scan->arena, raw, false)
		                                        : file_scan_name(walk->scan->arena, raw, false));
		file_bytes_free(&text);
	}
	member.content = read_stream(walk, entry, &bytes);
	member.size = entry->size;
	file_scan_visit(walk->scan, &member);
	file_bytes_free(&bytes);
}

static bool is_in_vba(const struct ole *ole, const struct ole_entry *entry)
{
	return entry->parent >= 0 && slice_equal_nocase(slice_from(ole->entries[entry->parent].name), SLICE_LITERAL("VBA"));
}

typedef void stream_examiner(struct walk *walk, struct slice stream);

static void examine_workbook(struct walk *walk, struct slice stream)
{
	office_excel_stream(stream, walk->scan->verdict);
}

static void examine_native(struct walk *walk, struct slice stream)
{
	office_visit_native(walk->scan, stream);
}

static void examine_package(struct walk *walk, struct slice stream)
{
	visit_stream(walk, "package", stream);
}

static void examine_equation(struct walk *walk, struct slice stream)
{
	(void)stream;
	file_verdict_add(walk->scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "an object of the Equation Editor");
}

static void examine_control(struct walk *walk, struct slice stream)
{
	(void)stream;
	file_verdict_add(walk->scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "an ActiveX control");
}

static void examine_encrypted(struct walk *walk, struct slice stream)
{
	(void)stream;
	file_verdict_add(walk->scan->verdict, FILE_CLASS_DOCUMENT_ENCRYPTED, "an office document with a password");
}

static const struct {
	const char *name;
	stream_examiner *examine;
} examiners[] = {
    {"WordDocument", examine_word},
    {"Workbook", examine_workbook},
    {"Book", examine_workbook},
    {"PowerPoint Document", examine_powerpoint},
    {"Current User", examine_current_user},
    {"\1Ole10Native", examine_native},
    {"Package", examine_package},
    {"CONTENTS", examine_package},
    {"Equation Native", examine_equation},
    {"\3OCXNAME", examine_control},
    {"\3OCXDATA", examine_control},
    {"EncryptedPackage", examine_encrypted},
    {"EncryptedSummary", examine_encrypted},
};

static void examine_stream(struct walk *walk, const struct ole_entry *entry)
{
	if (is_in_vba(walk->ole, entry) || strcmp(entry->name, "_VBA_PROJECT") == 0) {
		examine_vba(walk, entry);
		return;
	}
	if (strncmp(entry->name, "__substg1.0_37010102", 20) == 0) {
		visit_attachment(walk, entry);
		return;
	}
	for (size_t i = 0; i < sizeof examiners / sizeof *examiners; i++) {
		if (slice_equal_nocase(slice_from(entry->name), slice_from(examiners[i].name))) {
			struct file_bytes bytes = {.data = NULL};
			examiners[i].examine(walk, read_stream(walk, entry, &bytes));
			file_bytes_free(&bytes);
		}
	}
}

static void examine_ids(struct walk *walk, const struct ole_entry *entry)
{
	for (size_t i = 0; i < sizeof known_ids / sizeof *known_ids; i++) {
		if (memcmp(entry->class_id, known_ids[i].id, sizeof known_ids[i].id) == 0) {
			file_verdict_add(walk->scan->verdict, known_ids[i].class, "content is or has %s", known_ids[i].what);
			if (entry->kind == OLE_KIND_ROOT && known_ids[i].type != NULL) {
				walk->scan->verdict->type = known_ids[i].type;
			}
		}
	}
}

static void find_type(struct walk *walk)
{
	for (size_t i = 0; i < sizeof known_streams / sizeof *known_streams; i++) {
		if (ole_find(walk->ole, 0, known_streams[i].stream) != NULL) {
			walk->scan->verdict->type = known_streams[i].type;
			break;
		}
	}
	if (strcmp(walk->scan->verdict->type, "application/vnd.ms-outlook") == 0) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_MESSAGE, "an Outlook message");
	}
}

static void walk_nested(struct file_scan *scan, struct slice content, unsigned nesting)
{
	struct walk walk = {.scan = scan, .nesting = nesting};
	struct arena *arena = arena_create(65536);
	walk.ole = nesting > NESTING_MAX ? NULL : ole_open(content, arena);
	if (walk.ole != NULL) {
		if (content.data == scan->part->content.data) {
			find_type(&walk);
		}
		for (size_t i = 0; i < walk.ole->count && file_scan_goes_on(scan); i++) {
			const struct ole_entry *entry = &walk.ole->entries[i];
			if (entry->kind == OLE_KIND_STREAM) {
				examine_stream(&walk, entry);
			} else if (entry->kind != OLE_KIND_NONE) {
				examine_ids(&walk, entry);
			}
		}
		if (walk.ole->broken) {
			file_verdict_add(scan->verdict, FILE_CLASS_DOCUMENT_BROKEN, "the OLE structure is damaged");
		}
	}
	arena_destroy(arena);
}

void office_walk(struct file_scan *scan, struct slice content)
{
	walk_nested(scan, content, 0);
}
