#include "inspect/file_text.h"

#include "inspect/file_format.h"
#include "inspect/html.h"

#include <stdlib.h>

enum {
	HEAD = 4096,    /* where the words stand by which a file is known */
	SCRIPT = 65536, /* where the words of scripts are looked for */
	PROBE = 4096,
};

static size_t wide_order(struct slice content, bool *wide_r)
{
	*wide_r = true;
	if (bytes_are(content, 0, "\xff\xfe", 2) || bytes_are(content, 0, "\xfe\xff", 2)) {
		return 2;
	}
	size_t zeros[2] = {0, 0}, n = (content.len < PROBE ? content.len : PROBE) / 2;
	for (size_t i = 0; i < 2 * n; i++) {
		zeros[i % 2] += content.data[i] == '\0';
	}
	/* nearly every second byte, and nearly none of the others */
	*wide_r = n >= 4 && ((zeros[0] * 4 > n * 3 && zeros[1] * 16 < n) || (zeros[1] * 4 > n * 3 && zeros[0] * 16 < n));
	return bytes_are(content, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
}

bool file_text_is(struct slice content)
{
	bool wide;
	size_t from = wide_order(content, &wide), strange = 0;
	size_t n = content.len < PROBE ? content.len : PROBE;
	for (size_t i = from; i < n; i++) {
		unsigned char c = (unsigned char)content.data[i];
		strange += (c < 0x20 && strchr("\t\r\n\f\v\x1b\b\x1a", c) == NULL) || (c == 0 && !wide);
	}
	return wide || strange * 100 <= n;
}

void file_text_plain(struct slice content, struct slice *text_r)
{
	bool wide;
	size_t from = wide_order(content, &wide);
	struct slice rest = bytes_part(content, from, FILE_TEXT_MAX);
	char *text = rest.len == 0 ? NULL : malloc(rest.len);
	*text_r = (struct slice){text, 0};
	for (size_t i = 0; text != NULL && i < rest.len; i++) {
		if (rest.data[i] != '\0') {
			text[text_r->len++] = ascii_lower(rest.data[i]);
		}
	}
}

static bool has(struct slice text, const char *word)
{
	return bytes_find(text, slice_from(word), 0) < text.len;
}

static bool has_any(struct slice text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (has(text, *words)) {
			return true;
		}
	}
	return false;
}

/* Known by a word near the start, whatever the name is. */
static const struct {
	bool first; /* the very first word */
	const char *word;
	const char *also; /* NULL, or a word that must be there too */
	enum file_class class;
	const char *type;
	const char *what;
} heads[] = {
    {true, "windows registry editor version", NULL, FILE_CLASS_SETTINGS, "text/x-ms-regedit",
     "entries for the Windows registry"},
    {true, "regedit4", NULL, FILE_CLASS_SETTINGS, "text/x-ms-regedit", "entries for the Windows registry"},
    {false, "[internetshortcut", "url=", FILE_CLASS_SHORTCUT, "application/x-mswinurl", "an internet shortcut"},
    {true, "[desktop entry]", "exec=", FILE_CLASS_SHORTCUT, "application/x-desktop", "a desktop shortcut"},
    {true, "[shell]", "iconfile=", FILE_CLASS_SHORTCUT, "application/x-scf", "a Windows Explorer command"},
    {false, "<librarydescription", NULL, FILE_CLASS_SHORTCUT, "application/windows-library+xml", "a Windows library"},
    {false, "<persistedquery", NULL, FILE_CLASS_SHORTCUT, "application/windows-search-connector+xml", "a saved search"},
    {false, "<searchconnectordescription", NULL, FILE_CLASS_SHORTCUT, "application/windows-search-connector+xml",
     "a saved search"},
    {true, "[theme]", NULL, FILE_CLASS_SHORTCUT, "text/plain", "a Windows theme"},
    {false, "full address:s:", NULL, FILE_CLASS_SHORTCUT, "application/x-rdp", "a remote desktop connection"},
    {false, "<mmc_consolefile", NULL, FILE_CLASS_SETTINGS, "application/x-ms-msc", "a management console"},
    {false, "<pcsettings>", NULL, FILE_CLASS_SETTINGS, "text/xml", "a link to settings"},
    {false, "signature=\"$windows nt$\"", NULL, FILE_CLASS_SETTINGS, "text/inf", "a Windows setup file"},
    {false, "signature=\"$chicago$\"", NULL, FILE_CLASS_SETTINGS, "text/inf", "a Windows setup file"},
    {false, "<jnlp ", NULL, FILE_CLASS_INSTALLER, "application/x-java-jnlp-file", "a Java web start file"},
    {false, "<hta:application", NULL, FILE_CLASS_SCRIPT, "application/hta", "an HTML application"},
    {false, "<scriptlet", "<script", FILE_CLASS_SCRIPT, "text/scriptlet", "a Windows script component"},
    {false, "<component", "<script", FILE_CLASS_SCRIPT, "text/scriptlet", "a Windows script component"},
    {false, "<job", "<script language=", FILE_CLASS_SCRIPT, "application/x-wsf", "a Windows script file"},
    {false, "<package>", "<script language=", FILE_CLASS_SCRIPT, "application/x-wsf", "a Windows script file"},
    {false, "urn:schemas-microsoft-com:xslt", "script", FILE_CLASS_SCRIPT, "text/xsl", "a style sheet with script"},
    {true, "#@~^", NULL, FILE_CLASS_SCRIPT, "text/x-ms-encoded-script", "an encoded Windows script"},
    {true, "begin:vcalendar", NULL, FILE_CLASS_CALENDAR, "text/calendar", "a calendar entry"},
    {true, "web\r\n1\r\n", "http", FILE_CLASS_QUERY, "text/x-ms-iqy", "an Excel web query"},
    {true, "web\n1\n", "http", FILE_CLASS_QUERY, "text/x-ms-iqy", "an Excel web query"},
    {true, "id;p", "\nc;", FILE_CLASS_QUERY, "text/spreadsheet", "a symbolic link table (SYLK)"},
};

static const char *examine_heads(struct slice text, struct file_verdict *verdict)
{
	struct slice head = slice_trim(bytes_part(text, 0, HEAD));
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct slice word = slice_from(heads[i].word);
		bool found = heads[i].first ? bytes_are(head, 0, word.data, word.len) : has(head, heads[i].word);
		if (found && (heads[i].also == NULL || has(text, heads[i].also))) {
			file_verdict_add(verdict, heads[i].class, "content is %s", heads[i].what);
			return heads[i].type;
		}
	}
	return NULL;
}

/* Words that only scripts use: one of the first list and one of the second. */
static const char *const vbs_words[] = {"createobject(", "getobject(", "wscript.createobject", NULL};
static const char *const vbs_more[] = {"\ndim ",      "\nset ", "on error resume next", "\nsub ",
                                       "\nfunction ", "end if", "executeglobal",        NULL};
static const char *const js_words[] = {"new activexobject", "wscript.createobject", "wscript.shell", NULL};
static const char *const js_more[] = {"var ", "function", "eval(", ";", NULL};
static const char *const ps_words[] = {"invoke-expression",
                                       "new-object ",
                                       "-encodedcommand",
                                       "frombase64string(",
                                       "iex (",
                                       "iex(",
                                       "invoke-webrequest",
                                       "start-process",
                                       "set-executionpolicy",
                                       NULL};
static const char *const ps_more[] = {
    "\n$", "param(", "param (", "[system.", "function ", "downloadstring", "-executionpolicy", "| iex", NULL};

static const char *script_language(struct slice text)
{
	struct slice start = slice_trim(bytes_part(text, 0, SCRIPT));
	struct slice at = SLICE_LITERAL("@echo off"), rem = SLICE_LITERAL("@rem "), set = SLICE_LITERAL("@setlocal");
	if (slice_starts_nocase(start, at) || slice_starts_nocase(start, rem) || slice_starts_nocase(start, set)) {
		return "a batch file";
	}
	if (has_any(start, vbs_words) && has_any(start, vbs_more)) {
		return "a Visual Basic script";
	}
	if (has_any(start, js_words) && has_any(start, js_more)) {
		return "a JScript file";
	}
	if (has_any(start, ps_words) && has_any(start, ps_more)) {
		return "a PowerShell script";
	}
	return NULL;
}

/* An editor opens "notes.txt" whatever is in it; a script without a name that says so is one. */
static void examine_script(struct slice text, enum file_promise promise, struct file_verdict *verdict)
{
	struct slice line = bytes_part(text, 0, 2);
	if (promise == FILE_PROMISE_TEXT || promise == FILE_PROMISE_DOCUMENT) {
		return;
	}
	if (bytes_are(line, 0, "#!", 2)) {
		struct slice first = bytes_part(text, 0, slice_find(text, '\n', 0));
		if (has(first, "/")) {
			file_verdict_add(verdict, FILE_CLASS_SCRIPT_SOURCE, "content is a script for %.*s",
			                 SLICE_ARGS(bytes_part(slice_trim(first), 2, 60)));
		}
		return;
	}
	const char *what = script_language(text);
	if (what != NULL) {
		file_verdict_add(verdict, FILE_CLASS_SCRIPT, "content is %s", what);
	}
}

/* A cell such as =cmd|' /C calc'!A0 starts a program when a spreadsheet opens the table. */
static bool is_dde_cell(struct slice text, size_t at)
{
	bool bar = false;
	for (size_t i = at; i < text.len && i < at + 300 && text.data[i] != '\n'; i++) {
		if (text.data[i] == '|' && i > at) {
			bar = true;
		} else if (text.data[i] == '!' && bar) {
			return true;
		} else if (!bar && !ascii_is_alpha(text.data[i]) &&
		           strchr("=+-@()*/ \t\"'\\:._,0123456789", text.data[i]) == NULL) {
			return false;
		}
	}
	return false;
}

static void examine_cells(struct slice text, struct file_verdict *verdict)
{
	bool start = true;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		bool formula = c == '=' || c == '+' || c == '@' || c == '-';
		if (start && formula && is_dde_cell(text, i + 1)) {
			file_verdict_add(verdict, FILE_CLASS_OFFICE_ACTIVE, "a cell starts a program (DDE)");
			return;
		}
		start = strchr("\n\r,;\t\"", c) != NULL || (start && c == ' ');
	}
}

/* Excel 4 macros as SYLK: names that run by themselves, cells with EXEC. */
static void examine_sylk(struct slice text, struct file_verdict *verdict)
{
	static const char *const calls[] = {"exec(", "call(", "register(", "run(", "alert(", "halt(", "formula(", NULL};
	if (has(text, "\no;e") || has_any(text, calls)) {
		file_verdict_add(verdict, FILE_CLASS_MACRO, "a SYLK table with Excel 4 macros");
	}
	if (has(text, "nn;nauto_") || has(text, "nn;nauto open")) {
		file_verdict_add(verdict, FILE_CLASS_MACRO, "a SYLK table with Excel 4 macros");
		file_verdict_add(verdict, FILE_CLASS_MACRO_AUTO, "an Excel 4 macro that runs by itself (Auto_Open)");
	}
}

/* Documents of Office 2003 as XML, of later ones as "flat OPC", and web archives that Office saves. */
static const struct {
	const char *word;
	enum file_class class;
	const char *what;
} office_words[] = {
    {"editdata.mso", FILE_CLASS_MACRO, "macros (editdata.mso)"},
    {"macrospresent=\"yes\"", FILE_CLASS_MACRO, "macros (macrosPresent)"},
    {"vbaproject.bin", FILE_CLASS_MACRO, "macros (vbaProject.bin)"},
    {"qwn0axzltwltz", FILE_CLASS_MACRO, "macros (ActiveMime)"},
    {"<w:ocx ", FILE_CLASS_OFFICE_ACTIVE, "an ActiveX control"},
    {"embeddedobjpresent=\"yes\"", FILE_CLASS_OFFICE_ACTIVE, "embedded objects"},
    {"oleobject", FILE_CLASS_OFFICE_ACTIVE, "embedded objects"},
    {"<x:macrosheet", FILE_CLASS_MACRO, "Excel 4 macros"},
};

static bool is_dde_instruction(struct slice text, size_t at)
{
	struct slice rest = slice_trim(bytes_part(text, at, 12));
	return slice_starts_nocase(rest, SLICE_LITERAL("dde")) &&
	       (rest.len == 3 || strchr(" a&\"\t", rest.data[3]) != NULL);
}

/* The text of fields is often torn into runs: "DDE" need not stand whole, but mostly does. */
static void examine_fields(struct slice text, const char *mark, const char *end, struct file_verdict *verdict)
{
	struct slice word = slice_from(mark);
	for (size_t at = bytes_find(text, word, 0); at < text.len; at = bytes_find(text, word, at + 1)) {
		size_t start = bytes_find(text, slice_from(end), at + word.len);
		if (is_dde_instruction(text, start + 1)) {
			file_verdict_add(verdict, FILE_CLASS_OFFICE_ACTIVE, "a field starts a program (DDE)");
		}
	}
}

static const char *examine_office(struct slice text, struct file_verdict *verdict)
{
	static const char *const office[] = {"<?mso-application", "<w:worddocument",   "<pkg:package", "office:spreadsheet",
	                                     "application/x-mso", "content-location:", "editdata.mso", NULL};
	struct slice head = bytes_part(text, 0, SCRIPT);
	if (!has_any(head, office)) {
		return NULL;
	}
	for (size_t i = 0; i < sizeof office_words / sizeof *office_words; i++) {
		if (has(text, office_words[i].word)) {
			file_verdict_add(verdict, office_words[i].class, "an office document as text, with %s",
			                 office_words[i].what);
		}
	}
	examine_fields(text, "instrtext", ">", verdict);
	examine_fields(text, "w:instr", "\"", verdict);
	for (size_t at = 0; (at = bytes_find(text, SLICE_LITERAL("formula=\"="), at)) < text.len; at++) {
		if (is_dde_cell(text, at + 10)) {
			file_verdict_add(verdict, FILE_CLASS_OFFICE_ACTIVE, "a cell starts a program (DDE)");
		}
	}
	if (has(bytes_part(text, 0, HEAD), "mime-version:")) {
		file_verdict_add(verdict, FILE_CLASS_HTML, "content is a web archive (MHTML)");
		return "multipart/related";
	}
	return has(head, "<?xml") ? "text/xml" : NULL;
}

const char *file_text_examine(struct slice text, enum file_promise promise, bool table, struct file_verdict *verdict)
{
	const char *type = examine_heads(text, verdict);
	if (file_verdict_has(verdict, FILE_CLASS_QUERY)) {
		examine_sylk(text, verdict);
	}
	const char *office = examine_office(text, verdict);
	const char *page = html_examine(text, verdict);
	type = type != NULL ? type : office != NULL ? office : page;
	if (type == NULL) {
		examine_script(text, promise, verdict);
	}
	if (table) {
		examine_cells(text, verdict);
	}
	return type;
}
