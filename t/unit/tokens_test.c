/* What a message is made of: the names of its tokens, its digest, and what hostile mail costs. */
#include "inspect/mime.h"
#include "inspect/token_bogofilter.h"
#include "inspect/tokens.h"
#include "lib/base/clock.h"
#include "t/tap.h"

#include <stdio.h>
#include <stdlib.h>

static struct arena *arena;

static void visit(void *context, const struct part *part)
{
	struct arena *scratch = arena_create(16384);
	tokens_part(context, part, scratch);
	arena_destroy(scratch);
}

static struct inspect_reply tokenise(struct slice message, const uint64_t *named, size_t named_count)
{
	struct inspect_reply reply = {.token_count = 0};
	struct inspect_request request = {.named = named, .named_count = named_count};
	struct part_budget budget = {
	    .bytes = 64 << 20, .parts = 1000, .depth_max = 20, .deadline = clock_now() + 60 * CLOCK_NS_PER_S};
	struct mime_result result = {0};
	char *copy = malloc(message.len == 0 ? 1 : message.len); /* of exactly its size */
	memcpy(copy, message.data, message.len);
	struct slice exact = {copy, message.len};
	struct tokens *tokens = tokens_open(arena, exact, &request);
	mime_walk(exact, NULL, &budget, visit, tokens, &result);
	tokens_close(tokens, &reply);
	free(copy);
	return reply;
}

/* The names of all tokens, each in a line: "\nNAME\n". */
static const char *names_of(struct slice message)
{
	struct inspect_reply reply = tokenise(message, NULL, 0);
	struct strbuf names;
	strbuf_init(&names, arena);
	strbuf_add_char(&names, '\n');
	for (size_t i = 0; i < reply.token_count; i += INSPECT_NAMED_MAX) {
		size_t left = reply.token_count - i;
		size_t n = left < INSPECT_NAMED_MAX ? left : INSPECT_NAMED_MAX;
		struct inspect_reply named = tokenise(message, reply.tokens + i, n);
		for (size_t k = 0; k < n; k++) {
			strbuf_printf(&names, "%s\n", named.token_names[k] == NULL ? "?" : named.token_names[k]);
		}
	}
	return names.data;
}

static bool has(const char *names, const char *name)
{
	return strstr(names, arena_printf(arena, "\n%s\n", name)) != NULL;
}

struct row {
	const char *message;
	const char *there[10];
	const char *missing[6];
};

#define HTML "Content-Type: text/html; charset=utf-8\r\n\r\n"

static const struct row rows[] = {
    {"Subject: Cheap pills\r\nFrom: \"Bob\" <bob@shop.example.co.uk>\r\nDate: Mon, 1 Jan 2024 00:00:00 "
     "+0200\r\n\r\nBuy now!!",
     {"subject: cheap + pills", "from domain: example.co.uk", "from address: bob@shop.example.co.uk", "from name: bob",
      "date zone: +0200", "buy + now", "now + !!", "message-id: missing", "fields: Subject + From"},
     {"Buy", "?"}},
    {"Received-SPF: pass\r\nX-Spam-Status: Yes\r\nDelivered-To: me@own.example\r\nReturn-Path: <x@y.example>\r\n"
     "Authentication-Results: own.example; spf=pass\r\nX-Odd: word\r\n\r\n",
     {"field: X-Odd", "x-odd: word"},
     {"field: X-Spam-Status", "field: Delivered-To", "field: Return-Path", "field: Authentication-Results",
      "field: Received-SPF", "x-spam-status: yes"}},
    {"Subject: =?utf-8?Q?caf=C3=A9?=\r\n\r\n", {"subject: caf\xc3\xa9", "subject: encoded"}, {NULL}},
    {HTML "<p>seen <b>wo</b>rd</p><div style='display:none'>secret</div><font color=white>pale</font>"
          "<span style=\"font-size:0px\">tiny</span><i>again</i>",
     {"seen + word", "hidden: secret", "hidden: pale", "hidden: tiny", "trick: hidden text", "html: font",
      "word + again"},
     {"secret", "pale", "tiny"}},
    {HTML "<table bgcolor=black><tr><td><font color=#ffffff>legible</font></td></tr></table>",
     {"legible"},
     {"hidden: legible"}},
    {HTML
     "<a href='http://user@www.evil.example.com:81/login/now?x'>bank</a>&amp;&nbsp;f&#252;r<script>var code</script>",
     {"link domain: example.com", "link host: www.evil.example.com", "link top: com", "link path: login",
      "link: with a user name", "link: with a port", "bank", "f\xc3\xbcr"},
     {"code", "var"}},
    {"\r\nsee http://192.0.2.7/x and mail bob@mail.example.org for $1,250 or 50 items",
     {"link: to an address", "link host: 192.0.2.7", "address domain: example.org", "$0,000", "00"},
     {"$1,250", "50"}},
    {"Content-Type: text/plain; charset=utf-8\r\n\r\np\xd0\xb0yp\xd0\xb0l and v\xe2\x80\x8bi\xe2\x80\x8b"
     "agra and \xef\xbc\xa6ull",
     {"paypal", "trick: letters of several alphabets in a word", "viagra", "trick: invisible characters in a word",
      "full"},
     {NULL}},
    {"Content-Type: text/plain; charset=utf-8\r\n\r\n\xe5\x85\x8d\xe8\xb4\xb9\xe5\x8f\x91\xe7\xa5\xa8",
     {"\xe5\x85\x8d\xe8\xb4\xb9", "\xe8\xb4\xb9\xe5\x8f\x91", "\xe5\x8f\x91\xe7\xa5\xa8"},
     {NULL}},
    {"Content-Type: text/plain; charset=koi8-r\r\n\r\n\xf0\xd2\xc9\xd7\xc5\xd4",
     {"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", "charset: koi8-r"},
     {NULL}},
    {"Content-Type: text/plain; charset=nonsense\r\n\r\n\xe4 word", {"trick: a broken charset", "word"}, {NULL}},
    {"Content-Type: application/zip; name=\"Invoice 7.ZIP\"\r\n\r\nPK",
     {"type: application/zip", "file extension: zip", "file name: invoice"},
     {"pk"}},
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *names = names_of(slice_from(rows[i].message));
		bool good = true;
		for (size_t k = 0; k < 10 && rows[i].there[k] != NULL; k++) {
			good = has(names, rows[i].there[k]) && good;
			if (!has(names, rows[i].there[k])) {
				diag("missing: %s in %s", rows[i].there[k], names);
			}
		}
		for (size_t k = 0; k < 6 && rows[i].missing[k] != NULL; k++) {
			good = !has(names, rows[i].missing[k]) && good;
			if (has(names, rows[i].missing[k])) {
				diag("there: %s", rows[i].missing[k]);
			}
		}
		ok(good, "row %zu", i);
	}
}

static void same(const char *a, const char *b, bool expected, const char *name)
{
	struct inspect_reply first = tokenise(slice_from(a), NULL, 0);
	struct inspect_reply second = tokenise(slice_from(b), NULL, 0);
	ok((memcmp(first.content_digest, second.content_digest, INSPECT_DIGEST_SIZE) == 0) == expected, "%s", name);
}

static void test_digest(void)
{
	static const char message[] = "From: a@b.example\r\nSubject: x\r\n\r\nFrom here\r\nend\r\n";
	same(message, "From: a@b.example\nSubject:  x\n\nFrom here \nend\n\n\n", true,
	     "line ends and blanks do not matter");
	same(
	    message,
	    "Received: by x\r\nX-Spam: no\r\nMessage-ID: <1@x>\r\nFrom: a@b.example\r\nSubject: x\r\n\r\n>From here\r\nend",
	    true, "nor trace fields, nor the quote of a mailbox file");
	same(message, "From: a@b.example\r\nSubject: y\r\n\r\nFrom here\r\nend\r\n", false, "the subject does");
	same(message, "From: c@b.example\r\nSubject: x\r\n\r\nFrom here\r\nend\r\n", false, "the author does");
	same(message, "From: a@b.example\r\nSubject: x\r\n\r\nFrom here\r\n\r\nend\r\n", false,
	     "an empty line in the text does");
	same("\r\n", "", true, "nothing is nothing");
}

static void bounded(struct slice message, const char *name)
{
	struct timespec from;
	struct timespec to;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	struct inspect_reply reply = tokenise(message, NULL, 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	bool ascending = true;
	for (size_t i = 1; i < reply.token_count; i++) {
		ascending = ascending && reply.tokens[i - 1] < reply.tokens[i];
	}
	/* a hundred times what it takes without a sanitizer */
	ok(reply.token_count <= INSPECT_TOKENS_MAX && ascending && seconds < 20, "%s: %zu tokens in %.3f s", name,
	   reply.token_count, seconds);
	arena_reset(arena);
}

/* `head` and then `piece` up to 10 MB, with a number in each so that no two are the same where it has a "%u". */
static void repeated(const char *head, const char *piece, const char *name)
{
	size_t size = 10 << 20;
	char *text = malloc(size + 4096);
	size_t n = (size_t)sprintf(text, "%s", head);
	uint32_t number = 1;
	while (n < size) {
		number = number * 1664525 + 1013904223;
		size_t length = strlen(piece);
		memcpy(text + n, piece, length);
		n += length;
		for (unsigned i = 0; i < 6; i++) {
			text[n++] = (char)('a' + (number >> (i * 5) & 15));
		}
	}
	bounded((struct slice){text, n}, name);
	free(text);
}

static void test_bounds(void)
{
	repeated("\r\n", " ", "a word salad of 10 MB");
	repeated("\r\n", "", "a word of 10 MB");
	repeated(HTML, "<div>", "HTML that is a million levels deep");
	repeated(HTML, "<p style=\"display:none\">", "hidden text of 10 MB");
	repeated(HTML, "<a href=http://x.example/", "a link that never ends");
	repeated(HTML, "<!--", "comments that never end");
	repeated(HTML, "<script>", "scripts that never end");
	repeated(HTML, "<a x=\"", "attributes that never end");
	repeated(HTML, "&#x41", "references");
	repeated("Content-Type: text/plain; charset=utf-8\r\n\r\n", "\xcc\x81\xe2\x80\x8b",
	         "marks and invisible characters");
	repeated("Content-Type: text/plain; charset=gb18030\r\n\r\n", "\x81\x30\xff", "a broken charset");
	repeated("Subject: ", "=?utf-8?q?", "a subject of 10 MB");
	repeated("", "X-A: ", "a header of 10 MB");
}

/* Words of bogofilter's list are tokens of the message that they came from. In memory of just their size. */
static void test_bogofilter(void)
{
	static const struct {
		const char *word;
		bool is_ours;
	} table[] = {
	    {"subj:Cheap", true},
	    {"from:Bob", true},
	    {"to:Anna", true},
	    {"Viagra", true},
	    {"e-mail", true},
	    {"don't", true},
	    {"subj:Viagra", false},
	    {"x-", false},
	    {"1234", false},
	    {"a123", false},
	    {"", false},
	    {"subj:", false},
	    {"\xc3\xa4", false},
	    {"a b", false},
	    {"url:a.example", false},
	    {"head:Date", false},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	};
	struct inspect_reply reply = tokenise(
	    SLICE_LITERAL("Subject: cheap\r\nFrom: Bob <a@b.example>\r\nTo: anna\r\n\r\nviagra E-Mail don't x- a123\r\n"),
	    NULL, 0);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		size_t n = strlen(table[i].word);
		char *copy = malloc(n == 0 ? 1 : n);
		uint64_t token;
		memcpy(copy, table[i].word, n);
		bool found = false;
		bool taken = token_from_bogofilter((struct slice){copy, n}, &token);
		for (size_t t = 0; taken && t < reply.token_count; t++) {
			found = found || reply.tokens[t] == token;
		}
		ok(found == table[i].is_ours, "bogofilter: \"%s\"", table[i].word);
		free(copy);
	}
}

int main(void)
{
	arena = arena_create(1 << 20);
	mime_load();
	test_rows();
	test_digest();
	test_bogofilter();
	test_bounds();
	arena_destroy(arena);
	return done_testing();
}
