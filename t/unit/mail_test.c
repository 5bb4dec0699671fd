/* lib/mail: domains, headers, addresses, tag lists, and the message on its way to a worker. */
#include "lib/mail/address.h"
#include "lib/mail/domain.h"
#include "lib/mail/message.h"
#include "lib/mail/taglist.h"
#include "t/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* On a heap block of exactly its size, so that an overread is seen. */
static struct slice heap(struct slice text)
{
	char *copy = malloc(text.len == 0 ? 1 : text.len);
	if (text.len > 0) {
		memcpy(copy, text.data, text.len);
	}
	return (struct slice){copy, text.len};
}

static void test_domains(struct arena *arena)
{
	static const char label63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"Example.COM", "example.com"},
		{"example.com.", "example.com"},
		{"_dmarc.x", "_dmarc.x"},
		{"b\xc3\xbc" "cher.example", "xn--bcher-kva.example"},
		{"B\xc3\x9c" "CHER.example", "xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{"fa\xc3\x9f.example", "xn--fa-hia.example"},
		/* one name in its many forms (UTS 46): NFD, capitals, full width, other dots */
		{"bu\xcc\x88" "cher.example", "xn--bcher-kva.example"},
		{"BU\xcc\x88" "CHER.EXAMPLE", "xn--bcher-kva.example"},
		{"b\xc3\xbc" "cher\xe3\x80\x82" "example", "xn--bcher-kva.example"},
		{"b\xc3\xbc" "cher\xef\xbc\x8e" "example", "xn--bcher-kva.example"},
		{"b\xc3\xbc" "cher\xef\xbd\xa1" "example", "xn--bcher-kva.example"},
		{"example\xe3\x80\x82" "com\xe3\x80\x82", "example.com"},
		{"\xef\xbd\x85\xef\xbd\x98\xef\xbd\x81mple.com", "example.com"},
		{"exam\xc2\xadple.com", "example.com"}, /* a soft hyphen is not shown, and nothing */
		{"\xe2\x91\xa0.example", "1.example"},
		{"xn--bcher-kva.b\xc3\xbc" "cher", "xn--bcher-kva.xn--bcher-kva"},
		{"a_b.b\xc3\xbc" "cher", "a_b.xn--bcher-kva"},
		/* non-transitional: sharp s and final sigma are letters of their own */
		{"\xce\xb2\xcf\x8c\xce\xbb\xce\xbf\xcf\x82.example", "xn--nxasmm1c.example"},
		{"\xce\xb2\xcf\x8c\xce\xbb\xce\xbf\xcf\x83.example", "xn--nxasmq6b.example"},
		/* joiners where the script wants them (RFC 5892 A.1, A.2) and where not; right to left (RFC 5893) */
		{"\xd9\x86\xd8\xa7\xd9\x85\xd9\x87\xe2\x80\x8c\xd8\xa7\xdb\x8c.example", "xn--mgba3gch31f060k.example"},
		{"\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7.example", "xn--11b2ezcw70k.example"},
		{"a\xe2\x80\x8d" "b.example", NULL},
		{"a\xe2\x80\x8c" "b.example", NULL},
		{"\xd7\x90\xd7\x91.example", "xn--4dbc.example"},
		{"\xd7\x90\xd7\x91" "a.example", NULL},
		{"1\xd7\x90.example", NULL},
		{"\xc3\xa9\xe2\x80\xae" "x.example", NULL},
		/* another script is another name, not a mistake: Cyrillic a in "apple" */
		{"\xd0\xb0pple.example", "xn--pple-43d.example"},
		/* what IDNA does not allow, and what becomes something else than a name */
		{"\xe2\x98\x83.example", NULL},
		{"\xcc\x88" "a.example", NULL},
		{"b\xc3\xbc-.example", NULL},
		{"ab--\xc3\xbc.example", NULL},
		{"b\xc3\xbc cher.example", NULL},
		{"b\xc3\xbc@cher.example", NULL},
		{"\xe2\x84\x80.example", NULL},                 /* a/c */
		{"example.com\xef\xbc\x8f" "b\xc3\xbc", NULL}, /* full-width slash */
		{"\xe2\x80\x8b.example", NULL},                 /* nothing, and a dot */
		{"b\xc3\xbc" "cher..example", NULL},
		{"b\xc3\xbc" "cher.example.\xe3\x80\x82", NULL},
		/* A-labels in ASCII are names as they stand, decodable or not; beside U-labels they must be real ones */
		{"xn--a.example", "xn--a.example"},
		{"xn--a.b\xc3\xbc" "cher", NULL},
		{"xn--b\xc3\xbc" "cher.example", NULL},
		/* no UTF-8: cut off, overlong, a surrogate, Latin-1 */
		{"b\xc3", NULL},
		{"\xc0\xae.example", NULL},
		{"\xe0\x80\xae.example", NULL},
		{"\xed\xa0\x80.example", NULL},
		{"b\xfc" "cher.example", NULL},
		{"a..b", NULL},
		{".a", NULL},
		{"", NULL},
		{".", NULL},
		{"a b", NULL},
		{"a@b", NULL},
		{"\xff.example", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice text = heap(slice_from(rows[i].text));
		is_text(domain_canonical(arena, text), rows[i].canonical, arena_printf(arena, "domain \"%s\"", rows[i].text));
		free((char *)(uintptr_t)text.data);
	}
	ok(domain_canonical(arena, slice_from(label63)) != NULL, "a label of 63");
	ok(domain_canonical(arena, slice_from(arena_printf(arena, "%sa", label63))) == NULL, "a label of 64");
	ok(domain_canonical(arena, slice_from(arena_printf(arena, "%s.%s.%s.%s", label63, label63, label63, label63))) == NULL,
	   "255 bytes are too many");
	struct strbuf many;
	strbuf_init(&many, arena);
	for (int i = 0; i < 60; i++) {
		strbuf_add_text(&many, "\xc3\xbc");
	}
	ok(domain_canonical(arena, slice_from(many.data)) == NULL, "a U-label whose A-label is over 63");
	for (int i = 0; i < 3000; i++) {
		strbuf_add_text(&many, ".\xc3\xbc");
	}
	ok(domain_canonical(arena, slice_from(many.data)) == NULL, "3,000 U-labels");
	is_int((long long)domain_labels("a.b.c"), 3, "labels");
	is_text(domain_last_labels("a.b.c", 2), "b.c", "the last two labels");
	is_text(domain_parent("a.b"), "b", "parent");
	ok(domain_parent("b") == NULL, "no parent");
	ok(domain_is_below("x.a.b", "a.b") && domain_is_below("a.b", "a.b") && !domain_is_below("xa.b", "a.b") &&
	       !domain_is_below("b", "a.b"),
	   "below");
}

/* "name|value;name|value;@offset" with line ends shown. */
static const char *header_shape(struct arena *arena, struct slice message, const struct header_limits *limits)
{
	struct headers headers = {.count = 0};
	struct strbuf out;
	size_t body = headers_parse(&headers, arena, limits, message);
	strbuf_init(&out, arena);
	for (size_t i = 0; i < headers.count; i++) {
		strbuf_printf(&out, "%.*s|%s;", SLICE_ARGS(headers.items[i].name),
		              text_escape(arena, headers.items[i].value, "", true, 200));
	}
	strbuf_printf(&out, "@%zu%s", body, headers.truncated ? "!" : "");
	return out.data;
}

static void test_headers(struct arena *arena)
{
	static const struct {
		struct slice text;
		const char *shape;
	} rows[] = {
		{SLICE_LITERAL("A: 1\r\nB:2\r\n\r\nbody"), "A| 1;B|2;@13"},
		{SLICE_LITERAL("A: 1\nB:2\n\nbody"), "A| 1;B|2;@10"},
		{SLICE_LITERAL("A: 1\r\n folded\r\n\tmore\r\nB: 2\r\n\r\n"), "A| 1\\x0d\\x0a folded\\x0d\\x0a\\x09more;B| 2;@30"},
		{SLICE_LITERAL("A : 1\r\n\r\n"), "A| 1;@9"},
		{SLICE_LITERAL("no field\r\nB: 2\r\n"), "@0"},
		{SLICE_LITERAL("A: 1\r\nno field\r\n"), "A| 1;@6"},
		{SLICE_LITERAL(" A: 1\r\n"), "@0"},
		{SLICE_LITERAL(": 1\r\n"), "@0"},
		{SLICE_LITERAL("A\x80: 1\r\n"), "@0"},
		{SLICE_LITERAL("A: 1"), "A| 1;@4"},
		{SLICE_LITERAL("A:"), "A|;@2"},
		{SLICE_LITERAL("A: a\rb\0c\r\n\r\n"), "A| a\\x0db\\x00c;@12"},
		{SLICE_LITERAL("A: 1\r\n\r"), "A| 1;@6"},
		{SLICE_LITERAL(""), "@0"},
		{SLICE_LITERAL("\r\nA: 1"), "@2"},
		{SLICE_LITERAL("A: 1\r\n \r\n\r\n"), "A| 1\\x0d\\x0a ;@11"},
	};
	struct header_limits limits = {.max_count = 100, .max_bytes = 10000};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice text = heap(rows[i].text);
		is_text(header_shape(arena, text, &limits), rows[i].shape,
		        arena_printf(arena, "header %s", text_escape(arena, rows[i].text, "", false, 40)));
		free((char *)(uintptr_t)text.data);
	}
	struct header_limits tight = {.max_count = 2, .max_bytes = 8};
	is_text(header_shape(arena, SLICE_LITERAL("A:1\r\nB:2\r\nC:3\r\n\r\n"), &tight), "A|1;B|2;@17!", "fields beyond the count");
	is_text(header_shape(arena, SLICE_LITERAL("A:1\r\nB:1234567\r\nC:3\r\n\r\n"), &tight), "A|1;C|3;@23!", "and beyond the bytes");
	struct slice unfolded = header_unfold(arena, SLICE_LITERAL(" a\r\n b\n\tc \r\n"));
	is_text(slice_dup(arena, unfolded), "a b\tc", "unfold");
	static const struct {
		const char *text, *decoded;
	} words[] = {
		{" =?utf-8?B?R3LDvMOfZQ==?=", "Gr\xc3\xbc\xc3\x9f" "e"},
		{" =?iso-8859-1?q?Gr=FC=DFe?= =?utf-8*de?Q?_an?= alle", "Gr\xc3\xbc\xc3\x9f" "e an alle"},
		{" =?nonsense?q?x?= y", "=?nonsense?q?x?= y"},
		{" =?utf-8?q?unclosed", "=?utf-8?q?unclosed"},
		{" =?utf-8?b?/w==?=", "=?utf-8?b?/w==?="},
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		struct slice text = heap(slice_from(words[i].text));
		is_text(slice_dup(arena, header_decode(arena, text)), words[i].decoded, words[i].text);
		free((char *)(uintptr_t)text.data);
	}
}

static void test_authors(struct arena *arena)
{
	static const struct {
		const char *value; /* NULL: no From */
		enum author_status status;
		const char *domain;
	} rows[] = {
		{"a@b.example", AUTHOR_OK, "b.example"},
		{"\"x@evil.example\" <a@b.example>", AUTHOR_OK, "b.example"},
		{"x@evil.example <a@b.example>", AUTHOR_MALFORMED, "b.example"},
		{"A B <a@B.Example>", AUTHOR_OK, "b.example"},
		{"(a comment (nested) <x@y>) a@b.example (more)", AUTHOR_OK, "b.example"},
		{"\"a b\"@b.example", AUTHOR_OK, "b.example"},
		{"\"a@evil\"@b.example", AUTHOR_OK, "b.example"},
		{"a @ b . example", AUTHOR_OK, "b.example"},
		{"a b@b.example", AUTHOR_MALFORMED, ""},
		{"a@b.example, c@b.example", AUTHOR_OK, "b.example"},
		{"a@b.example, c@evil.example", AUTHOR_MANY_DOMAINS, "b.example"},
		{"Team: a@b.example, c@b.example;", AUTHOR_OK, "b.example"},
		{"undisclosed:;", AUTHOR_EMPTY, ""},
		{"", AUTHOR_EMPTY, ""},
		{"<>", AUTHOR_NO_DOMAIN, ""},
		{"a@b.example, <>", AUTHOR_MALFORMED, "b.example"},
		{"<@x,@y:a@b.example>", AUTHOR_OK, "b.example"},
		{"a@[192.0.2.1]", AUTHOR_NO_DOMAIN, ""},
		{"a@[192.0.2.1], b@bank.example", AUTHOR_MALFORMED, ""},
		{"a@[192.0.2.1]x, c@d.example", AUTHOR_MALFORMED, "d.example"}, /* not even a literal */
		{"a@b@c.example", AUTHOR_MALFORMED, ""},
		{"<a@b.example> <c@d.example>", AUTHOR_MALFORMED, "b.example"},
		{"<a@b.example> x@y.example", AUTHOR_MALFORMED, "b.example"},
		{"a@b.example)", AUTHOR_MALFORMED, ""},
		{"\"unclosed <a@b.example>", AUTHOR_MALFORMED, ""},
		{"(unclosed a@b.example", AUTHOR_MALFORMED, ""},
		{"a@b_c.example", AUTHOR_OK, "b_c.example"},
		{"a@b\xc3\xbc" "cher.example", AUTHOR_OK, "xn--bcher-kva.example"},
		{"a", AUTHOR_NO_DOMAIN, ""},
		{"MAILER-DAEMON (Mail Delivery System)", AUTHOR_NO_DOMAIN, ""},
		{"a@", AUTHOR_NO_DOMAIN, ""},
		{"a@,", AUTHOR_NO_DOMAIN, ""},
		{"@b.example", AUTHOR_MALFORMED, ""},
		{"a: b: c@d.example;;", AUTHOR_MALFORMED, "d.example"},
		{"=?utf-8?q?a=40b.example?= <c@d.example>", AUTHOR_OK, "d.example"},
		{"M\xc3\xbcller <m\xc3\xbcller@b\xc3\xbc" "cher.example>", AUTHOR_OK, "xn--bcher-kva.example"},
		{"a@b\xc3\xbc" "cher.example, c@xn--bcher-kva.example", AUTHOR_OK, "xn--bcher-kva.example"},
		{"\"m\xc3\xbc@x.example\"@b\xc3\xbc" "cher\xe3\x80\x82" "example", AUTHOR_OK, "xn--bcher-kva.example"},
		{"a@b\xc3\xbc" "cher.example, c@bucher.example", AUTHOR_MANY_DOMAINS, "xn--bcher-kva.example"},
		{"a@exam\xe2\x80\x8dple.com", AUTHOR_MALFORMED, ""},
		{"a@b.example, c@\xe2\x98\x83.example", AUTHOR_MALFORMED, "b.example"},
		{"a@b.example\xef\xbc\xa0" "c.example", AUTHOR_MALFORMED, ""},
		/* tricks: what one program reads, another must not read otherwise */
		{"=?utf-8?q?boss=40bank.example=00?=@evil.example", AUTHOR_OK, "evil.example"},
		{"=?utf-8?b?Ym9zc0BiYW5rLmV4YW1wbGU=?= <a@evil.example>", AUTHOR_OK, "evil.example"},
		{"=?utf-8?q?x?=@bank.example", AUTHOR_OK, "bank.example"},
		{"boss@bank.example <a@bank.example>", AUTHOR_MALFORMED, "bank.example"},
		{"boss@bank.example, <a@evil.example>", AUTHOR_MANY_DOMAINS, "bank.example"},
		{"Doe, John <a@b.example>", AUTHOR_MALFORMED, "b.example"},
		{"\"Doe, John\" <a@b.example>", AUTHOR_OK, "b.example"},
		{"<<a@bank.example>>", AUTHOR_MALFORMED, ""},
		{"<a@bank.example", AUTHOR_MALFORMED, ""},
		{"a@bank.example>", AUTHOR_MALFORMED, ""},
		{"<a@bank.example>, ", AUTHOR_OK, "bank.example"},
		{", ,a@bank.example", AUTHOR_OK, "bank.example"},
		{"a@bank.example;", AUTHOR_MALFORMED, "bank.example"},
		{"a@bank.example; c@evil.example", AUTHOR_MALFORMED, "bank.example"},
		{"Team: a@bank.example, c@evil.example;", AUTHOR_MANY_DOMAINS, "bank.example"},
		{"Team: a@bank.example; c@evil.example", AUTHOR_MANY_DOMAINS, "bank.example"},
		{"Team: a@bank.example", AUTHOR_MALFORMED, "bank.example"},
		{"a@bank.example: c@evil.example;", AUTHOR_MALFORMED, "evil.example"},
		{"empty:; ,a@bank.example", AUTHOR_OK, "bank.example"},
		{"<@evil.example:a@bank.example>", AUTHOR_OK, "bank.example"},
		{"<@bank.example,@x.example:a@evil.example>", AUTHOR_OK, "evil.example"},
		{"<@bank.example>", AUTHOR_MALFORMED, ""},
		{"\"a\\\"@evil.example> <x\" <a@bank.example>", AUTHOR_OK, "bank.example"},
		{"\"a@evil.example\"@bank.example", AUTHOR_OK, "bank.example"},
		{"\"a\" b@bank.example", AUTHOR_MALFORMED, ""},
		{"(a@evil.example) <a@bank.example>", AUTHOR_OK, "bank.example"},
		{"a@(evil.example)bank.example", AUTHOR_OK, "bank.example"},
		{"a@bank(.evil).example", AUTHOR_OK, "bank.example"},
		{"a@bank.example(evil", AUTHOR_MALFORMED, "bank.example"},
		{"a@bank.example.", AUTHOR_OK, "bank.example"},
		{"a@bank..example", AUTHOR_MALFORMED, ""},
		{"a@.bank.example", AUTHOR_NO_DOMAIN, ""},
		{"a@bank.example\x01", AUTHOR_MALFORMED, ""},
		{"\x7f<a@bank.example>", AUTHOR_MALFORMED, "bank.example"},
		{"\r\n\ta@bank.example", AUTHOR_OK, "bank.example"},
		{"a\r\n @\r\n bank.example", AUTHOR_OK, "bank.example"},
		{"J\xf6rg <a@b.example>", AUTHOR_OK, "b.example"},
		{"J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc" "cher.example>", AUTHOR_OK, "xn--bcher-kva.example"},
		{"a@b\xc3\xbc" "cher.example, c@XN--BCHER-KVA.example", AUTHOR_OK, "xn--bcher-kva.example"},
		{"a@b\xfc" "cher.example", AUTHOR_MALFORMED, ""},
		{"a\xef\xbc\xa0" "bank.example", AUTHOR_NO_DOMAIN, ""}, /* a full-width @ is none */
		{"a@\xe2\x80\x8b" "bank.example", AUTHOR_OK, "bank.example"},
		{"a@bank\xe3\x80\x82" "example", AUTHOR_OK, "bank.example"},
		{NULL, AUTHOR_NO_FROM, ""},
	};
	struct header_limits limits = {.max_count = 10, .max_bytes = 10000};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct headers headers = {.count = 0};
		struct author author;
		struct slice value = heap(slice_from(rows[i].value));
		if (rows[i].value != NULL) {
			headers_add(&headers, arena, &limits, SLICE_LITERAL("from"), value);
		}
		author_find(arena, &headers, &author);
		ok(author.status == rows[i].status && strcmp(author.address.domain, rows[i].domain) == 0, "From: %s -> %s (%s)",
		   rows[i].value == NULL ? "none" : rows[i].value, author_status_text(author.status), author.address.domain);
		free((char *)(uintptr_t)value.data);
	}
	struct headers nul = {.count = 0};
	struct author author;
	headers_add(&nul, arena, &limits, SLICE_LITERAL("From"), SLICE_LITERAL(" a@bank.example\0.evil.example"));
	author_find(arena, &nul, &author);
	is_int(author.status, AUTHOR_MALFORMED, "a NUL in the domain");
	struct headers many = {.count = 0};
	struct header_limits wide = {.max_count = 10, .max_bytes = 1000000};
	struct strbuf list;
	strbuf_init(&list, arena);
	for (int i = 0; i < 65; i++) {
		strbuf_add_text(&list, i < 64 ? "a@bank.example, " : "a@evil.example");
	}
	headers_add(&many, arena, &wide, SLICE_LITERAL("From"), (struct slice){list.data, list.len});
	author_find(arena, &many, &author);
	is_int(author.status, AUTHOR_MALFORMED, "more mailboxes than are looked at");
	struct headers long_one = {.count = 0};
	const char *spaces = arena_printf(arena, "%70000s a@bank.example", "");
	headers_add(&long_one, arena, &wide, SLICE_LITERAL("From"), slice_from(spaces));
	author_find(arena, &long_one, &author);
	is_int(author.status, AUTHOR_MALFORMED, "a field too long to be read");
	struct headers twice = {.count = 0};
	headers_add(&twice, arena, &limits, SLICE_LITERAL("From"), SLICE_LITERAL(" a@b.example"));
	headers_add(&twice, arena, &limits, SLICE_LITERAL("FROM"), SLICE_LITERAL(" a@b.example"));
	author_find(arena, &twice, &author);
	is_int(author.status, AUTHOR_MANY_FROM, "two From fields");
}

static void test_paths(struct arena *arena)
{
	static const struct {
		const char *path, *text, *domain;
		bool good;
	} rows[] = {
		{"<a@B.example>", "a@B.example", "b.example", true},
		{"a@b.example", "a@b.example", "b.example", true},
		{"<>", "", "", true},
		{"", "", "", true},
		{"<@x,@y:a@b.example>", "a@b.example", "b.example", true},
		{"<\"a b\"@b.example>", "\"a b\"@b.example", "b.example", true},
		{"<postmaster>", "postmaster", "", true},
		{"<a@[192.0.2.1]>", "a@[192.0.2.1]", "", true},
		{"<a@b..c>", "a@b..c", "", true},
		{"<a@b.example", "", "", false},
		{"<m\xc3\xbcller@b\xc3\xbc" "cher.example>", "m\xc3\xbcller@b\xc3\xbc" "cher.example", "xn--bcher-kva.example", true},
		{"<m\xfc@b\xfc" "cher.example>", "m\xfc@b\xfc" "cher.example", "", true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address address;
		bool good = address_parse_path(arena, rows[i].path, &address);
		ok(good == rows[i].good && strcmp(address.text, rows[i].text) == 0 && strcmp(address.domain, rows[i].domain) == 0,
		   "path %s -> \"%s\" at \"%s\"", rows[i].path, address.text, address.domain);
	}
}

static void test_taglists(struct arena *arena)
{
	static const struct {
		const char *text, *shape;
	} rows[] = {
		{"a=1; b = 2 ;c=", "a=1,b=2,c="},
		{"v=1; a=x=y;", "v=1,a=x=y"},
		{"a=1;;b=2", "a=1,b=2 malformed"},
		{"a=1; a=2", "a=1,a=2 duplicate"},
		{"a=1; A=2", "a=1,A=2"},
		{"novalue; b=2", "b=2 malformed"},
		{"1a=2", " malformed"},
		{"", ""},
		{";", " malformed"},
		{"b=a\r\n b", "b=a\r\n b"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct taglist list;
		struct strbuf out;
		struct slice text = heap(slice_from(rows[i].text));
		taglist_parse(text, &list);
		strbuf_init(&out, arena);
		for (size_t k = 0; k < list.count; k++) {
			strbuf_printf(&out, "%s%.*s=%.*s", k == 0 ? "" : ",", SLICE_ARGS(list.tags[k].name), SLICE_ARGS(list.tags[k].value));
		}
		strbuf_printf(&out, "%s%s", list.malformed ? " malformed" : "", list.duplicate ? " duplicate" : "");
		is_text(out.data, rows[i].shape, arena_printf(arena, "tags %s", rows[i].text));
		free((char *)(uintptr_t)text.data);
	}
	is_text(slice_dup(arena, tag_compact(arena, SLICE_LITERAL(" a b\r\n\tc "))), "abc", "compact");
}

/* What is behind the descriptor. */
static char *contents(struct arena *arena, const struct message *message)
{
	size_t n = (size_t)message_size(message);
	char *bytes = arena_alloc(arena, n + 1);
	ssize_t got = pread(message_fd(message), bytes, n, 0);
	return got == (ssize_t)n ? bytes : NULL;
}

static void test_message(struct arena *arena)
{
	struct message_settings settings = {
		.memory_max = 100000, .size_max = 1000000, .spool_dir = "/tmp", .headers = {.max_count = 10, .max_bytes = 10000}};
	struct message *message = message_create(arena, &settings);
	message_add_header(message, SLICE_LITERAL("A"), SLICE_LITERAL(" 1\n folded\r\n twice"));
	message_add_header(message, SLICE_LITERAL("B"), SLICE_LITERAL("2"));
	is_text(slice_dup(arena, headers_find(message_headers(message), "A", 0)->value), " 1\r\n folded\r\n twice",
	        "a fold is CRLF in the view of the header too");
	is_int(message_end_headers(message), MESSAGE_OK, "headers");
	message_add_body(message, "body\r\n", 6);
	is_int(message_fd(message), -1, "no descriptor before it is sealed");
	is_int(message_seal(message), MESSAGE_OK, "sealed");
	is_text(contents(arena, message), "A: 1\r\n folded\r\n twice\r\nB:2\r\n\r\nbody\r\n", "in wire form");
	is_int((long long)message_body_size(message), 6, "size of the body");
	ok(write(message_fd(message), "x", 1) < 0 && ftruncate(message_fd(message), 0) != 0, "nobody can change it any more");
	ok((fcntl(message_fd(message), F_GET_SEALS) & F_SEAL_WRITE) != 0, "a memfd under seal");
	message_destroy(message);

	char piece[50000];
	memset(piece, 'x', sizeof piece);
	message = message_create(arena, &settings);
	message_end_headers(message);
	for (int i = 0; i < 4; i++) {
		message_add_body(message, piece, sizeof piece);
	}
	is_int(message_seal(message), MESSAGE_OK, "200,000 bytes");
	ok(message_spooled(message), "go to a file");
	struct stat status;
	ok(fstat(message_fd(message), &status) == 0 && status.st_nlink == 0 && status.st_size == 200002, "without a name, whole");
	ok((fcntl(message_fd(message), F_GETFL) & O_ACCMODE) == O_RDONLY, "that can only be read");
	const char *bytes = contents(arena, message);
	ok(bytes != NULL && bytes[0] == '\r' && bytes[2] == 'x' && bytes[200001] == 'x', "with its bytes");
	message_destroy(message);

	message = message_create(arena, &settings);
	message_end_headers(message);
	enum message_status last = MESSAGE_OK;
	for (int i = 0; i < 25; i++) {
		last = message_add_body(message, piece, sizeof piece);
	}
	is_int(last, MESSAGE_TOO_LARGE, "more than size_max is too large");
	is_int(message_seal(message), MESSAGE_TOO_LARGE, "and stays so");
	ok(message_size(message) <= settings.size_max, "nothing is stored beyond the bound");
	message_destroy(message);

	settings.spool_dir = "/nonexistent";
	message = message_create(arena, &settings);
	message_end_headers(message);
	for (int i = 0; i < 4; i++) {
		last = message_add_body(message, piece, sizeof piece);
	}
	is_int(last, MESSAGE_NO_SPACE, "no spool folder: no space");
	message_destroy(message);
}

/* A full disk, as far as a process can make one of its own: files may not grow beyond a limit. */
static void test_full_disk(struct arena *arena)
{
	struct message_settings settings = {
		.memory_max = 1000, .size_max = 1000000, .spool_dir = "/tmp", .headers = {.max_count = 10, .max_bytes = 10000}};
	struct rlimit before;
	struct rlimit small = {.rlim_cur = 50000};
	char piece[20000];
	memset(piece, 'x', sizeof piece);
	getrlimit(RLIMIT_FSIZE, &before);
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	fflush(stdout);
	struct message *message = message_create(arena, &settings);
	message_end_headers(message);
	setrlimit(RLIMIT_FSIZE, &small);
	enum message_status last = MESSAGE_OK;
	for (int i = 0; i < 5; i++) {
		last = message_add_body(message, piece, sizeof piece);
	}
	setrlimit(RLIMIT_FSIZE, &before);
	is_int(last, MESSAGE_NO_SPACE, "a disk that is full in the middle of a message");
	is_int(message_seal(message), MESSAGE_NO_SPACE, "is not forgotten");
	is_int(message_fd(message), -1, "and nothing half written is handed out");
	message_destroy(message);
}

static void test_load(struct arena *arena)
{
	static const struct {
		struct slice text;
		const char *wire;
		size_t body;
	} rows[] = {
		{SLICE_LITERAL("A: 1\n\nb\nc"), "A: 1\r\n\r\nb\r\nc", 4},
		{SLICE_LITERAL("A: 1\r\n\r\nb\nc\r\n"), "A: 1\r\n\r\nb\nc\r\n", 5},
		{SLICE_LITERAL("From x@y Mon\nA: 1\n\nb\n"), "A: 1\r\n\r\nb\r\n", 3},
		{SLICE_LITERAL("A: 1\n b\r\n\n\r\n"), "A: 1\r\n b\r\n\r\n\r\n", 2},
		{SLICE_LITERAL(""), "", 0},
		{SLICE_LITERAL("no header\n"), "no header\r\n", 11},
	};
	struct message_settings settings = {
		.memory_max = 100000, .size_max = 100000, .spool_dir = "/tmp", .headers = {.max_count = 10, .max_bytes = 10000}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct message *message = message_create(arena, &settings);
		struct slice text = heap(rows[i].text);
		is_int(message_load(message, text), MESSAGE_OK, "load");
		for (size_t k = 0; k < message_headers(message)->count; k++) {
			const struct header *header = &message_headers(message)->items[k];
			size_t before = header->field.len - header->value.len;
			ok(header->value.len < header->field.len && header->value.data == header->field.data + before &&
			       header->field.data[before - 1] == ':',
			   "a field is what stands before its value, and its value");
		}
		is_text(contents(arena, message), rows[i].wire, text_escape(arena, rows[i].text, "", false, 60));
		is_int((long long)message_body_size(message), (long long)rows[i].body, "its body");
		message_destroy(message);
		free((char *)(uintptr_t)text.data);
	}
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	test_domains(arena);
	test_headers(arena);
	test_authors(arena);
	test_paths(arena);
	test_taglists(arena);
	test_message(arena);
	test_full_disk(arena);
	test_load(arena);
	arena_destroy(arena);
	return done_testing();
}
