/* The records of an Excel workbook ([MS-XLS] 2.3): sheets of macros, names that run by themselves, links to programs.
 */
#include "inspect/file_format.h"
#include "inspect/office.h"

enum {
	RECORD_BOF2 = 0x0009,
	RECORD_BOF3 = 0x0209,
	RECORD_BOF4 = 0x0409,
	RECORD_BOF = 0x0809,
	RECORD_NAME = 0x0018,
	RECORD_NAME3 = 0x0218,
	RECORD_FILEPASS = 0x002f,
	RECORD_BOUNDSHEET = 0x0085,
	RECORD_SUPBOOK = 0x01ae,
	RECORD_EXTERNSHEET = 0x0017,
	RECORD_OBPROJ = 0x00d3,
	SHEET_MACRO = 0x0040, /* what a BOF record begins */
	BOUND_MACRO = 1,
	NAME_BUILTIN = 0x20,
};

static bool is_bof(uint32_t id)
{
	return id == RECORD_BOF || id == RECORD_BOF2 || id == RECORD_BOF3 || id == RECORD_BOF4;
}

static void macro(struct file_verdict *verdict)
{
	file_verdict_add(verdict, FILE_CLASS_MACRO, "macros: a sheet of Excel 4 macros");
}

/* BIFF8 writes 8-bit or 16-bit letters behind a byte of flags, BIFF5 letters alone. */
static bool names_auto(struct slice name)
{
	static const char *const words[] = {"auto_open", "auto_close", "auto_activate", "auto_deactivate"};
	char text[32];
	size_t n = 0;
	for (size_t i = 0; i < name.len && n < sizeof text - 1; i++) {
		if ((unsigned char)name.data[i] >= 0x20) {
			text[n++] = ascii_lower(name.data[i]);
		}
	}
	text[n] = '\0';
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strncmp(text, words[i], strlen(words[i])) == 0) {
			return true;
		}
	}
	return false;
}

static void examine_name(struct slice body, struct file_verdict *verdict)
{
	uint32_t flags = bytes_le16(body, 0);
	struct slice name = bytes_part(body, 14, 64);
	size_t from = name.len > 0 && (unsigned char)name.data[0] <= 1 ? 1 : 0; /* BIFF8's flags */
	unsigned char builtin = name.len > from ? (unsigned char)name.data[from] : 0;
	unsigned char old = name.len > 0 ? (unsigned char)name.data[0] : 0;
	bool opens = (flags & NAME_BUILTIN) != 0 &&
	             ((builtin >= 1 && builtin <= 2) || (old >= 1 && old <= 2) || builtin == 10 || builtin == 11);
	if (opens || names_auto(name)) {
		file_verdict_add(verdict, FILE_CLASS_MACRO_AUTO, "an Excel 4 macro runs by itself (Auto_Open)");
	}
}

/* A link to a program is "program \3 topic": DDE, or an OLE link. */
static void examine_link(struct slice body, struct file_verdict *verdict)
{
	struct slice text = bytes_part(body, 2, body.len);
	size_t bar = slice_find(text, 3, 0);
	if (bar > 1 && bar + 1 < text.len && text.len > 4) {
		file_verdict_add(verdict, FILE_CLASS_OFFICE_ACTIVE, "a link starts a program (DDE)");
	}
}

void office_excel_stream(struct slice stream, struct file_verdict *verdict)
{
	bool encrypted = false;
	for (size_t at = 0; at + 4 <= stream.len;) {
		uint32_t id = bytes_le16(stream, at), size = bytes_le16(stream, at + 2);
		struct slice body = bytes_part(stream, at + 4, size);
		if (is_bof(id) && bytes_le16(body, 2) == SHEET_MACRO) {
			macro(verdict);
		} else if (id == RECORD_FILEPASS) {
			file_verdict_add(verdict, FILE_CLASS_DOCUMENT_ENCRYPTED, "a workbook with a password");
			encrypted = true;
		} else if (encrypted) {
			/* What follows means something else than it says. */
		} else if (id == RECORD_BOUNDSHEET && body.len > 5 && body.data[5] == BOUND_MACRO) {
			macro(verdict);
		} else if (id == RECORD_NAME || id == RECORD_NAME3) {
			examine_name(body, verdict);
		} else if (id == RECORD_SUPBOOK && size > 4) {
			examine_link(body, verdict);
		}
		at += 4 + (size_t)size;
	}
}
