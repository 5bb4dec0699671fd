/* Names of files as they are written, and all the names that readers make of them. */
#include "inspect/mime_charset.h"
#include "inspect/mime_name.h"
#include "t/tap.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct row {
	const char *field; /* Content-Disposition or Content-Type */
	const char *names; /* all, most usual first, separated by "|" */
};

static const struct row rows[] = {
    {"attachment", ""},
    {"attachment; filename=a.exe", "a.exe"},
    {"attachment; filename=\"a b.exe\"", "a b.exe"},
    {"attachment; FileName = \"a.exe\" ; size=3", "a.exe"},
    {"x/y; name=a.exe", "a.exe"},
    {"attachment; filename=report (1).pdf", "report (1).pdf|report .pdf|report"},
    {"attachment; filename='a.exe'", "'a.exe'|a.exe"},
    {"attachment; filename=\"a.txt\"; filename=\"b.exe\"", "a.txt|b.exe"},
    {"attachment; filename=\"a.txt\"; filename*=utf-8''b.exe", "b.exe|a.txt"},
    /* quotes and separators gone wrong */
    {"attachment; filename=\"a.exe", "a.exe|\"a.exe"},
    {"attachment; filename=\"a.exe; size=3", "a.exe; size=3|a.exe|\"a.exe; size=3"},
    {"attachment; filename=\"a.txt\".exe", "a.txt|a.txt.exe"},
    {"attachment; filename=\"a\\\".exe\"", "a\".exe|\".exe|a\\\".exe"},
    {"attachment filename=a.exe", "a.exe"},
    {"attachment; size=3 filename=a.exe", "a.exe"},
    {"attachment, filename=a.exe", "a.exe"},
    {"attachment; (x) filename(y)=(z)\"a.exe\"", "a.exe"},
    {"attachment; \"filename\"=a.exe", "a.exe"},
    {"attachment;;; filename=a.exe", "a.exe"},
    {"attachment;\r\n filename=\r\n\t\"a\r\n .exe\"", "a .exe"},
    {"attachment; a=\"x; filename=b.exe\"; filename=c.txt", "c.txt"},
    /* RFC 2231 */
    {"attachment; filename*=utf-8''%e2%82%ac.exe", "\u20ac.exe"},
    {"attachment; filename*=iso-8859-1'de'%e4.exe", "\u00e4.exe"},
    {"attachment; filename*=%41.exe", "A.exe"},
    {"attachment; filename*0=a; filename*1=.exe", "a.exe"},
    {"attachment; filename*1=.exe; filename*0=a", "a.exe|.exea"},
    {"attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac.exe", "\u20ac.exe"},
    {"attachment; filename*0*=utf-8''a; filename*1=%41.exe", "a%41.exe|aA.exe"},
    {"attachment; filename*0=a; filename*2=.exe", "a|a.exe"},
    {"attachment; filename*1=a; filename*2=.exe", "a.exe"},
    {"attachment; filename=a; filename*1=.exe", "a.exe|a"},
    {"attachment; filename*0=a.txt; filename*0=b.exe", "a.txt|b.exe|a.txtb.exe"},
    {"attachment; filename*0=\"a.e\"; filename*01=\"xe\"", "a.exe"},
    /* RFC 2047 */
    {"attachment; filename=\"=?utf-8?B?w6QuZXhl?=\"", "\u00e4.exe|=?utf-8?B?w6QuZXhl?="},
    {"attachment; filename==?utf-8?Q?a=2Eexe?=", "a.exe|=?utf-8?Q?a=2Eexe?="},
    {"attachment; filename=\"=?utf-8?B?4oI=?= =?utf-8?B?rC5leGU=?=\"",
     "\u20ac.exe|??|=?utf-8?B?4oI=?= =?utf-8?B?rC5leGU=?="},
    {"attachment; filename=\"x=?utf-8?Q?=2E?=exe\"", "x.exe|x=?utf-8?Q?=2E?=exe"},
    {"attachment; filename=\"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=.exe\"",
     "\u65e5\u672c.exe|=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=.exe"},
    {"attachment; filename=\"=?utf-8?Q?a.exe\"", "a.exe|=?utf-8?Q?a.exe"},
    {"attachment; filename*0=\"=?utf-8?Q?a.\"; filename*1=\"exe?=\"", "a.exe|=?utf-8?Q?a.exe?="},
    /* charsets that nobody declares */
    {"attachment; filename=\"\xe4.exe\"", "\u00e4.exe"},
    {"attachment; filename=\"\x80.exe\"", "\u20ac.exe"},
    {"attachment; filename=\"\u20ac.exe\"", "\u20ac.exe"},
    {"attachment; filename=a%2Eexe", "a%2Eexe|a.exe"},
    /* folders, endings, what cannot be seen */
    {"attachment; filename=../../etc/a.exe", "a.exe|../../etc/a.exe"},
    {"attachment; filename=\"C:\\dir\\a.exe\"", "C:dira.exe|a.exe|C:\\dir\\a.exe"},
    {"attachment; filename=C:\\dir\\a.exe", "a.exe|C:\\dir\\a.exe"},
    {"attachment; filename=\"a.exe. . \"", "a.exe. .|a.exe"},
    {"attachment; filename=\"a.exe\u00a0\"", "a.exe\u00a0|a.exe"},
    {"attachment; filename=\"a.exe::$DATA\"", "a.exe::$DATA|a.exe"},
    {"attachment; filename=\"a\u202etxt.exe\"", "atxt.exe|a\\u202etxt.exe"},
    {"attachment; filename=\"a.e\u200bxe\"", "a.exe|a.e\\u200bxe"},
    {"attachment; filename=\"a.e\txe\x01\"", "a.exe|a.e\\u0009xe\\u0001"},
    {"attachment; filename*=utf-8''a.exe%00.txt", "a.exe|a.exe.txt|a.exe\\u0000.txt"},
};

/* As a part with this one field would be named. */
static const char *names_of(struct arena *arena, struct slice field)
{
	static const char *const params[] = {"filename", "name"};
	struct mime_names names = {.count = 0};
	struct mime_value *value = arena_alloc(arena, sizeof *value);
	struct strbuf out;
	char *exact = malloc(field.len);
	memcpy(exact, field.data, field.len);
	field.data = exact;
	mime_value_parse(arena, field, value);
	for (size_t i = 0; i < 2; i++) {
		mime_names_add_param(&names, arena, value, field, params[i]);
	}
	free(exact);
	strbuf_init(&out, arena);
	for (size_t i = 0; i < names.count; i++) {
		strbuf_printf(&out, "%s%s", i > 0 ? "|" : "", names.items[i]);
	}
	return out.data;
}

static void test_long(struct arena *arena)
{
	struct mime_names names = {.count = 0};
	struct strbuf text;
	strbuf_init(&text, arena);
	for (int i = 0; i < 200; i++) {
		strbuf_add_text(&text, "\u00e4");
	}
	strbuf_add_text(&text, ".exe");
	mime_names_add(&names, arena, (struct slice){text.data, text.len});
	if (is_int((long long)names.count, 2, "a long name twice")) {
		ok(slice_ends_nocase(slice_from(names.items[0]), SLICE_LITERAL(".exe")), "with its end");
		ok(utf8_valid(slice_from(names.items[0])) && utf8_valid(slice_from(names.items[1])), "cut between characters");
		ok(strlen(names.items[0]) < MIME_NAME_SIZE && strlen(names.items[1]) < MIME_NAME_SIZE, "not too long");
	}
}

static void test_many(struct arena *arena)
{
	struct mime_names names = {.count = 0};
	for (int i = 0; i < 100; i++) {
		mime_names_add(&names, arena, slice_from(arena_printf(arena, "%d.txt", i)));
	}
	mime_names_add(&names, arena, SLICE_LITERAL("last.exe"));
	is_int((long long)names.count, MIME_NAMES_MAX, "as many as there is room for");
	ok(names.cut, "and that is told");
	is_text(names.items[0], "0.txt", "the first is there");
	is_text(names.items[MIME_NAMES_MAX - 1], "last.exe", "and the last");
}

/* In the sandbox nothing can be opened any more. */
static void test_no_files(struct arena *arena)
{
	static const char *const charsets[] = {"koi8-r", "iso-2022-jp", "gb18030", "windows-1256",
	                                       "utf-7",  "euc-kr",      "latin1"};
	pid_t child = fork();
	int status = -1;
	if (child == 0) {
		struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
		struct slice out;
		bool good = setrlimit(RLIMIT_NOFILE, &none) == 0;
		for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++) {
			good = good && mime_charset_convert(arena, slice_from(charsets[i]), SLICE_LITERAL("a.exe"), &out) &&
			       slice_equal(out, SLICE_LITERAL("a.exe"));
		}
		struct slice words = mime_words_gmime(arena, SLICE_LITERAL("=?koi8-r?Q?=C1?=.exe"));
		_exit(good && slice_equal(words, SLICE_LITERAL("\u0430.exe")) ? 0 : 1);
	}
	ok(waitpid(child, &status, 0) == child && status == 0, "charsets are there when no file can be opened");
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	mime_charset_load();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		is_text(names_of(arena, slice_from(rows[i].field)), rows[i].names, rows[i].field);
	}
	test_long(arena);
	test_many(arena);
	test_no_files(arena);
	arena_destroy(arena);
	return done_testing();
}
