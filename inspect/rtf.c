#include "inspect/document.h"
#include "inspect/file_format.h"
#include "inspect/file_text.h"
#include "inspect/office.h"

#include <stdlib.h>

enum { OBJECTS_MAX = 64, STEP = 4096, CLASS_MAX = 64 };

static bool has(struct slice text, const char *word)
{
	return bytes_find(text, slice_from(word), 0) < text.len;
}

static int hex_value(char c)
{
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash: a control word with its number, or one letter; \'hh is a letter of text. */
static size_t skip_control(struct slice text, size_t at)
{
	size_t from = ++at;
	while (at < text.len && ascii_is_alpha(text.data[at])) {
		at++;
	}
	if (at == from) {
		return at + (at < text.len && text.data[at] == '\'' ? 3 : 1);
	}
	while (at < text.len && (ascii_is_digit(text.data[at]) || text.data[at] == '-')) {
		at++;
	}
	return at;
}

/* The bytes of an object, written in hexadecimal; blanks, groups and control words between the digits are there to
 * confuse scanners, and readers pass over them. */
static bool read_hex(struct file_scan *scan, struct slice text, size_t at, struct file_bytes *bytes_r)
{
	char out[STEP];
	size_t n = 0;
	int depth = 0, high = -1;
	while (at < text.len && depth >= 0) {
		char c = text.data[at];
		int value = hex_value(c);
		if (c == '\\') {
			if (bytes_are(text, at, "\\bin", 4)) {
				break; /* raw bytes follow: those are in the file as they are */
			}
			at = skip_control(text, at);
			continue;
		}
		depth += c == '{' ? 1 : c == '}' ? -1 : 0;
		at++;
		if (value >= 0 && high >= 0) {
			out[n++] = (char)(high << 4 | value);
			high = -1;
		} else if (value >= 0) {
			high = value;
		}
		if (n == STEP) {
			if (!file_bytes_add(bytes_r, scan->budget, out, n)) {
				return false;
			}
			n = 0;
		}
	}
	return file_bytes_add(bytes_r, scan->budget, out, n);
}

static struct slice counted(struct slice object, size_t *at)
{
	uint32_t n = bytes_le32(object, *at);
	struct slice text = bytes_part(object, *at + 4, n);
	*at += 4 + (size_t)n;
	text.len -= text.len > 0 && text.data[text.len - 1] == '\0';
	return text;
}

static void visit(struct file_scan *scan, const char *name, struct slice content)
{
	struct file_member member = {.names = {name}, .content = content, .size = content.len};
	file_scan_visit(scan, &member);
}

/* An object of OLE 1 ([MS-OLEDS] 2.2.4, 2.2.5): version, kind, class name, two names more, then the data. */
static void examine_object(struct file_scan *scan, struct slice object)
{
	static const char *const risky[] = {"package",  "ole2link", "equation",       "shell.explorer",
	                                    "otkloadr", "wscript",  "htmlfile",       "scriptbridge",
	                                    "forms.",   "mscomctl", "shockwaveflash", NULL};
	size_t at = 8;
	struct slice class = counted(object, &at);
	counted(object, &at);
	counted(object, &at);
	struct slice data = bytes_part(object, at + 4, bytes_le32(object, at)), lower;
	char name[CLASS_MAX];
	size_t n = class.len < CLASS_MAX - 1 ? class.len : CLASS_MAX - 1;
	memcpy(name, class.data, n);
	for (size_t i = 0; i < n; i++) {
		name[i] = ascii_lower(name[i]);
	}
	lower = (struct slice){name, n};
	for (size_t i = 0; risky[i] != NULL; i++) {
		if (has(lower, risky[i])) {
			file_verdict_add(scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "an embedded object: %s", risky[i]);
		}
	}
	size_t ole = bytes_find(object, (struct slice){"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8}, 0);
	if (ole < object.len) {
		struct file_scan silent = *scan;
		silent.visitor = NULL;
		office_walk(&silent, bytes_part(object, ole, object.len));
		visit(scan, "object.bin", bytes_part(object, ole, object.len));
	} else if (data.len > 0 && has(lower, "package")) {
		/* The same as an Ole10Native stream, without the size at its head. */
		struct file_bytes native = {.data = NULL};
		char size[4] = {(char)data.len, (char)(data.len >> 8), (char)(data.len >> 16), (char)(data.len >> 24)};
		if (file_bytes_add(&native, scan->budget, size, sizeof size) &&
		    file_bytes_add(&native, scan->budget, data.data, data.len)) {
			office_visit_native(scan, (struct slice){native.data, native.len});
		}
		file_bytes_free(&native);
	} else if (data.len > 0) {
		visit(scan, "object.bin", data);
	}
}

static void examine_objects(struct file_scan *scan, struct slice text)
{
	const struct slice mark = SLICE_LITERAL("\\objdata");
	size_t at = bytes_find(text, mark, 0);
	for (unsigned i = 0; i < OBJECTS_MAX && at < text.len && file_scan_goes_on(scan); i++) {
		struct file_bytes bytes = {.data = NULL};
		if (read_hex(scan, text, at + mark.len, &bytes) && bytes.len > 0) {
			examine_object(scan, (struct slice){bytes.data, bytes.len});
		}
		file_bytes_free(&bytes);
		at = bytes_find(text, mark, at + mark.len);
	}
}

/* Instructions of fields begin behind \fldinst, whatever groups and words stand between. */
static void examine_fields(struct file_scan *scan, struct slice text)
{
	const struct slice mark = SLICE_LITERAL("\\fldinst");
	for (size_t at = bytes_find(text, mark, 0); at < text.len; at = bytes_find(text, mark, at + 1)) {
		size_t i = at + mark.len;
		while (i < text.len && strchr("{} \r\n\t\\", text.data[i]) != NULL) {
			i = text.data[i] == '\\' ? skip_control(text, i) : i + 1;
		}
		if (slice_starts_nocase(bytes_part(text, i, 8), SLICE_LITERAL("dde"))) {
			file_verdict_add(scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "a field starts a program (DDE)");
		}
	}
}

static void examine_template(struct file_scan *scan, struct slice text)
{
	size_t at = bytes_find(text, SLICE_LITERAL("\\*\\template"), 0);
	struct slice target = bytes_part(text, at, 300);
	target.len = slice_find(target, '}', 0);
	if (has(target, "http:") || has(target, "https:") || has(target, "\\\\\\\\") || has(target, "ftp:")) {
		file_verdict_add(scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "a template from outside");
	}
}

void rtf_walk(struct file_scan *scan, struct slice content)
{
	struct slice text;
	file_text_plain(content, &text);
	if (has(text, "\\objupdate") || has(text, "\\objautlink")) {
		file_verdict_add(scan->verdict, FILE_CLASS_OFFICE_ACTIVE, "an object that is updated on opening");
	}
	examine_fields(scan, text);
	examine_template(scan, text);
	examine_objects(scan, text);
	free((char *)(uintptr_t)text.data);
}
