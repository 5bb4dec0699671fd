#include "inspect/ooxml.h"

#include "inspect/file_format.h"
#include "inspect/file_text.h"
#include "inspect/office.h"

#include <stdlib.h>

enum { TYPE_MAX = 100, FIELD_MAX = 64, BINARY_SUPBOOK = 0x02e8 };

#define OPENXML "application/vnd.openxmlformats-officedocument."

/* By what [Content_Types].xml says of the main part; the first that fits. */
static const struct {
	const char *word, *type;
	bool macros;
} main_parts[] = {
    {"ms-word.document.macroenabled.main", "application/vnd.ms-word.document.macroenabled.12", true},
    {"ms-word.template.macroenabledtemplate.main", "application/vnd.ms-word.template.macroenabled.12", true},
    {"ms-excel.sheet.macroenabled.main", "application/vnd.ms-excel.sheet.macroenabled.12", true},
    {"ms-excel.template.macroenabled.main", "application/vnd.ms-excel.template.macroenabled.12", true},
    {"ms-excel.addin.macroenabled.main", "application/vnd.ms-excel.addin.macroenabled.12", true},
    {"ms-excel.sheet.binary.macroenabled.main", "application/vnd.ms-excel.sheet.binary.macroenabled.12", false},
    {"ms-powerpoint.presentation.macroenabled.main", "application/vnd.ms-powerpoint.presentation.macroenabled.12",
     true},
    {"ms-powerpoint.slideshow.macroenabled.main", "application/vnd.ms-powerpoint.slideshow.macroenabled.12", true},
    {"ms-powerpoint.template.macroenabled.main", "application/vnd.ms-powerpoint.template.macroenabled.12", true},
    {"ms-powerpoint.addin.macroenabled.main", "application/vnd.ms-powerpoint.addin.macroenabled.12", true},
    {"wordprocessingml.document.main", OPENXML "wordprocessingml.document", false},
    {"wordprocessingml.template.main", OPENXML "wordprocessingml.template", false},
    {"spreadsheetml.sheet.main", OPENXML "spreadsheetml.sheet", false},
    {"spreadsheetml.template.main", OPENXML "spreadsheetml.template", false},
    {"presentationml.presentation.main", OPENXML "presentationml.presentation", false},
    {"presentationml.slideshow.main", OPENXML "presentationml.slideshow", false},
    {"presentationml.template.main", OPENXML "presentationml.template", false},
    {"ms-visio.drawing.main", "application/vnd.ms-visio.drawing", false},
    {"ms-package.xps-fixeddocument+xml", "application/vnd.ms-xpsdocument", false},
};

/* Packages that are no documents, by a member that makes them one. */
static const struct {
	const char *member, *type, *kind;
	enum file_class class;
} packages[] = {
    {"androidmanifest.xml", "application/vnd.android.package-archive", "an Android program", FILE_CLASS_EXECUTABLE},
    {"appxmanifest.xml", "application/appx", "a Windows app package", FILE_CLASS_INSTALLER},
    {"appxblockmap.xml", "application/appx", "a Windows app package", FILE_CLASS_INSTALLER},
    {"extension.vsixmanifest", "application/vsix", "a Visual Studio extension", FILE_CLASS_INSTALLER},
};

static bool has(struct slice text, const char *word)
{
	return bytes_find(text, slice_from(word), 0) < text.len;
}

static bool ends(const char *name, const char *end)
{
	return slice_ends_nocase(slice_from(name), slice_from(end));
}

static bool starts(const char *name, const char *start)
{
	return slice_starts_nocase(slice_from(name), slice_from(start));
}

static void macro(struct file_verdict *verdict, const char *what)
{
	file_verdict_add(verdict, FILE_CLASS_MACRO, "macros: %s", what);
}

static void active(struct file_verdict *verdict, const char *what)
{
	file_verdict_add(verdict, FILE_CLASS_OFFICE_ACTIVE, "%s", what);
}

static void examine_types(struct ooxml *document, struct file_verdict *verdict, struct slice text)
{
	for (size_t i = 0; i < sizeof main_parts / sizeof *main_parts; i++) {
		if (has(text, main_parts[i].word)) {
			document->type = main_parts[i].type;
			if (main_parts[i].macros) {
				macro(verdict, "the document says that it has some");
			}
			break;
		}
	}
	if (has(text, "ms-office.vbaproject")) {
		macro(verdict, "a VBA project");
	}
	if (has(text, "ms-excel.macrosheet") || has(text, "ms-excel.intlmacrosheet")) {
		macro(verdict, "a sheet of Excel 4 macros");
	}
}

static struct slice attribute(struct slice element, const char *name)
{
	size_t at = bytes_find(element, slice_from(name), 0);
	struct slice rest = bytes_part(element, at + strlen(name), element.len);
	char quote = rest.len > 0 ? rest.data[0] : '\0';
	return quote == '"' || quote == '\'' ? bytes_part(rest, 1, slice_find(rest, quote, 1) - 1) : (struct slice){"", 0};
}

/* A template that lies on the same disk is every second document's; one from elsewhere is fetched on opening. */
static bool is_elsewhere(struct slice target)
{
	struct slice local = SLICE_LITERAL("file:///");
	if (slice_starts_nocase(target, local) && target.len > local.len + 1) {
		return target.data[local.len] == '\\' || target.data[local.len] == '/';
	}
	return has(target, "://") || has(target, "\\\\") || has(target, "mhtml:") || has(target, "script:");
}

/* A relation to something outside that is loaded on opening; links to click on are not. */
static void examine_relation(struct file_verdict *verdict, struct slice element)
{
	static const struct {
		const char *word, *what;
		bool any; /* wherever it is */
	} kinds[] = {
	    {"/attachedtemplate", "a template from outside", false},
	    {"/oleobject", "an object from outside", true},
	    {"/frame", "a frame from outside", true},
	    {"/subdocument", "a part from outside", true},
	    {"/package", "a package from outside", true},
	    {"/control", "a control from outside", true},
	};
	struct slice type = attribute(element, " type="), target = attribute(element, " target=");
	if (!has(element, "external")) {
		return;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (slice_ends_nocase(type, slice_from(kinds[i].word)) && (kinds[i].any || is_elsewhere(target))) {
			file_verdict_add(verdict, FILE_CLASS_OFFICE_ACTIVE, "%s: %.*s", kinds[i].what,
			                 SLICE_ARGS(bytes_part(target, 0, TYPE_MAX)));
		}
	}
	if (has(target, "mhtml:") || has(target, "x-usc:") || has(target, "ms-msdt:") || has(target, "search-ms:")) {
		file_verdict_add(verdict, FILE_CLASS_OFFICE_ACTIVE, "a link of a dangerous kind: %.*s",
		                 SLICE_ARGS(bytes_part(target, 0, TYPE_MAX)));
	}
}

static void examine_relations(struct file_verdict *verdict, struct slice text)
{
	const struct slice mark = SLICE_LITERAL("<relationship ");
	for (size_t at = bytes_find(text, mark, 0); at < text.len; at = bytes_find(text, mark, at + 1)) {
		examine_relation(verdict, bytes_part(text, at, slice_find(text, '>', at) - at));
	}
}

/* The instruction of a field may be torn into many runs: its letters are put together from "begin" on. */
static void examine_fields(struct file_verdict *verdict, struct slice text)
{
	char field[FIELD_MAX];
	size_t n = 0;
	const struct slice instruction = SLICE_LITERAL("instrtext"), begin = SLICE_LITERAL("fldchartype=\"begin\"");
	for (size_t at = slice_find(text, '<', 0); at < text.len; at = slice_find(text, '<', at + 1)) {
		size_t end = slice_find(text, '>', at);
		struct slice tag = bytes_part(text, at, end - at);
		if (bytes_find(tag, begin, 0) < tag.len) {
			n = 0;
		} else if (bytes_find(tag, instruction, 0) < tag.len && tag.len > 1 && tag.data[1] != '/') {
			for (size_t i = end + 1; i < text.len && text.data[i] != '<'; i++) {
				if (n < FIELD_MAX && (n > 0 || strchr(" \t\r\n", text.data[i]) == NULL)) {
					field[n++] = text.data[i];
				}
			}
		}
		struct slice simple = slice_trim(attribute(tag, ":instr="));
		bool dde = n > 3 && memcmp(field, "dde", 3) == 0 && (field[3] == ' ' || field[3] == 'a' || field[3] == '&');
		if (dde || slice_starts_nocase(simple, SLICE_LITERAL("dde"))) {
			active(verdict, "a field starts a program (DDE)");
			return;
		}
	}
}

static void examine_odf_manifest(struct file_verdict *verdict, struct slice text)
{
	if (has(text, ":encryption-data") || has(text, "encrypted-package")) {
		file_verdict_add(verdict, FILE_CLASS_DOCUMENT_ENCRYPTED, "an OpenDocument file with a password");
	}
}

static void examine_odf_content(struct ooxml *document, struct file_verdict *verdict, struct slice text)
{
	document->starts =
	    document->starts || (has(text, "script:event-listener") &&
	                         (has(text, "dom:load") || has(text, ":on-load") || has(text, "office:load") ||
	                          has(text, "dom:focus") || has(text, "office:startup") || has(text, "dom:mouseover")));
	if (has(text, "dde-source") || has(text, "office:dde-connection-decl")) {
		active(verdict, "a link to a program (DDE)");
	}
}

static void examine_xml(struct ooxml *document, struct file_verdict *verdict, const char *name, struct slice text)
{
	if (ends(name, "[content_types].xml")) {
		examine_types(document, verdict, text);
	} else if (ends(name, ".rels")) {
		examine_relations(verdict, text);
	} else if (ends(name, "meta-inf/manifest.xml")) {
		examine_odf_manifest(verdict, text);
	} else if (strcmp(name, "content.xml") == 0 || strcmp(name, "settings.xml") == 0 ||
	           strcmp(name, "styles.xml") == 0) {
		examine_odf_content(document, verdict, text);
	} else {
		examine_fields(verdict, text);
		document->starts = document->starts || has(text, "_xlnm.auto_open") || has(text, "_xlnm.auto_close");
		if (has(text, "<ddelink") || has(text, ":ddelink")) {
			active(verdict, "a link starts a program (DDE)");
		}
	}
}

/* Parts in binary: workbooks (.xlsb), VBA projects, embedded objects, controls. */
static void examine_binary(struct ooxml *document, struct file_scan *scan, const char *name, struct slice content)
{
	struct file_scan silent = *scan;
	silent.visitor = NULL;
	/* In a plain archive a document is a member like any other. */
	bool within = starts(name, "word/") || starts(name, "xl/") || starts(name, "ppt/") || starts(name, "visio/") ||
	              starts(name, "object");
	if (within && bytes_are(content, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8)) {
		office_walk(&silent, content); /* adds to the document's verdict; the member is visited by itself */
	}
	if (starts(name, "xl/externallinks/") && bytes_le16(content, 0) == BINARY_SUPBOOK) {
		size_t at = content.len > 2 && (content.data[2] & 0x80) != 0 ? 4 : 3;
		if (bytes_le16(content, at) == 1 || bytes_le16(content, at) == 2) {
			active(scan->verdict, "a link starts a program (DDE)");
		}
	}
	if (starts(name, "xl/workbook.bin")) {
		struct slice text;
		file_text_plain(content, &text);
		document->starts = document->starts || has(text, "auto_open") || has(text, "auto_close");
		free((char *)(uintptr_t)text.data);
	}
}

static void examine_name(struct ooxml *document, struct file_verdict *verdict, const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *last = slash == NULL ? name : slash + 1;
	if (ends(name, "vbaproject.bin")) {
		macro(verdict, "a VBA project");
	} else if (starts(name, "xl/macrosheets/")) {
		macro(verdict, "a sheet of Excel 4 macros");
	} else if (starts(name, "basic/") && ends(name, ".xml") && !ends(name, "script-lb.xml") &&
	           !ends(name, "script-lc.xml")) {
		macro(verdict, "OpenDocument Basic");
	} else if (document->type != NULL && strstr(document->type, "opendocument") != NULL && starts(name, "scripts/") &&
	           *last != '\0') {
		macro(verdict, "OpenDocument scripts");
	} else if (starts(last, "activex") && ends(name, ".xml")) {
		active(verdict, "an ActiveX control");
	}
	for (size_t i = 0; i < sizeof packages / sizeof *packages; i++) {
		if (slice_equal_nocase(slice_from(name), slice_from(packages[i].member))) {
			document->type = packages[i].type;
			document->kind = packages[i].kind;
			document->class = packages[i].class;
		}
	}
}

/* OpenDocument and EPUB put their media type first, as a member of its own. */
static void examine_mimetype(struct ooxml *document, struct file_scan *scan, struct slice content)
{
	struct slice text = slice_trim(bytes_part(content, 0, TYPE_MAX));
	if (slice_starts_nocase(text, SLICE_LITERAL("application/")) ||
	    slice_starts_nocase(text, SLICE_LITERAL("image/"))) {
		document->type = text_escape(scan->verdict->arena, slice_from(slice_dup_lower(scan->verdict->arena, text)), "",
		                             false, TYPE_MAX);
	}
}

void ooxml_member(struct ooxml *document, struct file_scan *scan, const char *name, struct slice content)
{
	examine_name(document, scan->verdict, name);
	if (strcmp(name, "mimetype") == 0) {
		examine_mimetype(document, scan, content);
	} else if (slice_equal_nocase(slice_from(name), SLICE_LITERAL("META-INF/MANIFEST.MF"))) {
		struct slice text;
		file_text_plain(content, &text);
		if (has(text, "main-class:")) {
			document->type = "application/java-archive";
			document->kind = "a Java program";
			document->class = FILE_CLASS_EXECUTABLE;
		}
		free((char *)(uintptr_t)text.data);
	} else if (ends(name, ".xml") || ends(name, ".rels")) {
		struct slice text;
		file_text_plain(content, &text);
		examine_xml(document, scan->verdict, name, text);
		free((char *)(uintptr_t)text.data);
	} else {
		examine_binary(document, scan, name, content);
	}
}

void ooxml_finish(const struct ooxml *document, struct file_verdict *verdict)
{
	const char *archive = verdict->reasons[FILE_CLASS_ARCHIVE];
	if (document->starts && file_verdict_has(verdict, FILE_CLASS_MACRO)) {
		file_verdict_add(verdict, FILE_CLASS_MACRO_AUTO, "macros run when the document is opened");
	}
	if (document->type == NULL) {
		return;
	}
	verdict->type = document->type;
	if (document->kind != NULL) {
		file_verdict_add(verdict, document->class, "content is %s", document->kind);
	} else if (archive != NULL && strncmp(archive, "content is", 10) == 0) {
		verdict->classes &= ~FILE_CLASS_BIT(FILE_CLASS_ARCHIVE);
		verdict->reasons[FILE_CLASS_ARCHIVE] = NULL;
	}
}
