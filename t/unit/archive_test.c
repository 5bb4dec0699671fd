/* Archives: zip archives made here in every way that two programs read differently; others by the real tools; bombs. */
#include "inspect/archive.h"
#include "t/file_tree.h"
#include "t/tap.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { FILES_MAX = 8 };

static struct arena *arena;
static char directory[] = "/tmp/mailreeve-archive-XXXXXX";

/* One member, and what its two headers say of it. */
struct made {
	const char *name; /* in the directory; NULL: not in it */
	const char *own;  /* in its own header; NULL: the same */
	const char *content;
	unsigned method, flags, own_method;
	size_t said; /* size in the directory; 0: the true one */
	bool no_header;
};

static void number(struct strbuf *to, unsigned long long value, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		strbuf_add_char(to, (char)(i < 8 ? value >> (8 * i) : 0));
	}
}

static struct slice deflate_raw(const char *content, size_t size)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)content, .avail_in = (uInt)size};
	deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
	size_t most = deflateBound(&stream, size);
	char *out = arena_alloc(arena, most);
	stream.next_out = (Bytef *)out;
	stream.avail_out = (uInt)most;
	deflate(&stream, Z_FINISH);
	size_t n = stream.total_out;
	deflateEnd(&stream);
	return (struct slice){out, n};
}

struct placed {
	size_t at;
	struct slice packed;
	unsigned long crc;
	size_t size;
};

static void put_local(struct strbuf *zip, const struct made *made, struct placed *placed_r)
{
	const char *name = made->own != NULL ? made->own : made->name;
	size_t size = strlen(made->content);
	struct slice packed = made->method == 8 ? deflate_raw(made->content, size) : (struct slice){made->content, size};
	*placed_r = (struct placed){
	    .at = zip->len, .packed = packed, .size = size, .crc = crc32(0, (const Bytef *)made->content, (uInt)size)};
	if (made->no_header) {
		return;
	}
	strbuf_add(zip, "PK\3\4\x14\0", 6);
	number(zip, made->flags, 2);
	number(zip, made->own_method != 0 ? made->own_method : made->method, 2);
	number(zip, 0, 4);
	number(zip, placed_r->crc, 4);
	number(zip, packed.len, 4);
	number(zip, size, 4);
	number(zip, strlen(name), 2);
	number(zip, 0, 2);
	strbuf_add_text(zip, name);
	strbuf_add_slice(zip, packed);
}

static void put_central(struct strbuf *zip, const struct made *made, const struct placed *placed, size_t base)
{
	strbuf_add(zip, "PK\1\2\x14\0\x14\0", 8);
	number(zip, made->flags, 2);
	number(zip, made->method, 2);
	number(zip, 0, 4);
	number(zip, placed->crc, 4);
	number(zip, placed->packed.len, 4);
	number(zip, made->said != 0 ? made->said : placed->size, 4);
	number(zip, strlen(made->name), 2);
	number(zip, 0, 12);
	number(zip, placed->at - base, 4);
	strbuf_add_text(zip, made->name);
}

/* Appends an archive; base: where its offsets count from. */
static void add_zip(struct strbuf *zip, const struct made *made, size_t base)
{
	struct placed placed[FILES_MAX];
	unsigned count = 0;
	for (size_t i = 0; made[i].content != NULL; i++) {
		put_local(zip, &made[i], &placed[i]);
	}
	size_t directory_at = zip->len;
	for (size_t i = 0; made[i].content != NULL; i++) {
		if (made[i].name != NULL) {
			put_central(zip, &made[i], &placed[i], base);
			count++;
		}
	}
	size_t size = zip->len - directory_at;
	strbuf_add(zip, "PK\5\6\0\0\0\0", 8);
	number(zip, count, 2);
	number(zip, count, 2);
	number(zip, size, 4);
	number(zip, directory_at - base, 4);
	number(zip, 0, 2);
}

static struct strbuf make_zip(const struct made *made)
{
	struct strbuf zip;
	strbuf_init(&zip, arena);
	add_zip(&zip, made, 0);
	return zip;
}

static struct slice as_slice(const struct strbuf *buffer)
{
	return (struct slice){buffer->data, buffer->len};
}

static void check(const char *name, struct slice content, const char *classes, const char *lines, const char *what)
{
	struct file_tree tree;
	file_tree_walk(&tree, name, content);
	is_text(file_tree_words(arena, tree.top.classes), classes, arena_printf(arena, "%s: classes", what));
	struct slice rest = slice_from(lines), line;
	while (*lines != '\0' && slice_split(&rest, '\n', &line)) {
		char *wanted = slice_dup(arena, line);
		if (!ok(strstr(tree.text.data, wanted) != NULL, "%s: %s", what, wanted)) {
			diag("%s", text_escape(arena, slice_from(tree.text.data), "", true, 2000));
		}
	}
	file_tree_free(&tree);
}

#define ENDED                                                                                                          \
	{                                                                                                                  \
		.content = NULL                                                                                                \
	}

static void test_zip(void)
{
	const struct made plain[] = {{.name = "a.txt", .content = "hello"},
	                             {.name = "b/c.txt", .content = "hello, hello, hello", .method = 8},
	                             ENDED};
	struct strbuf zip = make_zip(plain);
	check("x.zip", as_slice(&zip), "archive", "1 a.txt text/plain 5 \n1 b/c.txt text/plain 19 ", "a plain archive");
	for (size_t n = 30; n + 22 < zip.len; n += 7) {
		struct file_tree tree;
		file_tree_walk(&tree, "x.zip", (struct slice){zip.data, n});
		ok(file_verdict_has(&tree.top, FILE_CLASS_ARCHIVE_BROKEN), "cut off after %zu bytes: archive_broken", n);
		file_tree_free(&tree);
	}
	check("x.zip", SLICE_LITERAL("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "archive", "", "an empty archive");
	const struct made exe[] = {{.name = "invoice.pdf.exe", .content = "MZ"}, ENDED};
	zip = make_zip(exe);
	check("x.zip", as_slice(&zip), "archive", "1 invoice.pdf.exe text/plain 2 executable double_extension",
	      "a program in an archive");
}

static void test_encrypted(void)
{
	const struct made made[] = {{.name = "open.txt", .content = "hello"},
	                            {.name = "closed.exe", .content = "123456789012hello", .flags = 1},
	                            {.name = "aes.doc", .content = "123456789012hello", .flags = 1, .method = 99},
	                            ENDED};
	struct strbuf zip = make_zip(made);
	check("x.zip", as_slice(&zip), "archive archive_encrypted",
	      "1 open.txt text/plain 5 \n1 closed.exe application/octet-stream 17 encrypted executable\n1 aes.doc "
	      "application/octet-stream 17 encrypted ",
	      "encrypted members");
}

static void test_two_names(void)
{
	const struct made made[] = {{.name = "report.pdf", .own = "report.exe", .content = "hello"}, ENDED};
	struct strbuf zip = make_zip(made);
	check("x.zip", as_slice(&zip), "archive archive_ambiguous", "1 report.pdf|report.exe text/plain 5 executable",
	      "two names of one member");
}

static void test_hidden(void)
{
	const struct made made[] = {{.name = "a.txt", .content = "hello"},
	                            {.own = "hidden.exe", .content = "goodbye"},
	                            {.name = "b.txt", .content = "hello"},
	                            ENDED};
	struct strbuf zip = make_zip(made);
	check("x.zip", as_slice(&zip), "archive archive_ambiguous",
	      "1 hidden.exe text/plain 7 executable\n1 b.txt text/plain 5 ", "a member that no directory names");
}

static void test_prepended(void)
{
	const struct made made[] = {{.name = "a.js", .content = "hello"}, ENDED};
	struct strbuf zip;
	strbuf_init(&zip, arena);
	strbuf_add_text(&zip, "GIF89a\1\0\1\0 and some more that is no archive at all");
	size_t base = zip.len;
	add_zip(&zip, made, 0);
	check("x.gif", as_slice(&zip), "archive", "1 a.js text/plain 5 script",
	      "behind a picture, offsets from the start of the file");
	zip.len = base;
	add_zip(&zip, made, base);
	check("x.gif", as_slice(&zip), "archive", "1 a.js text/plain 5 script",
	      "behind a picture, offsets from the start of the archive");
	zip.len = 0;
	strbuf_add_text(&zip, "%PDF-1.4\n1 0 obj\n<<>>\nendobj\n");
	add_zip(&zip, made, zip.len);
	check("x.pdf", as_slice(&zip), "archive", "1 a.js text/plain 5 script", "behind a PDF");
}

static void test_two_ends(void)
{
	const struct made first[] = {{.name = "first.exe", .content = "hello"}, ENDED},
	                  second[] = {{.name = "second.txt", .content = "hello"}, ENDED};
	struct strbuf zip = make_zip(first);
	add_zip(&zip, second, zip.len);
	check("x.zip", as_slice(&zip), "archive archive_ambiguous",
	      "1 first.exe text/plain 5 executable\n1 second.txt text/plain 5 ", "two archives, one behind the other");
	zip = make_zip(second);
	add_zip(&zip, first, zip.len);
	add_zip(&zip, second, zip.len);
	check("x.zip", as_slice(&zip), "archive archive_ambiguous", "1 first.exe text/plain 5 executable",
	      "one archive between two others");
}

static void test_two_readings(void)
{
	const struct made made[] = {
	    {.name = "a.txt", .content = "hello hello hello hello", .method = 8, .own_method = 1, .own = "a.txt"}, ENDED};
	struct strbuf zip = make_zip(made);
	check("x.zip", as_slice(&zip), "archive archive_unknown archive_ambiguous", "1 a.txt text/plain 23 ",
	      "two methods");
	const struct made longer[] = {{.name = "a.txt", .content = "hello hello hello hello", .method = 8, .said = 5},
	                              ENDED};
	zip = make_zip(longer);
	check("x.zip", as_slice(&zip), "archive archive_ambiguous", "1 a.txt text/plain 23 \n1 a.txt text/plain 5 ",
	      "longer than it says");
}

static void test_junk(void)
{
	const struct made made[] = {{.name = "a.txt", .content = "hello"}, ENDED};
	struct strbuf zip;
	strbuf_init(&zip, arena);
	strbuf_add(&zip, "\1\2\3 junk \0\0", 10);
	add_zip(&zip, made, 0);
	strbuf_add(&zip, "more junk", 9);
	check("x.zip", as_slice(&zip), "archive", "1 a.txt text/plain 5 ", "junk before and behind");
	check("x.zip", (struct slice){zip.data, 50}, "archive archive_broken", "1 a.txt text/plain ",
	      "junk before it, and cut off");
	check("x.zip", SLICE_LITERAL("\1\2\3\4\5\6\7\0\xff\xfe\xfd\0\0\0\0\0"), "archive archive_unknown", "",
	      "no archive at all");
}

static void test_names(void)
{
	const struct made made[] = {{.name = "../../etc/cron.d/x", .content = "hello"},
	                            {.name = "\x81.txt", .content = "hello"},
	                            {.name = "\xc3\xbc.txt", .content = "hello", .flags = 2048},
	                            {.name = "x\r\n.txt", .content = "hello"},
	                            ENDED};
	struct strbuf zip = make_zip(made);
	check("x.zip", as_slice(&zip), "archive archive_path", "1 ../../etc/cron.d/x \n1 \xc3\xbc.txt \n1 x??.txt ",
	      "names");
	const struct made wrong[] = {{.name = "a.txt", .content = "hello", .no_header = true}, ENDED};
	zip = make_zip(wrong);
	check("x.zip", as_slice(&zip), "archive archive_broken", "1 a.txt ", "a member that is not there");
}

/* --- the real tools --- */

static bool run(const char *command)
{
	const char *line =
	    arena_printf(arena, "cd %s && rm -rf out && mkdir out && (%s) >/dev/null 2>&1", directory, command);
	return system(line) == 0;
}

static void write_file(const char *name, const char *content)
{
	FILE *file = fopen(arena_printf(arena, "%s/%s", directory, name), "wb");
	fputs(content, file);
	fclose(file);
}

/* GNU tar stops at the first end, tar -i and others read on. */
static void test_two_tars(void)
{
	if (!run("tar cf out/a.tar a.txt && tar cf out/b.tar b.exe && cat out/a.tar out/b.tar > out/x.tar")) {
		return;
	}
	struct slice content = file_tree_read(arena_printf(arena, "%s/out/x.tar", directory));
	check("x.tar", content, "archive archive_ambiguous", "1 a.txt text/plain 6 \n1 b.exe text/plain 8 executable",
	      "two tar archives, one behind the other");
	file_tree_let_go(content);
}

static void test_tools(void)
{
	static const struct {
		const char *command, *file, *classes, *line;
	} rows[] = {
	    {"zip out/x.zip a.txt b.exe", "x.zip", "archive", "1 b.exe text/plain 8 executable"},
	    {"zip -P secret out/x.zip a.txt b.exe", "x.zip", "archive archive_encrypted",
	     "1 b.exe application/octet-stream 8 encrypted executable"},
	    {"zip -Z bzip2 out/x.zip long.txt", "x.zip", "archive", "1 long.txt text/plain 18000 "},
	    {"cat a.txt | zip out/x.zip -", "x.zip", "archive", "1 - text/plain 6 "},
	    {"zip out/y.zip a.txt && zip -0 out/x.zip out/y.zip", "x.zip", "archive",
	     "2 a.txt text/plain 6 \n1 out/y.zip application/zip"},
	    {"7z a out/x.7z a.txt b.exe", "x.7z", "archive", "1 b.exe text/plain 8 executable"},
	    {"7z a -psecret out/x.7z a.txt b.exe", "x.7z", "archive archive_encrypted",
	     "1 b.exe application/octet-stream 8 encrypted executable"},
	    {"7z a -psecret -mhe=on out/x.7z a.txt", "x.7z", "archive archive_encrypted", ""},
	    {"7z a -tzip -mem=AES256 -psecret out/x.zip b.exe", "x.zip", "archive archive_encrypted",
	     "1 b.exe application/octet-stream 8 encrypted executable"},
	    {"7z a -tzip -mm=LZMA out/x.zip long.txt", "x.zip", "archive", "1 long.txt text/plain 18000 "},
	    {"7z a -tzip -mm=PPMd out/x.zip long.txt", "x.zip", "archive", "1 long.txt text/plain 18000 "},
	    {"7z a -tzip -mm=Deflate64 out/x.zip long.txt", "x.zip", "archive archive_unknown", "1 long.txt "},
	    {"tar cf out/x.tar a.txt b.exe", "x.tar", "archive", "1 b.exe text/plain 8 executable"},
	    {"tar czf out/x.tgz a.txt b.exe", "x.tgz", "archive", "2 b.exe text/plain 8 executable"},
	    {"tar cJf out/x.txz a.txt b.exe", "x.txz", "archive", "2 b.exe text/plain 8 executable"},
	    {"tar cf out/x.tar /etc/hostname -P", "x.tar", "archive archive_path", "1 /etc/hostname "},
	    {"gzip -c b.exe > out/x.gz", "x.gz", "archive", "1 b.exe|x text/plain 8 executable"},
	    {"gzip -nc b.exe > out/b.exe.gz", "b.exe.gz", "archive", "1 b.exe text/plain 8 executable"},
	    {"bzip2 -c b.exe > out/b.exe.bz2", "b.exe.bz2", "archive", "1 b.exe text/plain 8 executable"},
	    {"xz -c b.exe > out/b.exe.xz", "b.exe.xz", "archive", "1 b.exe text/plain 8 executable"},
	    {"zstd -c b.exe > out/b.exe.zst", "b.exe.zst", "archive", "1 b.exe text/plain 8 executable"},
	    {"lz4 -c b.exe > out/b.exe.lz4", "b.exe.lz4", "archive", "1 b.exe text/plain 8 executable"},
	    {"ls a.txt b.exe | cpio -o > out/x.cpio", "x.cpio", "archive", "1 b.exe text/plain 8 executable"},
	    {"genisoimage -J -o out/x.iso a.txt b.exe", "x.iso", "disk_image archive", "1 b.exe text/plain 8 executable"},
	    {"gcab -c out/x.cab a.txt b.exe", "x.cab", "archive", "1 b.exe text/plain 8 executable"},
	    {"gcab -cz out/x.cab long.txt", "x.cab", "archive", "1 long.txt text/plain 18000 "},
	    {"arj a out/x.arj a.txt", "x.arj", "archive archive_unknown", ""},
	    {"zip out/y.zip b.exe && cat /bin/true out/y.zip > out/x && chmod -x out/x", "x", "executable archive",
	     "1 b.exe text/plain 8 executable"},
	    {"7z a out/y.7z b.exe && cat /bin/true out/y.7z > out/x", "x", "executable archive",
	     "1 b.exe text/plain 8 executable"},
	    {"zip out/y.zip b.exe && head -c 100 out/y.zip > out/x.zip", "x.zip", "archive archive_broken", "1 b.exe "},
	    {"7z a -mx0 out/y.7z long.txt && head -c 9000 out/y.7z > out/x.7z", "x.7z", "archive archive_broken", ""},
	    {"gzip -c long.txt > out/y.gz && head -c 50 out/y.gz > out/x.gz", "x.gz", "archive archive_broken", ""},
	    {"seq 1 40000 > big && zip -s 64k out/x.zip big && mv out/x.z01 out/x.zip", "x.zip", "archive archive_broken",
	     "1 big "},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!run(rows[i].command)) {
			tap_count++;
			printf("ok %d # SKIP a tool is not here, or cannot do it: %s\n", tap_count, rows[i].command);
			continue;
		}
		struct slice content = file_tree_read(arena_printf(arena, "%s/out/%s", directory, rows[i].file));
		check(rows[i].file, content, rows[i].classes, rows[i].line, rows[i].command);
		file_tree_let_go(content);
	}
}

/* --- bombs --- */

static void check_bomb(const char *name, struct slice content, const char *exhausted)
{
	struct file_tree tree;
	file_tree_walk(&tree, name, content);
	is_text(tree.budget.exhausted, exhausted, arena_printf(arena, "%s: %s", name, exhausted));
	ok(file_tree_has(&tree, FILE_CLASS_ARCHIVE_BOMB), "%s: archive_bomb", name);
	/* Without a bound it would take hours; sanitizers on a busy machine take ten seconds. */
	ok(tree.milliseconds < 60000, "%s: %llu ms", name, (unsigned long long)tree.milliseconds);
	file_tree_free(&tree);
}

static void test_bombs(void)
{
	if (run("head -c 1000000000 /dev/zero | gzip -9 > out/zeros.gz")) {
		struct slice content = file_tree_read(arena_printf(arena, "%s/out/zeros.gz", directory));
		check_bomb("zeros.gz", content, "too much to unpack");
		file_tree_let_go(content);
	}
	/* 100,000 members of five bytes */
	struct strbuf zip, central;
	strbuf_init(&zip, arena);
	strbuf_init(&central, arena);
	for (unsigned i = 0; i < 100000; i++) {
		const struct made made = {.name = "a.txt", .content = "hello"};
		struct placed placed;
		put_local(&zip, &made, &placed);
		put_central(&central, &made, &placed, 0);
	}
	size_t at = zip.len;
	strbuf_add(&zip, central.data, central.len);
	strbuf_add(&zip, "PK\5\6\0\0\0\0\xff\xff\xff\xff", 12);
	number(&zip, central.len, 4);
	number(&zip, at, 4);
	number(&zip, 0, 2);
	check_bomb("many.zip", as_slice(&zip), "too many parts");
	/* Zip in zip in zip ... */
	const struct made seed[] = {{.name = "a.txt", .content = "hello"}, ENDED};
	struct strbuf inner = make_zip(seed);
	for (unsigned i = 0; i < 40; i++) {
		struct strbuf outer;
		struct slice packed = as_slice(&inner);
		strbuf_init(&outer, arena);
		strbuf_add(&outer, "PK\3\4\x14\0\0\0\0\0\0\0\0\0", 14);
		number(&outer, crc32(0, (const Bytef *)packed.data, (uInt)packed.len), 4);
		number(&outer, packed.len, 4);
		number(&outer, packed.len, 4);
		number(&outer, 5, 2);
		number(&outer, 0, 2);
		strbuf_add_text(&outer, "x.zip");
		strbuf_add_slice(&outer, packed);
		inner = outer;
	}
	check_bomb("deep.zip", as_slice(&inner), "nested too deep");
}

/* Members whose bytes are the same ones: a small file unpacks to a large one by its directory alone. */
static void test_overlap(void)
{
	struct strbuf zip, central;
	char *zeros = arena_alloc(arena, 4 << 20);
	memset(zeros, 'a', (4 << 20) - 1);
	const struct made made = {.name = "a.txt", .content = zeros, .method = 8};
	struct placed placed;
	strbuf_init(&zip, arena);
	strbuf_init(&central, arena);
	put_local(&zip, &made, &placed);
	for (unsigned i = 0; i < 200; i++) {
		const struct made again = {.name = arena_printf(arena, "a%u.txt", i), .content = zeros, .method = 8};
		put_central(&central, &again, &placed, 0);
	}
	size_t at = zip.len;
	strbuf_add(&zip, central.data, central.len);
	strbuf_add(&zip, "PK\5\6\0\0\0\0\xc8\0\xc8\0", 12);
	number(&zip, central.len, 4);
	number(&zip, at, 4);
	number(&zip, 0, 2);
	check_bomb("overlap.zip", as_slice(&zip), "too much to unpack");
}

int main(void)
{
	arena = arena_create(1 << 20);
	filetype_load(arena);
	archive_init();
	if (mkdtemp(directory) == NULL) {
		printf("Bail out! no temporary folder\n");
		return 1;
	}
	write_file("a.txt", "hello\n");
	write_file("b.exe", "goodbye\n");
	struct strbuf text;
	strbuf_init(&text, arena);
	for (unsigned i = 0; i < 2000; i++) {
		strbuf_printf(&text, "line %03u\n", i % 1000);
	}
	write_file("long.txt", text.data);
	test_zip();
	test_encrypted();
	test_two_names();
	test_hidden();
	test_prepended();
	test_two_ends();
	test_two_readings();
	test_names();
	test_junk();
	test_two_tars();
	test_tools();
	test_bombs();
	test_overlap();
	if (system(arena_printf(arena, "rm -rf %s", directory)) != 0) {
		diag("%s stays", directory);
	}
	filetype_unload();
	arena_destroy(arena);
	return done_testing();
}
