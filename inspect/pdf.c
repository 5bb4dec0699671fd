#include "inspect/pdf.h"

#include "inspect/document.h"
#include "inspect/file_format.h"

enum {
	NAME_LETTERS = 24,
	DICTIONARY_MAX = 4096, /* bytes before "stream" in which its dictionary is looked for */
	OBJECT_STREAM_MAX = 32 << 20,
	FILES_MAX = 256,
};

struct walk {
	struct file_scan *scan;
	struct slice content;
	bool encrypted;
	bool hidden; /* objects in streams that are encrypted */
	unsigned files;
};

/* Names that say what a document does (ISO 32000-1 tables 28, 197, 198). */
static const struct {
	const char *name;
	enum file_class class;
	const char *what;
} names[] = {
    {"JavaScript", FILE_CLASS_PDF_ACTIVE, "JavaScript"},
    {"JS", FILE_CLASS_PDF_ACTIVE, "JavaScript"},
    {"Launch", FILE_CLASS_PDF_ACTIVE, "an action that starts a program"},
    {"AA", FILE_CLASS_PDF_ACTIVE, "actions that run by themselves (/AA)"},
    {"RichMedia", FILE_CLASS_PDF_ACTIVE, "rich media"},
    {"XFA", FILE_CLASS_PDF_ACTIVE, "an XFA form"},
    {"ImportData", FILE_CLASS_PDF_ACTIVE, "an action that imports data"},
    {"SubmitForm", FILE_CLASS_PDF_ACTIVE, "an action that sends a form"},
    {"GoToE", FILE_CLASS_PDF_ACTIVE, "an action that opens an embedded file"},
    {"EmbeddedFile", FILE_CLASS_PDF_FILE, "an embedded file"},
    {"EmbeddedFiles", FILE_CLASS_PDF_FILE, "embedded files"},
};

static int hex_value(char c)
{
	char lower = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_delimiter(char c)
{
	return c == '\0' || strchr(" \t\r\n\f()<>[]{}/%", c) != NULL;
}

/* The name behind a slash at `at`, with #xx decoded. The position behind it. */
static size_t read_name(struct slice text, size_t at, char name_r[NAME_LETTERS])
{
	size_t n = 0;
	for (at++; at < text.len && !is_delimiter(text.data[at]); at++) {
		char c = text.data[at];
		if (c == '#' && at + 2 < text.len && hex_value(text.data[at + 1]) >= 0 && hex_value(text.data[at + 2]) >= 0) {
			c = (char)(hex_value(text.data[at + 1]) << 4 | hex_value(text.data[at + 2]));
			at += 2;
		}
		if (n < NAME_LETTERS - 1) {
			name_r[n] = c;
		}
		n++;
	}
	name_r[n < NAME_LETTERS ? n : NAME_LETTERS - 1] = '\0';
	return at;
}

/* /OpenAction mostly says which page is shown first; only one that names an action does something. */
static bool is_action(struct slice text, size_t at)
{
	struct slice rest = slice_trim(bytes_part(text, at, 200));
	char name[NAME_LETTERS];
	if (!slice_starts_nocase(rest, SLICE_LITERAL("<<"))) {
		return false;
	}
	for (size_t i = slice_find(rest, '/', 0); i < rest.len; i = slice_find(rest, '/', i + 1)) {
		read_name(rest, i, name);
		if (strcmp(name, "URI") == 0) {
			return true;
		}
	}
	return false;
}

static void examine_name(struct walk *walk, struct slice text, const char *name, size_t behind)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(name, names[i].name) == 0) {
			file_verdict_add(walk->scan->verdict, names[i].class, "the document has %s", names[i].what);
		}
	}
	if (strcmp(name, "OpenAction") == 0 && is_action(text, behind)) {
		file_verdict_add(walk->scan->verdict, FILE_CLASS_PDF_ACTIVE, "the document opens an address by itself");
	}
	if (strcmp(name, "Encrypt") == 0) {
		walk->encrypted = true;
	}
}

/* The name of an embedded file: /F or /UF with a text behind it, as "(x)", or <hex> in UTF-16 or not. */
static void visit_file_name(struct walk *walk, struct slice text, size_t at)
{
	char raw[FILE_SCAN_NAME_MAX];
	size_t n = 0;
	struct slice rest = slice_trim(bytes_part(text, at, 2 * FILE_SCAN_NAME_MAX));
	bool hex = rest.len > 1 && rest.data[0] == '<' && rest.data[1] != '<';
	if (rest.len == 0 || (rest.data[0] != '(' && !hex)) {
		return;
	}
	for (size_t i = 1; i < rest.len && n < sizeof raw && rest.data[i] != (hex ? '>' : ')'); i++) {
		int high = hex ? hex_value(rest.data[i]) : 0, low = hex && i + 1 < rest.len ? hex_value(rest.data[i + 1]) : 0;
		if (hex && high >= 0 && low >= 0) {
			raw[n++] = (char)(high << 4 | low);
			i++;
		} else if (!hex && rest.data[i] == '\\' && i + 1 < rest.len) {
			raw[n++] = rest.data[++i];
		} else if (!hex) {
			raw[n++] = rest.data[i];
		}
	}
	struct slice name = {raw, n};
	struct arena *arena = walk->scan->arena;
	bool wide = bytes_are(name, 0, "\xfe\xff", 2);
	struct file_member member = {.names = {wide ? file_scan_name_wide(arena, bytes_part(name, 2, n), true)
	                                            : file_scan_name(arena, name, false)}};
	if (n > 0 && walk->files < FILES_MAX) {
		walk->files++;
		file_scan_visit(walk->scan, &member);
	}
}

/* Every name in a text of objects; file names only where files are embedded. */
static void examine_objects(struct walk *walk, struct slice text, bool file_names)
{
	char name[NAME_LETTERS];
	for (size_t at = slice_find(text, '/', 0); at < text.len; at = slice_find(text, '/', at)) {
		at = read_name(text, at, name);
		examine_name(walk, text, name, at);
		if (file_names && (strcmp(name, "F") == 0 || strcmp(name, "UF") == 0)) {
			visit_file_name(walk, text, at);
		}
	}
}

/* The dictionary of the stream whose keyword stands at `at`: back to the "obj" before it. */
static struct slice dictionary_before(struct slice content, size_t at)
{
	size_t from = at > DICTIONARY_MAX ? at - DICTIONARY_MAX : 0;
	struct slice before = {content.data + from, at - from};
	size_t start = 0;
	for (size_t i = bytes_find(before, SLICE_LITERAL("obj"), 0); i < before.len;
	     i = bytes_find(before, SLICE_LITERAL("obj"), i + 1)) {
		start = i + 3;
	}
	return bytes_part(before, start, before.len);
}

static bool has_name(struct slice dictionary, const char *wanted)
{
	char name[NAME_LETTERS];
	for (size_t at = slice_find(dictionary, '/', 0); at < dictionary.len; at = slice_find(dictionary, '/', at)) {
		at = read_name(dictionary, at, name);
		if (strcmp(name, wanted) == 0) {
			return true;
		}
	}
	return false;
}

static void examine_stream(struct walk *walk, struct slice dictionary, struct slice data)
{
	struct file_bytes bytes = {.data = NULL};
	bool objects = has_name(dictionary, "ObjStm"), file = has_name(dictionary, "EmbeddedFile");
	if (!objects && !file) {
		return;
	}
	if (walk->encrypted) {
		walk->hidden = true;
		return;
	}
	if (has_name(dictionary, "FlateDecode") || has_name(dictionary, "Fl")) {
		file_inflate(walk->scan->budget, data, false, OBJECT_STREAM_MAX, &bytes, NULL);
		data = (struct slice){bytes.data == NULL ? "" : bytes.data, bytes.len};
	}
	if (objects) {
		examine_objects(walk, data, file_verdict_has(walk->scan->verdict, FILE_CLASS_PDF_FILE));
	} else {
		struct file_member member = {.names = {arena_printf(walk->scan->arena, "embedded-%u", ++walk->files)},
		                             .content = data,
		                             .size = data.len};
		file_scan_visit(walk->scan, &member);
	}
	file_bytes_free(&bytes);
}

/* "stream" behind a dictionary, and the end of the line. */
static bool is_stream(struct slice content, size_t at)
{
	size_t before = at;
	while (before > 0 && strchr(" \t\r\n\f", content.data[before - 1]) != NULL && content.data[before - 1] != '\0') {
		before--;
	}
	bool dictionary = before >= 2 && bytes_are(content, before - 2, ">>", 2);
	return dictionary && (bytes_are(content, at + 6, "\n", 1) || bytes_are(content, at + 6, "\r", 1));
}

/* Names in the bytes of streams are noise where they are short; the long ones are looked for there too, lest a false
 * "stream" hide them. */
static void examine_noise(struct walk *walk, struct slice data)
{
	static const char *const words[] = {"/JavaScript", "/Launch", "/EmbeddedFile"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (bytes_find(data, slice_from(words[i]), 0) < data.len) {
			examine_name(walk, data, words[i] + 1, data.len);
		}
	}
}

/* Texts between streams are objects. */
static void examine_all(struct walk *walk, bool streams)
{
	struct slice content = walk->content;
	const struct slice keyword = SLICE_LITERAL("stream"), end_keyword = SLICE_LITERAL("endstream");
	bool named = file_verdict_has(walk->scan->verdict, FILE_CLASS_PDF_FILE);
	size_t from = 0, at = bytes_find(content, keyword, 0);
	while (file_scan_goes_on(walk->scan)) {
		while (at < content.len && !is_stream(content, at)) {
			at = bytes_find(content, keyword, at + 1);
		}
		struct slice objects = bytes_part(content, from, at - from);
		if (!streams || named) {
			examine_objects(walk, objects, streams && named);
		}
		if (at >= content.len) {
			return;
		}
		size_t start = at + keyword.len + (bytes_are(content, at + keyword.len, "\r\n", 2) ? 2 : 1);
		size_t end = bytes_find(content, end_keyword, start);
		if (streams) {
			examine_stream(walk, dictionary_before(content, at), bytes_part(content, start, end - start));
		} else {
			examine_noise(walk, bytes_part(content, start, end - start));
		}
		from = end;
		at = bytes_find(content, keyword, end + end_keyword.len);
	}
}

void pdf_walk(struct file_scan *scan, struct slice content)
{
	struct walk walk = {.scan = scan, .content = content};
	examine_all(&walk, false); /* is it encrypted? are there files? */
	examine_all(&walk, true);
	if (walk.encrypted && !pdf_opens_without_password(content)) {
		file_verdict_add(scan->verdict, FILE_CLASS_DOCUMENT_ENCRYPTED, "a PDF document with a password");
	} else if (walk.hidden) {
		file_verdict_add(scan->verdict, FILE_CLASS_PDF_ACTIVE,
		                 "its objects are encrypted, though no password is asked for: what it does is not known");
	}
}
