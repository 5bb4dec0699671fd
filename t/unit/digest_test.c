/* Reports to users: templates, texts of the network in them, the mail itself, tokens, and local times. */
#include "lib/report/digest.h"
#include "lib/report/local_time.h"
#include "lib/report/mustache.h"
#include "lib/report/user_mail.h"
#include "t/tap.h"

static struct arena *arena;

/* ---- mustache ---- */

#define VALUES                                                                                                         \
	"{\"a\": \"x&<>\\\"'y\", \"n\": 5, \"zero\": 0, \"no\": false, \"yes\": true, \"empty\": \"\", \"none\": [],"      \
	" \"list\": [{\"v\": \"1\"}, {\"v\": \"2\", \"a\": \"inner\"}], \"words\": [\"p\", \"q\"], \"o\": {\"v\": "        \
	"\"in\"}}"

static const struct {
	const char *template, *expected; /* "!": refused */
	enum mustache_kind kind;
	const char *what;
} templates[] = {
    {"", "", MUSTACHE_TEXT, "nothing"},
    {"plain { } }} text", "plain { } }} text", MUSTACHE_TEXT, "text alone"},
    {"[{{a}}]", "[x&<>\"'y]", MUSTACHE_TEXT, "a value in a text"},
    {"[{{a}}]", "[x&amp;&lt;&gt;&quot;&#39;y]", MUSTACHE_HTML, "a value in HTML"},
    {"[{{{a}}}]", "[x&<>\"'y]", MUSTACHE_HTML, "one as it is"},
    {"[{{ n }}][{{missing}}][{{yes}}]", "[5][][]", MUSTACHE_TEXT, "a number, nothing, and what is no text"},
    {"{{#list}}{{v}}{{a}};{{/list}}", "1x&<>\"'y;2inner;", MUSTACHE_TEXT, "a list; names of the item come first"},
    {"{{#words}}<{{.}}>{{/words}}", "<p><q>", MUSTACHE_TEXT, "a list of texts"},
    {"{{#o}}{{v}}{{/o}}", "in", MUSTACHE_TEXT, "an object"},
    {"{{#yes}}y{{/yes}}{{#no}}n{{/no}}{{#zero}}0{{/zero}}{{#empty}}e{{/empty}}{{#none}}l{{/none}}{{#n}}5{{/n}}", "y5",
     MUSTACHE_TEXT, "what is true"},
    {"{{^yes}}y{{/yes}}{{^no}}n{{/no}}{{^none}}l{{/none}}{{^missing}}m{{/missing}}", "nlm", MUSTACHE_TEXT,
     "what is not"},
    {"{{#yes}}a{{#no}}b{{/no}}{{#yes}}c{{/yes}}{{/yes}}", "ac", MUSTACHE_TEXT, "sections in each other"},
    {"a\n{{#list}}\n  {{v}}\n{{/list}}\nb\n", "a\n  1\n  2\nb\n", MUSTACHE_TEXT,
     "tags alone on their lines take these"},
    {"a {{! no\nthing }}b\n  {{! x }}\nc", "a b\nc", MUSTACHE_TEXT, "comments"},
    {"{{a", "!", MUSTACHE_TEXT, "no end of a tag"},
    {"{{{a}}", "!", MUSTACHE_TEXT, "half an end"},
    {"{{#a}}x", "!", MUSTACHE_TEXT, "no end of a section"},
    {"{{#no}}x", "!", MUSTACHE_TEXT, "nor of one that is not shown"},
    {"x{{/a}}", "!", MUSTACHE_TEXT, "an end without a beginning"},
    {"{{#yes}}{{#n}}{{/yes}}{{/n}}", "!", MUSTACHE_TEXT, "ends crosswise"},
    {"{{a b}}", "!", MUSTACHE_TEXT, "a name with a blank"},
    {"{{}}", "!", MUSTACHE_TEXT, "no name"},
    {"{{>a}}", "!", MUSTACHE_TEXT, "what other dialects have"},
};

static const char *render(const char *template, enum mustache_kind kind, json_t *values, const char **problem_r)
{
	struct strbuf out;
	size_t n = strlen(template);
	char *exact = malloc(n == 0 ? 1 : n);
	memcpy(exact, template, n);
	strbuf_init(&out, arena);
	bool good = mustache_render((struct slice){exact, n}, kind, values, &out, problem_r);
	free(exact);
	return good ? out.data : "!";
}

static void test_mustache(void)
{
	json_t *values = json_loads(VALUES, 0, NULL);
	const char *problem = "";
	for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
		is_text(render(templates[i].template, templates[i].kind, values, &problem), templates[i].expected,
		        templates[i].what);
	}
	render("a\nb\n{{x", MUSTACHE_TEXT, values, &problem);
	is_text(problem, "line 3: a tag without an end", "what is wrong, and where");
	struct strbuf deep;
	strbuf_init(&deep, arena);
	for (int i = 0; i < 2 * MUSTACHE_DEPTH; i++) {
		strbuf_add_text(&deep, "{{#yes}}");
	}
	is_text(render(deep.data, MUSTACHE_TEXT, values, &problem), "!", "too deep");
	json_decref(values);
}

/* ---- texts ---- */

static const struct {
	const char *text, *expected, *what;
} texts[] = {
    {"Gr\xc3\xbc\xc3\x9f"
     "e",
     "Gr\xc3\xbc\xc3\x9f"
     "e",
     "letters"},
    {"a\xe2\x80\xae"
     "b",
     "a?b", "a turn of the direction"},
    {"a\xe2\x81\xa6"
     "b\xe2\x81\xa9",
     "a?b?", "an isolate"},
    {"a\r\nb\tc\x01\x7f", "a??b?c??", "control characters"},
    {"a\xe2\x80\x8b"
     "b\xef\xbb\xbf",
     "a?b?", "characters that are not seen"},
    {"a\xff\xc3"
     "b",
     "a??b", "no UTF-8"},
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "a face"},
    {"see http://x.example/ www.y.example", "see http:/x.example/ www y.example", "no links"},
    {"http:////x", "http:/x", "nor with more slashes"},
    {"0123456789abcdefghij0123456789abcdefghijX", "0123456789abcdefghij0123456789abcdefghij...", "bounded"},
    {"\xd7\x90\xd7\x91", "\xd7\x90\xd7\x91", "letters from right to left stay"},
};

static void test_texts(void)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		is_text(user_mail_clean(arena, texts[i].text, 40), texts[i].expected, texts[i].what);
	}
	is_text(user_mail_percent(arena, "a b&c=\xc3\xbc?-._~"), "a%20b%26c%3D%C3%BC%3F-._~", "a part of a URI");
}

/* ---- the mail ---- */

static bool has(struct slice message, const char *part)
{
	return memmem(message.data, message.len, part, strlen(part)) != NULL;
}

static void test_mail(void)
{
	const struct user_mail mail = {
	    .from_name = "G\xc3\xbc, \"x\"",
	    .from = "r@a.example",
	    .to = "b@a.example",
	    .subject = "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
	               "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
	    .id = "i@a.example",
	    .in_reply_to = "",
	    .fields = "X-A: b\r\n",
	    .now = 1764590000,
	    .text = SLICE_LITERAL(".dot\nend \nx=y \xc3\xbc\n01234567890123456789012345678901234567890123"
	                          "45678901234567890123456789012345678901234567890\n"),
	    .html = SLICE_LITERAL("<p>")};
	struct slice message = user_mail_compose(arena, &mail);
	size_t longest = 0;
	for (size_t at = 0; at < message.len;) {
		size_t end = slice_find(message, '\n', at);
		longest = end - at > longest ? end - at : longest;
		at = end + 1;
	}
	ok(slice_is_ascii(message) && longest <= 79, "ASCII, in short lines (%zu)", longest);
	ok(has(message, "From: =?UTF-8?B?R8O8LCAieCI=?=\r\n\t<r@a.example>\r\n"), "the name is encoded");
	ok(has(message, "?=\r\n\t=?UTF-8?B?"), "a long subject is several words");
	ok(has(message, "Date: Mon, 1 Dec 2025 11:53:20 +0000\r\n"), "the date");
	ok(has(message, "Auto-Submitted: auto-generated\r\n") && has(message, "X-Auto-Response-Suppress: All\r\n"),
	   "by no human");
	ok(has(message, "\r\n\r\n=2Edot\r\nend=20\r\nx=3Dy =C3=BC\r\n"), "quoted-printable");
	ok(has(message, "=\r\n"), "with soft line ends");
	ok(has(message, "\r\nX-A: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative;"), "further fields");
}

/* ---- tokens ---- */

#define TOKEN "release-0123456789abcdefghjkmnpqrstvwxyz"

static const struct {
	const char *text;
	bool good;
	const char *what;
} tokens[] = {
    {"release-0123456789abcdefghjkmnpqrstvwxyz", true, "as it is written"},
    {"RELEASE-0123456789ABCDEFGHJKMNPQRSTVWXYZ", true, "in capitals"},
    {"off-0123456789abcdefghjkmnpqrstvwxyz", true, "another verb"},
    {"delete-0123456789abcdefghjkmnpqrstvwxyz", false, "an unknown verb"},
    {"release-0123456789abcdefghjkmnpqrstvwxy", false, "too short"},
    {"release-0123456789abcdefghjkmnpqrstvwxyz0", false, "too long"},
    {"release-0123456789abcdefghjkmnpqrstvwxyu", false, "a letter that is none"},
    {"release_0123456789abcdefghjkmnpqrstvwxyz", false, "no dash"},
    {"-0123456789abcdefghjkmnpqrstvwxyz", false, "no verb"},
    {"", false, "nothing"},
    {"-", false, "a dash"},
};

static bool parse(const char *text, struct action_token *token_r)
{
	size_t n = strlen(text);
	char *exact = malloc(n == 0 ? 1 : n);
	memcpy(exact, text, n);
	bool good = action_token_parse((struct slice){exact, n}, token_r);
	free(exact);
	return good;
}

static void test_tokens(void)
{
	static const unsigned char key[ACTION_KEY_SIZE] = "a key";
	static const unsigned char other[ACTION_KEY_SIZE] = "another";
	struct action_token token;
	char nonce[ACTION_NONCE_SIZE];
	for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
		ok(parse(tokens[i].text, &token) == tokens[i].good, "a token: %s", tokens[i].what);
	}
	ok(action_nonce_make(nonce) && strlen(nonce) == ACTION_NONCE_SIZE - 1, "a nonce");
	for (size_t i = 0; i < ACTION_VERBS; i++) {
		const char *text = action_token_print(arena, key, (enum action_verb)i, nonce);
		ok(strlen(text) <= ACTION_TOKEN_MAX && parse(text, &token) && token.verb == i &&
		       strcmp(token.nonce, nonce) == 0 && action_token_verify(&token, key) &&
		       !action_token_verify(&token, other),
		   "%s is good under its key alone", text);
		token.verb = (enum action_verb)((i + 1) % ACTION_VERBS);
		ok(!action_token_verify(&token, key), "and is no other verb");
	}
}

/* ---- whose, when ---- */

static void test_owners(void)
{
	static const char *const cases[][2] = {{"Bob+Lists@Example.ORG", "bob@example.org"},
	                                       {"bob@example.org", "bob@example.org"},
	                                       {"+x@example.org", "+x@example.org"},
	                                       {"\"a+b\"@example.org", "\"a+b\"@example.org"},
	                                       {"bob", NULL},
	                                       {"", NULL}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *owner = digest_owner(arena, cases[i][0], "+");
		ok((owner == NULL) == (cases[i][1] == NULL) && (owner == NULL || strcmp(owner, cases[i][1]) == 0),
		   "the owner of <%s>", cases[i][0]);
	}
}

static void test_times(void)
{
	int weekday;
	ok(local_time_zone_valid("Europe/Berlin") && local_time_zone_valid("") && !local_time_zone_valid("Europe/Nowhere"),
	   "zones");
	is_text(local_time_format(arena, "Europe/Berlin", "%Y-%m-%d %H:%M", 1764590000), "2025-12-01 12:53", "winter");
	is_text(local_time_format(arena, "Europe/Berlin", "%Y-%m-%d %H:%M", 1780000000), "2026-05-28 22:26", "summer");
	is_int(local_time_slot("UTC", 1764590000, 7, &weekday), 1764572400, "seven o'clock");
	is_int(weekday, LOCAL_TIME_MONDAY, "a Monday");
	is_int(local_time_slot("UTC", 1764572399, 7, &weekday), 1764486000, "one second before: the day before");
	is_int(weekday, 7, "a Sunday");
	is_int(local_time_slot("UTC", 1764572400, 7, &weekday), 1764572400, "at that moment");
	/* 29 March 2026: from 02:00 to 03:00 at 01:00 UTC. */
	is_int(local_time_slot("Europe/Berlin", 1774764000, 7, &weekday), 1774760400, "the day on which summer begins");
	is_int(local_time_slot("Europe/Berlin", 1774764000 - 86400, 7, &weekday), 1774677600, "and the one before");
}

static void test_finish(void)
{
	const struct digest_settings good = {.from = "r@a.example",
	                                     .reply_address = "reeve@a.example",
	                                     .console_url = "",
	                                     .time_zone = "UTC",
	                                     .language = "en",
	                                     .relay = "smtp:127.0.0.1:25"};
	struct digest_settings bad = good;
	struct digest_settings copy = good;
	ok(digest_finish(&copy, arena) == NULL, "good options");
	bad.reply_address = "an-address-with-a-long-name@a.example";
	ok(digest_finish(&bad, arena) != NULL, "a local part that has no room for a token");
	bad = good;
	bad.console_url = "http://a.example";
	ok(digest_finish(&bad, arena) != NULL, "a console without encryption");
	bad = good;
	bad.from = "nobody";
	ok(digest_finish(&bad, arena) != NULL, "no address");
	bad = good;
	bad.language = "../x";
	ok(digest_finish(&bad, arena) != NULL, "a language that is a path");
}

int main(void)
{
	arena = arena_create(65536);
	test_mustache();
	test_texts();
	test_mail();
	test_tokens();
	test_owners();
	test_times();
	test_finish();
	arena_destroy(arena);
	return done_testing();
}
