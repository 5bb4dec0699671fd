/* Documents: macros, objects, actions, passwords. Those of the fuzz corpora are made by hand, and serve as examples;
 * the PDF files with passwords are made by qpdf. */
#include "inspect/archive.h"
#include "inspect/file_text.h"
#include "inspect/pdf.h"
#include "inspect/sandbox.h"
#include "inspect/vba.h"
#include "t/file_tree.h"
#include "t/tap.h"

#include <sys/wait.h>
#include <unistd.h>

static struct arena *arena;

static void test_vba_decompress(void)
{
	/* [MS-OVBA] 3.2 */
	static const struct {
		struct slice packed;
		const char *text;
	} rows[] = {
	    {{"\x01\x19\xB0\x00\x61\x62\x63\x64\x65\x66\x67\x68\x00\x69\x6A\x6B\x6C\x6D\x6E\x6F\x70\x00\x71\x72\x73\x74\x75"
	      "\x76\x2E",
	      29},
	     "abcdefghijklmnopqrstuv."},
	    {{"\x01\x2F\xB0\x00\x23\x61\x61\x61\x62\x63\x64\x65\x82\x66\x00\x70\x61\x67\x68\x69\x6A\x01\x38\x08\x61\x6B\x6C"
	      "\x00\x30\x6D\x6E\x6F"
	      "\x70\x06\x71\x02\x70\x04\x10\x72\x73\x74\x75\x76\x10\x77\x78\x79\x7A\x00\x3C",
	      51},
	     "#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa"},
	    {{"\x01\x03\xB0\x02\x61\x45\x00", 7},
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	    {{"\x01\x03\xB0\x01\x45\x00", 6}, ""}, /* a copy of what is not there */
	    {{"\x02", 1}, ""},
	    {{"", 0}, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct part_budget budget = file_tree_budget();
		struct file_bytes bytes = {.data = NULL};
		char *heap = malloc(rows[i].packed.len + 1);
		memcpy(heap + 1, rows[i].packed.data, rows[i].packed.len);
		vba_decompress((struct slice){heap + 1, rows[i].packed.len}, &budget, &bytes);
		is_text(arena_memdup(arena, bytes.data == NULL ? "" : bytes.data, bytes.len), rows[i].text,
		        arena_printf(arena, "VBA unpacked: %.20s", rows[i].text));
		file_bytes_free(&bytes);
		free(heap);
	}
}

static void test_auto_names(void)
{
	static const struct {
		const char *text, *name;
	} rows[] = {
	    {"sub document_open()", "Document_Open"},
	    {"sub autoopen()", "AutoOpen"},
	    {"sub my_autoopen()", NULL},
	    {"sub autoopened()", NULL},
	    {"sub workbook_open", "Workbook_Open"},
	    {"sub hello()", NULL},
	    {"sub frame1_layout(", "Layout"},
	    {"", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		is_text(vba_auto_name(slice_from(rows[i].text)), rows[i].name, arena_printf(arena, "\"%s\"", rows[i].text));
	}
}

/* What the examples in the fuzz corpora are. */
static void test_examples(void)
{
	static const struct {
		const char *file, *name, *classes, *line;
	} rows[] = {
	    {"ole/vba", "x.doc", "macro macro_auto", ""},
	    {"ole/xls-macro-sheet", "x.xls", "macro macro_auto", ""},
	    {"ole/native", "x.doc", "office_active", "1 x.exe|c:\\x.exe text/plain 2 executable"},
	    {"ole/rtf-package", "x.doc", "office_active", "1 x.exe|c:\\x.exe text/plain 2 executable"},
	    {"ole/ppt", "x.ppt", "macro macro_auto", "1 object.bin application/x-ole-storage"},
	    {"ole/onenote", "x.one", "onenote",
	     "1 embedded-1 text/plain 2 \n1 x.exe application/octet-stream 0 executable"},
	    {"archive/docx", "x.docx", "office_active", "1 word/document.xml "},
	    {"pdf/objects", "x.pdf", "pdf_active pdf_file", "1 embedded-1 text/plain"},
	    {"pdf/names", "x.pdf", "pdf_active", ""},
	    {"pdf/encrypted-4", "x.pdf", "document_encrypted", ""},
	    {"text/active-mime", "editdata.mso", "macro macro_auto", ""},
	    {"text/word-xml", "x.xml", "office_active", ""},
	    {"text/word-xml", "x.doc", "office_active", ""},
	    {"text/mht", "x.mht", "macro html", ""},
	};
	const char *source = getenv("MAILREEVE_SOURCE");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct file_tree tree;
		struct slice content =
		    file_tree_read(arena_printf(arena, "%s/t/fuzz/corpus/%s", source == NULL ? "." : source, rows[i].file));
		file_tree_walk(&tree, rows[i].name, content);
		is_text(file_tree_words(arena, tree.top.classes), rows[i].classes,
		        arena_printf(arena, "%s: classes", rows[i].file));
		struct slice rest = slice_from(rows[i].line), line;
		while (*rows[i].line != '\0' && slice_split(&rest, '\n', &line)) {
			ok(strstr(tree.text.data, slice_dup(arena, line)) != NULL, "%s: %.*s", rows[i].file, SLICE_ARGS(line));
		}
		file_tree_free(&tree);
		file_tree_let_go(content);
	}
}

static void test_pdf(void)
{
	static const struct {
		const char *text, *classes;
	} rows[] = {
	    {"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction[3 0 R/Fit]>>endobj", ""},
	    {"%PDF-1.4\n1 0 obj<</OpenAction<</S/GoTo/D[3 0 R/Fit]>>>>endobj", ""},
	    {"%PDF-1.4\n1 0 obj<</OpenAction<</S/URI/URI(http://x/)>>>>endobj", "pdf_active"},
	    {"%PDF-1.4\n1 0 obj<</S/URI/URI(http://x/)>>endobj", ""},
	    {"%PDF-1.4\n1 0 obj<</S/JavaScript/JS 2 0 R>>endobj", "pdf_active"},
	    {"%PDF-1.4\n1 0 obj<</S/#4Aava#53cript/#4a#53(x)>>endobj", "pdf_active"},
	    {"%PDF-1.4\n1 0 obj<</S/Launch/F(cmd.exe)>>endobj", "pdf_active"},
	    {"%PDF-1.4\n1 0 obj<</AcroForm<</XFA[]>>>>endobj", "pdf_active"},
	    {"%PDF-1.4\n1 0 obj<</JSX 1/AAPL 2/JavaScripts 3>>endobj", ""},
	    {"%PDF-1.4\n1 0 obj<</Length 4>>stream\n/JS \nendstream endobj", ""},
	    {"%PDF-1.4\n1 0 obj(>>stream\n)<</S/JavaScript>>\nendobj", "pdf_active"},
	    {"junk before it %PDF-1.4\n1 0 obj<</S/JavaScript>>endobj", "pdf_active"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct file_tree tree;
		file_tree_walk(&tree, "x.pdf", slice_from(rows[i].text));
		is_text(file_tree_words(arena, tree.top.classes), rows[i].classes,
		        arena_printf(arena, "PDF %zu: %s", i, rows[i].classes));
		file_tree_free(&tree);
	}
}

/* qpdf is the judge of which files ask for a password. */
static void test_passwords(void)
{
	static const struct {
		const char *options;
		bool asks;
	} rows[] = {
	    {"--encrypt '' owner 40 --", false},
	    {"--encrypt user owner 40 --", true},
	    {"--encrypt '' owner 128 --use-aes=n --", false},
	    {"--encrypt user owner 128 --use-aes=n --", true},
	    {"--encrypt '' owner 128 --use-aes=y --", false},
	    {"--encrypt '' owner 128 --use-aes=y --cleartext-metadata --", false},
	    {"--encrypt user owner 128 --use-aes=y --", true},
	    {"--encrypt '' owner 256 --", false},
	    {"--encrypt user owner 256 --", true},
	    {"--encrypt '' owner 256 --force-R5 --", false},
	    {"--encrypt user owner 256 --force-R5 --", true},
	};
	static const char plain[] =
	    "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Count 1/Kids[3 0 "
	    "R]>>\nendobj\n"
	    "3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>\nendobj\ntrailer\n<</Root 1 0 R>>\n";
	char directory[] = "/tmp/mailreeve-document-XXXXXX";
	if (mkdtemp(directory) == NULL) {
		ok(false, "no temporary folder");
		return;
	}
	FILE *file = fopen(arena_printf(arena, "%s/plain.pdf", directory), "wb");
	fputs(plain, file);
	fclose(file);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *out = arena_printf(arena, "%s/%zu.pdf", directory, i);
		int status = system(arena_printf(arena, "qpdf --allow-weak-crypto %s %s/plain.pdf %s >/dev/null 2>&1",
		                                 rows[i].options, directory, out));
		struct slice content = file_tree_read(out);
		if (status == 127 << 8) {
			printf("ok %d # SKIP qpdf is not here\n", ++tap_count);
		} else {
			struct file_tree tree;
			file_tree_walk(&tree, "x.pdf", content);
			is_int(file_verdict_has(&tree.top, FILE_CLASS_DOCUMENT_ENCRYPTED), rows[i].asks, rows[i].options);
			file_tree_free(&tree);
		}
		file_tree_let_go(content);
	}
	if (system(arena_printf(arena, "rm -rf %s", directory)) != 0) {
		diag("%s stays", directory);
	}
}

/* What every example is, as one text. */
static char *examine_all(const struct slice *contents, size_t count)
{
	struct strbuf all;
	strbuf_init(&all, arena);
	for (size_t i = 0; i < count; i++) {
		struct file_tree tree;
		file_tree_walk(&tree, "x", contents[i]);
		strbuf_add_text(&all, tree.text.data);
		file_tree_free(&tree);
	}
	return all.data;
}

/* In its sandbox a worker finds the same: neither libmagic nor libarchive needs a file or a call that it has not. */
static void test_sandbox(void)
{
	static const char *const files[] = {"archive/7z",        "archive/ar",          "archive/cab-mszip", "archive/cpio",
	                                    "archive/docx",      "archive/rar4-stored", "archive/tar-gz",    "archive/xz",
	                                    "archive/zip-plain", "archive/zst",         "ole/vba",           "ole/ppt",
	                                    "pdf/objects",       "pdf/encrypted-6",     "text/blob",         "text/utf16"};
	enum { FILES = sizeof files / sizeof *files };
	const char *source = getenv("MAILREEVE_SOURCE");
	struct slice contents[FILES];
	char directory[] = "/tmp/mailreeve-document-XXXXXX";
	int status = -1;
	for (size_t i = 0; i < FILES; i++) {
		contents[i] =
		    file_tree_read(arena_printf(arena, "%s/t/fuzz/corpus/%s", source == NULL ? "." : source, files[i]));
	}
	if (mkdtemp(directory) == NULL) {
		ok(false, "no temporary folder");
		return;
	}
	char *outside = examine_all(contents, FILES);
	pid_t pid = fork();
	if (pid == 0) {
		const struct sandbox_settings settings = {.directory = directory, .memory_max = 512 << 20};
		sandbox_isolate();
		_exit(!sandbox_enter(&settings) ? 2 : strcmp(examine_all(contents, FILES), outside) == 0 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	is_int(status, 0, "in the sandbox everything is found that is found outside");
	ok(strstr(outside, "executable") != NULL && strstr(outside, "macro_auto") != NULL, "and that is something");
	rmdir(directory);
	for (size_t i = 0; i < FILES; i++) {
		file_tree_let_go(contents[i]);
	}
}

int main(void)
{
	arena = arena_create(65536);
	filetype_load(arena);
	archive_init();
	test_vba_decompress();
	test_auto_names();
	test_examples();
	test_pdf();
	test_passwords();
	test_sandbox();
	filetype_unload();
	arena_destroy(arena);
	return done_testing();
}
