/* Hosts of links, as mail programs and browsers read them. */
#include "inspect/html_text.h"
#include "inspect/urls.h"
#include "t/tap.h"

static struct arena *arena;

/* In memory of exactly its size; the hosts with blanks between. */
static const char *found(const char *text, bool html)
{
	struct urls *urls = arena_alloc(arena, sizeof *urls);
	struct strbuf out;
	size_t n = strlen(text);
	char *copy = malloc(n == 0 ? 1 : n);
	memcpy(copy, text, n);
	urls_init(urls, arena);
	urls_find(urls, (struct slice){copy, n}, html);
	free(copy);
	strbuf_init(&out, arena);
	for (size_t i = 0; i < urls->count; i++) {
		strbuf_printf(&out, "%s%s", i == 0 ? "" : " ", urls->hosts[i]);
	}
	return out.data == NULL ? "" : out.data;
}

struct row {
	const char *text, *hosts;
};

static const struct row plain[] = {
    {"see http://spam.example/x and https://Other.Example.", "spam.example other.example"},
    {"http://spam.example http://spam.example/again", "spam.example"},
    {"(http://spam.example)", "spam.example"},
    {"<http://spam.example>", "spam.example"},
    {"\"http://spam.example\"", "spam.example"},
    {"http://spam.example.", "spam.example"},
    {"http://spam.example:8080/x", "spam.example"},
    {"http://user:pass@spam.example/", "spam.example"},
    {"http://www.bank.example@spam.example/", "spam.example"},
    {"http://www.bank.example\\@spam.example/", "www.bank.example"}, /* browsers: "\" ends the authority */
    {"go to www.spam.example/x", "www.spam.example"},
    {"WWW.SPAM.EXAMPLE", "www.spam.example"},
    {"xwww.spam.example and a@www.spam.example", ""},
    {"ftp://files.example/", "files.example"},
    {"mailto:a@spam.example", ""},
    {"no link: http:// and http:///", ""},
    {"http://localhost/", ""},
    {"http://spam/", ""},
    {"hxxp://spam.example", ""},
    {"http:\\\\spam.example\\x", "spam.example"},
    {"http://192.0.2.1/", "192.0.2.1"},
    {"http://0xc0.0.2.1/", "192.0.2.1"},
    {"http://0300.0.2.01/", "192.0.2.1"},
    {"http://3221225985/", "192.0.2.1"},
    {"http://0xC0000201/", "192.0.2.1"},
    {"http://192.0.513/", "192.0.2.1"},
    {"http://192.513/", "192.0.2.1"},
    {"http://192.0.2.256/", ""},
    {"http://192.0.2.1.1/", ""},
    {"http://4294967296/", ""},
    {"http://192.0.2.1./", "192.0.2.1"},
    {"http://[2001:db8::1]:80/", "2001:db8::1"},
    {"http://[::ffff:192.0.2.1]/", "192.0.2.1"},
    {"http://[2001:db8::1", ""},
    {"http://spam%2eexample/", "spam.example"},
    {"http://%73pam.example/", "spam.example"},
    {"https://r.example/?u=http%3A%2F%2Fspam.example%2Fx&y=1", "r.example spam.example"},
    {"https://r.example/?u=https://spam.example/", "r.example spam.example"},
    {"http://b\xc3\xbc"
     "cher.example/",
     "xn--bcher-kva.example"},
    {"http://xn--bcher-kva.example/", "xn--bcher-kva.example"},
    {"http://spam.example\xe3\x80\x82", "spam.example"},
    {"http://spam\xe3\x80\x82"
     "example/",
     "spam.example"},
    {"http://spam.example\xe3\x80\x82text", "spam.example.text spam.example"},
    {"http://\xef\xbc\x91\xef\xbc\x99\xef\xbc\x92.0.2.1/", "192.0.2.1"}, /* full-width 192 */
    {"http://spam.example\tx", "spam.example"},
    {"http://a..example/ http://-/ http://a.123/", ""},
    {"httphttp://spam.example", "spam.example"},
    {"http://one.example,http://two.example;http://three.example", "one.example two.example three.example"},
};

static const struct row pages[] = {
    {"<a href=\"http://spam.example/\">x</a>", "spam.example"},
    {"<a href='http://spam.example/'>", "spam.example"},
    {"<a href=http://spam.example/>x", "spam.example"},
    {"<a href = \"http://spam.example/\">", "spam.example"},
    {"<A HREF=\"HTTP://SPAM.EXAMPLE\">", "spam.example"},
    {"<a href=\"//spam.example/\">", "spam.example"},
    {"<a href=\"\\\\spam.example/\">", "spam.example"},
    {"<a href=\"/\\spam.example/\">", "spam.example"},
    {"<a href=\"http:spam.example/\">", "spam.example"},
    {"<a href=\"https:/spam.example/\">", "spam.example"},
    {"<a href=\"http:\\\\\\spam.example/\">", "spam.example"},
    {"<a href=\"www.spam.example\">", "www.spam.example"},
    {"<a href=\"ht\ntp://sp\tam.exa\r\nmple/\">", "spam.example"},
    {"<a href=\" \x01http://spam.example/\">", "spam.example"},
    {"<a href=\"&#104;&#x74;tp&colon;//spam&period;example/\">", "spam.example"},
    {"<a href=\"http://spam&#0000046example/\">", "spam.example"},
    {"<a href=\"h&Tab;ttp://spam&NewLine;.example\">", "spam.example"},
    {"<a href=\"/local/path\">", ""},
    {"<a href=\"#x\"><a href=\"cid:x@y.example\"><a href=\"mailto:x@y.example\">", ""},
    {"<img src=\"http://spam.example/x.png\">", "spam.example"},
    {"<form action=\"//spam.example\">", "spam.example"},
    {"<td background='//spam.example/x'>", "spam.example"},
    {"<meta http-equiv=refresh content=\"0; url=//spam.example/\">", "spam.example"},
    {"<meta content=\"0;URL='http://spam.example/'\">", "spam.example"},
    {"<base href=\"//spam.example/\">", "spam.example"},
    {"<div style=\"background:url(http://spam.example/x)\">", "spam.example"},
    {"<!--[if mso]><a href=\"//spam.example\"><![endif]-->", "spam.example"},
    {"<script>location='http://spam.example/'</script>", "spam.example"},
    {"<p>see http://spam.example/&amp;x</p>", "spam.example"},
    {"<a href=\"http://one.example>x</a> <a href=\"//two.example\">", "one.example"},
    {"<a title=\"a > b\" href=\"//spam.example\">", "spam.example"},
    {"<a/href=\"//spam.example\">", "spam.example"},
    {"<", ""},
    {"<a", ""},
    {"<a href=", ""},
    {"<a href=\"", ""},
    {"&", ""},
    {"&#", ""},
    {"&#x;&#;", ""},
};

static void table(const struct row *rows, size_t count, bool html)
{
	for (size_t i = 0; i < count; i++) {
		is_text(found(rows[i].text, html), rows[i].hosts,
		        arena_printf(arena, "%s: %s", html ? "page" : "text", rows[i].text));
	}
}

static void test_decode(void)
{
	static const struct row rows[] = {
	    {"a&amp;b", "a&b"},          {"&#65;&#x42;&#67", "ABC"},   {"&#0;&#xd800;&#1114112;", "???"},
	    {"&#8364;", "\xe2\x82\xac"}, {"&unknown;&", "&unknown;&"}, {"&#128512;", "\xf0\x9f\x98\x80"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = strlen(rows[i].text);
		char *out = malloc(n);
		size_t length = html_text_decode((struct slice){rows[i].text, n}, out);
		is_text(arena_memdup(arena, out, length), rows[i].hosts, rows[i].text);
		free(out);
	}
}

static void test_bounds(void)
{
	struct urls *urls = arena_alloc(arena, sizeof *urls);
	struct strbuf text;
	strbuf_init(&text, arena);
	for (int i = 0; i < INSPECT_HOSTS_MAX + 10; i++) {
		strbuf_printf(&text, "http://h%d.example/ ", i);
	}
	urls_init(urls, arena);
	urls_find(urls, (struct slice){text.data, text.len}, false);
	ok(urls->count == INSPECT_HOSTS_MAX && urls->cut, "more hosts than are kept: said so");
	strbuf_init(&text, arena);
	for (int i = 0; i < 100; i++) {
		strbuf_printf(&text, "http://%060d.%060d.%060d.h%d.example/ ", 1, 2, 3, i);
	}
	urls_init(urls, arena);
	urls_find(urls, (struct slice){text.data, text.len}, false);
	ok(urls->bytes <= INSPECT_HOSTS_BYTES && urls->count > 50 && urls->cut, "and their bytes are bounded");
}

int main(void)
{
	arena = arena_create(65536);
	table(plain, sizeof plain / sizeof *plain, false);
	table(pages, sizeof pages / sizeof *pages, true);
	test_decode();
	test_bounds();
	arena_destroy(arena);
	return done_testing();
}
