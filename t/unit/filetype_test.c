/* Classes of attachments by name, by content and by both. */
#include "inspect/archive.h"
#include "inspect/file_format.h"
#include "inspect/file_name.h"
#include "t/file_tree.h"
#include "t/tap.h"

static struct arena *arena;

static const char *classes_of(const char *const *names, const char *type, struct slice content)
{
	struct file_tree tree;
	struct part_budget budget = file_tree_budget();
	file_tree_walk_as(&tree, names, type, content, &budget);
	const char *words = file_tree_words(arena, tree.top.classes);
	file_tree_free(&tree);
	return words;
}

static void test_names(void)
{
	static const struct {
		const char *name, *classes;
	} rows[] = {
	    {"report.pdf", ""},
	    {"holiday.jpeg", ""},
	    {"", ""},
	    {".", ""},
	    {"no extension", ""},
	    {"archive.tar.gz", "archive"},
	    {"setup.exe", "executable"},
	    {"SETUP.EXE", "executable"},
	    {"setup.exe.", "executable"},
	    {"setup.exe . .", "executable"},
	    {"setup.exe::$DATA", "executable"},
	    {"setup.exe\xc2\xa0", "executable"},
	    {"folder/setup.exe", "executable"},
	    {"C:\\folder\\setup.cpl", "executable"},
	    {"exe", ""},
	    {"x.exe.txt", ""},
	    {"invoice.pdf.exe", "executable double_extension"},
	    {"invoice.pdf   .exe", "executable double_extension"},
	    {"photo.jpg                                        .scr", "executable double_extension"},
	    {"notes                                        .scr", "executable double_extension"},
	    {"minutes.docx.js", "script double_extension"},
	    {"jquery.min.js", "script"},
	    {"invoice.pdf.html", "html double_extension"},
	    {"page.html", "html"},
	    {"changes.txt.html", "html"},
	    {"readme.txt.exe", "executable double_extension"},
	    {"backup.pdf.zip", "archive"},
	    {"cod\xe2\x80\xae"
	     "fdp.exe",
	     "executable double_extension"},
	    {"harmless\xe2\x80\xaetxt.pdf", "double_extension"},
	    {"x.{3050f4d8-98b5-11cf-bb82-00aa00bdce0b}", "executable double_extension"},
	    {"run.bat", "script"},
	    {"run.ps1", "script"},
	    {"run.hta", "script"},
	    {"run.wsf", "script"},
	    {"run.vbe", "script"},
	    {"tool.py", "script_source"},
	    {"tool.sh", "script_source"},
	    {"setup.msi", "installer"},
	    {"app.appxbundle", "installer"},
	    {"link.lnk", "shortcut"},
	    {"site.url", "shortcut"},
	    {"x.library-ms", "shortcut"},
	    {"x.search-ms", "shortcut"},
	    {"x.theme", "shortcut"},
	    {"x.settingcontent-ms", "settings"},
	    {"x.reg", "settings"},
	    {"x.msc", "settings"},
	    {"x.chm", "help"},
	    {"x.iso", "disk_image"},
	    {"x.vhdx", "disk_image"},
	    {"x.mde", "database"},
	    {"x.ade", "executable"},
	    {"x.xll", "addin"},
	    {"x.xlam", "addin macro"},
	    {"x.iqy", "query"},
	    {"x.slk", "query"},
	    {"x.docm", "macro"},
	    {"x.one", "onenote"},
	    {"x.svg", "html"},
	    {"x.ics", "calendar"},
	    {"x.eml", "message"},
	    {"x.p7b", "certificate"},
	    {"x.rar", "archive"},
	    {"x.7z", "archive"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const names[] = {rows[i].name, NULL};
		is_text(classes_of(names, "", (struct slice){"", 0}), rows[i].classes,
		        arena_printf(arena, "named \"%s\"", rows[i].name));
	}
	const char *const two[] = {"report.pdf", "report.exe", NULL}, *const none[] = {NULL};
	is_text(classes_of(two, "", (struct slice){"", 0}), "executable", "any of the names counts");
	is_text(classes_of(none, "application/hta", (struct slice){"", 0}), "script",
	        "a declared type, where there is no name");
	is_text(classes_of(none, "application/pdf", (struct slice){"", 0}), "", "a harmless type");
}

/* What Gmail and Outlook say that they block: each has a class, and one that no list may miss. */
static void test_blocked_lists(void)
{
	static const char lists[] =
	    "ade adp apk appx appxbundle bat cab chm cmd com cpl diagcab diagcfg diagpkg dll dmg ex ex_ exe hta img ins "
	    "iso isp jar "
	    "jnlp js jse lib lnk mde mjs msc msi msix msixbundle msp mst nsh pif ps1 scr sct shb sys vb vbe vbs vhd vxd "
	    "wsc wsf wsh "
	    "xll app application appref-ms asp aspx asx~ bas bgi cer cnt crt csh der fxp gadget grp hlp hpj htc inf its "
	    "ksh mad maf mag "
	    "mam maq mar mas mat mau mav maw mcf mda mdb mdt mdw mdz msh msh1 msh2 mshxml msh1xml msh2xml msu ops osd pcd "
	    "pl plg prf "
	    "prg printerexport ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 py pyc pyo pyw pyz pyzw reg scf shs theme udl~ url "
	    "vbp "
	    "vhdx vsmacros vsw webpnp website ws xbap xnk rgs slk iqy search-ms library-ms settingcontent-ms";
	struct slice rest = SLICE_LITERAL(lists), word;
	unsigned missing = 0;
	while (slice_split(&rest, ' ', &word)) {
		if (word.data[word.len - 1] != '~' && file_class_of_extension(word) == 0) {
			diag("no class for .%.*s", SLICE_ARGS(word));
			missing++;
		}
	}
	is_int(missing, 0, "every extension that Gmail or Outlook blocks has a class");
}

static void test_table(void)
{
	bool good = true, found = true;
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		enum file_class class = FILE_CLASS_COUNT;
		const struct file_class_info *info = &file_classes[i];
		good = good && info->name != NULL && info->help != NULL && info->extensions != NULL &&
		       info->help[strlen(info->help) - 1] == '.';
		found = found && file_class_find(slice_from(info->name), &class) && class == (enum file_class)i;
	}
	enum file_class class;
	ok(good, "every class has a name, a list and a sentence");
	ok(found, "every class is found by its name");
	ok(!file_class_find(SLICE_LITERAL("exe"), &class), "and nothing else is");
	ok(file_class_of_extension(SLICE_LITERAL("")) == 0, "no extension has no class");
}

#define CONTENT(text)                                                                                                  \
	{                                                                                                                  \
		text, sizeof(text) - 1                                                                                         \
	}
#define MZ                                                                                                             \
	"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
	"\0\0\0\0\0\0\0\0\x40\0\0\0PE\0\0\x4c\1"

static void test_content(void)
{
	static const struct {
		const char *name;
		struct slice content;
		const char *classes;
	} rows[] = {
	    {"setup", CONTENT(MZ), "executable"},
	    {"invoice.pdf", CONTENT(MZ), "executable mismatch"},
	    {"photo.jpg", CONTENT(MZ), "executable mismatch"},
	    {"notes.txt", CONTENT(MZ), "executable mismatch"},
	    {"notes.txt", CONTENT("MZ is how the name of Mark Zbikowski is shortened, and more."), ""},
	    {"x.zip", CONTENT(MZ), "executable archive mismatch"},
	    {"a.bin",
	     CONTENT("\x7f"
	             "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\x3e\0"),
	     "executable"},
	    {"A", CONTENT("\xca\xfe\xba\xbe\0\0\0\x34\0\x10"), "executable"},
	    {"fat", CONTENT("\xca\xfe\xba\xbe\0\0\0\2\1\0\0\7"), "executable"},
	    {"m", CONTENT("\xcf\xfa\xed\xfe\7\0\0\1"), "executable"},
	    {"x.doc", CONTENT("\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46\x81\0\0\0"), "shortcut mismatch"},
	    {"x.jpg", CONTENT("ITSF\3\0\0\0\x60\0\0\0"), "help mismatch"},
	    {"run", CONTENT("#!/bin/sh\nrm -rf /\n"), "script_source"},
	    {"run.txt", CONTENT("#!/bin/sh\nrm -rf /\n"), ""},
	    {"x", CONTENT("@echo off\r\ndel *.*\r\n"), "script"},
	    {"x.dat", CONTENT("\r\nOn Error Resume Next\r\nSet s = CreateObject(\"WScript.Shell\")\r\n"), "script"},
	    {"x.dat", CONTENT("var s = new ActiveXObject(\"WScript.Shell\"); s.Run(\"calc\");"), "script"},
	    {"x.dat", CONTENT("#@~^EAAAAA==w^W,"), "script"},
	    {"x",
	     CONTENT("\xff\xfe"
	             "R\0E\0G\0E\0D\0I\0T\0"
	             "4\0\r\0\n\0"),
	     "settings"},
	    {"x",
	     CONTENT("\xff\xfeW\0i\0n\0d\0o\0w\0s\0 \0R\0e\0g\0i\0s\0t\0r\0y\0 \0"
	             "E\0d\0i\0t\0o\0r\0 \0V\0e\0r\0s\0i\0o\0n\0 \0"
	             "5\0"),
	     "settings"},
	    {"x.txt", CONTENT("[InternetShortcut]\r\nURL=file://203.0.113.1/x.exe\r\n"), "shortcut mismatch"},
	    {"x", CONTENT("<html><head><HTA:APPLICATION ID=x></head><script>1</script></html>"), "script html html_script"},
	    {"x", CONTENT("<?xml version=\"1.0\"?><MMC_ConsoleFile ConsoleVersion=\"3.0\">"), "settings"},
	    {"x", CONTENT("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"), "calendar"},
	    {"x.csv", CONTENT("name,value\r\n=cmd|' /C calc'!A0,1\r\n"), "office_active"},
	    {"x.csv", CONTENT("name|value!\r\n-5|+3\r\n=A1,2\r\n"), ""},
	    {"x.slk", CONTENT("ID;PWXL;N;E\r\nO;E\r\nNN;NAuto_open;ER1C1\r\nC;X1;Y1;K0;EEXEC(\"calc\")\r\n"),
	     "query macro macro_auto"},
	    {"x.pdf", CONTENT("Rar!\x1a\7\1\0\x33\x92\xb5\xe5\x0a\1\5\6\0\5\1\1\x80\x80\0"), "archive mismatch"},
	    {"x.ace", CONTENT("\0\0\0\0\0\0\0**ACE**\0\0\0\0"), "archive archive_unknown"},
	    {"x", CONTENT("conectix\0\0\0\2\0\1\0\0"), "disk_image"},
	    {"x.doc", CONTENT("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3\0\0"), "onenote mismatch"},
	    {"x.txt", CONTENT("Just a text.\n"), ""},
	    {"x.png", CONTENT("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x02\0\0\0"), ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const names[] = {rows[i].name, NULL};
		is_text(classes_of(names, "", rows[i].content), rows[i].classes,
		        arena_printf(arena, "%zu: %s by content: %s", i, rows[i].name, rows[i].classes));
	}
}

static void test_types(void)
{
	static const struct {
		const char *type;
		struct slice content;
	} rows[] = {
	    {"application/pdf", CONTENT("%PDF-1.4\n1 0 obj\n<<>>\nendobj\n")},
	    {"image/png", CONTENT("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x02\0\0\0")},
	    {"image/jpeg", CONTENT("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0")},
	    {"text/plain", CONTENT("Just a text.\n")},
	    {"application/vnd.microsoft.portable-executable", CONTENT(MZ)},
	    {"application/gzip", CONTENT("\x1f\x8b\x08\0\0\0\0\0\0\3\x03\0\0\0\0\0\0\0\0\0")},
	    {"text/html", CONTENT("<!DOCTYPE html><html><body>x</body></html>")},
	    {"application/octet-stream", CONTENT("\1\2\3\4\xfe\xff\0\x11\x99")},
	    {"application/rtf", CONTENT("{\\rtf1\\ansi x}")},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct file_tree tree;
		file_tree_walk(&tree, "x", rows[i].content);
		is_text(tree.top.type, rows[i].type, arena_printf(arena, "the type %s", rows[i].type));
		file_tree_free(&tree);
	}
}

static const char *page(const char *script)
{
	return arena_printf(arena, "<html><head><title>x</title></head><body>%s</body></html>", script);
}

static char *repeat(const char *text, unsigned times)
{
	struct strbuf buffer;
	strbuf_init(&buffer, arena);
	for (unsigned i = 0; i < times; i++) {
		strbuf_add_text(&buffer, text);
	}
	return buffer.data;
}

static void test_pages(void)
{
	const char *base64 = repeat("TVqQAAMAAAAEAAAA", 60), *escapes = repeat("%3c%73", 80),
	           *numbers = repeat("77,90,144,", 100);
	const struct {
		const char *script, *classes, *what;
	} rows[] = {
	    {"hello", "html", "a page"},
	    {"<script>alert(1)</script>", "html html_script", "a page with script"},
	    {arena_printf(arena, "<script>var d='%s';var b=new Blob([atob(d)]);u=URL.createObjectURL(b);</script>", base64),
	     "html html_script html_smuggling", "a blob of base64"},
	    {arena_printf(arena, "<script>var d=\"%s\";navigator.msSaveOrOpenBlob(x(d),'a.zip')</script>", base64),
	     "html html_script html_smuggling", "msSaveOrOpenBlob"},
	    {arena_printf(arena, "<script>var d=[%s0];URL.createObjectURL(new Blob([new Uint8Array(d)]))</script>",
	                  numbers),
	     "html html_script html_smuggling", "a list of numbers"},
	    {arena_printf(arena, "<script>document.write(unescape('%s'))</script>", escapes),
	     "html html_script html_smuggling", "a page of escapes"},
	    {arena_printf(arena, "<script>eval(atob('%s'))</script>", base64), "html html_script html_smuggling",
	     "script in base64"},
	    {arena_printf(arena, "<a href=\"data:application/zip;base64,%s\" download=\"x.zip\">", base64),
	     "html html_smuggling", "a file in a data: address"},
	    {arena_printf(arena, "<iframe src='data:text/html;base64,%s'>", base64), "html html_smuggling",
	     "a page in a data: address"},
	    {arena_printf(arena, "<img src=\"data:image/png;base64,%s\"><script>URL.createObjectURL(x);atob(y)</script>",
	                  base64),
	     "html html_script", "a picture in a page with script"},
	    {"<script>URL.createObjectURL(new Blob([atob('AAAA')]))</script>", "html html_script",
	     "a blob without a payload"},
	    {arena_printf(arena, "<style>@font-face{src:url(data:font/woff2;base64,%s)}</style>", base64), "html",
	     "a font"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *const names[] = {"x.html", NULL};
		is_text(classes_of(names, "text/html", slice_from(page(rows[i].script))), rows[i].classes, rows[i].what);
	}
	const char *const svg[] = {"x.svg", NULL}, *const pdf[] = {"x.pdf", NULL};
	is_text(classes_of(svg, "", SLICE_LITERAL("<?xml version='1.0'?><svg onload='x()'></svg>")), "html html_script",
	        "SVG with script");
	is_text(classes_of(pdf, "", slice_from(page("x"))), "html mismatch", "a page named .pdf");
}

int main(void)
{
	arena = arena_create(65536);
	const char *problem = filetype_load(arena);
	is_text(problem, NULL, "libmagic loads");
	archive_init();
	test_table();
	test_names();
	test_blocked_lists();
	test_content();
	test_types();
	test_pages();
	filetype_unload();
	arena_destroy(arena);
	return done_testing();
}
