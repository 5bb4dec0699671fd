/* DKIM signatures of our own, verified by libopendkim. */
#include "inspect/dkim_verify.h"
#include "lib/auth/dkim_sign.h"
#include "lib/mail/taglist.h"
#include "t/dkim_signer.h"
#include "t/tap.h"

enum { NOW = 1700000000 };

static struct arena *arena;
static struct signer_key pem_rsa, pem_ed;
static struct dkim_private_key *rsa, *ed25519;
static const char *const fields[] = {"to", "subject", "reply-to", "Received", NULL};
static const char *const from_only[] = {"from", NULL};
static const char *const none[] = {NULL};

struct signed_message {
	const char *value; /* of the field, as edits have it */
	const char *fragile;
	struct slice text; /* with the field on top, in wire form */
};

/* The body is in memory of exactly its size. */
static struct signed_message sign(struct slice message, const struct dkim_sign_options *options,
                                  const struct dkim_private_key *key, const char *identity)
{
	struct signed_message result;
	struct headers headers = {.count = 0};
	struct header_limits limits = {2000, 1 << 20};
	size_t at = headers_parse(&headers, arena, &limits, message);
	char *body = malloc(message.len - at + (message.len == at));
	memcpy(body, message.data + at, message.len - at);
	struct dkim_draft *draft = dkim_sign_begin(arena, options, &headers, (struct slice){body, message.len - at}, NOW);
	result.value = dkim_sign_field(draft, "example.com", "sel", identity, key);
	result.fragile = dkim_sign_fragile(draft);
	free(body);
	struct strbuf text;
	strbuf_init(&text, arena);
	strbuf_add_text(&text, "DKIM-Signature: ");
	for (const char *c = result.value; *c != '\0'; c++) {
		strbuf_add_text(&text, *c == '\n' ? "\r" : "");
		strbuf_add_char(&text, *c);
	}
	strbuf_add_text(&text, "\r\n");
	strbuf_add_slice(&text, message);
	result.text = (struct slice){text.data, text.len};
	return result;
}

static enum auth_result verify(struct slice message, bool is_rsa)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {2000, 1 << 20};
	struct dkim_keys keys;
	struct inspect_reply reply = {.signature_count = 0};
	headers_parse(&headers, arena, &limits, message);
	dkim_keys_collect(arena, &headers, DKIM_MAX_SIGNATURES, &keys);
	for (size_t i = 0; i < keys.count; i++) {
		keys.items[i].status = DKIM_KEY_FOUND;
		keys.items[i].text = slice_from(is_rsa ? arena_printf(arena, "v=DKIM1; k=rsa; p=%s", pem_rsa.public_key)
		                                       : arena_printf(arena, "v=DKIM1; k=ed25519; p=%s", pem_ed.public_key));
	}
	dkim_verify_message(message, &keys, &(struct dkim_rules){1024, 300}, NOW + 1, arena, &reply);
	return reply.signature_count == 0 ? AUTH_NONE : reply.signatures[0].result;
}

static struct slice tag(const char *value, const char *name)
{
	struct taglist list;
	taglist_parse(slice_from(value), &list);
	const struct tag *found = taglist_find(&list, name);
	return found == NULL ? SLICE_LITERAL("(none)") : tag_compact(arena, found->value);
}

static void test_shapes(void)
{
	static const struct {
		const char *name, *text, *names; /* names: h= */
		const char *fragile;             /* a part of it, NULL: nothing */
	} rows[] = {
	    {"plain", "From: a@example.com\r\nTo: b\r\nSubject: s\r\n\r\nhi\r\n", "from:from:to:subject", NULL},
	    {"no line end", "From: a@example.com\r\n\r\nhi", "from:from", NULL},
	    {"no body", "From: a@example.com\r\n\r\n", "from:from", NULL},
	    {"no empty line", "From: a@example.com\r\n", "from:from", NULL},
	    {"blank lines", "From: a@example.com\r\n\r\n\r\n\r\n \r\n", "from:from", NULL},
	    {"not signed", "Received: x\r\nFrom: a@example.com\r\nX: y\r\n\r\nhi\r\n", "from:from", NULL},
	    {"twice", "To: 1\r\nFrom: a@example.com\r\nTo: 2\r\n\r\nhi\r\n", "from:from:to:to", NULL},
	    {"folds", "From: \r\n a@example.com\r\nSubject: a\r\n\tb\r\n   c  \r\n\r\nhi\r\n", "from:from:subject", NULL},
	    {"no space", "From:a@example.com\r\nSubject:\r\n\r\nhi\r\n", "from:from:subject", NULL},
	    {"bare CR", "From: a@example.com\r\n\r\na\rb\r\n", "from:from", "CR alone"},
	    {"bare LF", "From: a@example.com\r\n\r\na\nb\r\n", "from:from", "LF alone"},
	    {"8-bit", "From: a@example.com\r\n\r\n\xc3\xbc\r\n", "from:from", "8-bit text"},
	    {"8-bit, announced", "From: a@example.com\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n\xc3\xbc\r\n", "from:from",
	     NULL},
	};
	const struct dkim_sign_options options = {.fields = fields, .oversign = from_only};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice message = slice_from(rows[i].text);
		for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
			struct signed_message result = sign(message, &options, is_rsa ? rsa : ed25519, NULL);
			/* libopendkim takes a CR alone for another body than RFC 6376 has it: what the finding is for. */
			bool cr = strcmp(rows[i].name, "bare CR") == 0;
			ok(result.value != NULL && (cr || verify(result.text, is_rsa) == AUTH_PASS), "%s: verifies", rows[i].name);
			is_text(slice_dup(arena, tag(result.value, "h")), rows[i].names, "its h=");
			ok((result.fragile == NULL) == (rows[i].fragile == NULL) &&
			       (result.fragile == NULL || strstr(result.fragile, rows[i].fragile) != NULL),
			   "its risk: %s", result.fragile == NULL ? "none" : result.fragile);
		}
	}
	struct slice nul = SLICE_LITERAL("From: a@example.com\r\n\r\na\0b\r\n");
	struct signed_message result = sign(nul, &options, rsa, NULL);
	ok(verify(result.text, true) == AUTH_PASS, "a NUL in the body: verifies");
	is_text(result.fragile, "NUL bytes", "and is a risk");
}

/* What is changed on the way shows. */
static void test_changes(void)
{
	static const char mail[] = "From: a@example.com\r\nTo: b\r\nSubject: s\r\n\r\nhi\r\n";
	const struct dkim_sign_options options = {.fields = fields, .oversign = from_only};
	struct signed_message result = sign(slice_from(mail), &options, rsa, NULL);
	struct slice from = SLICE_LITERAL("From: evil@example.net\r\n");
	ok(verify(slice_from(arena_printf(arena, "%.*s%.*s", SLICE_ARGS(from), SLICE_ARGS(result.text))), true) !=
	       AUTH_PASS,
	   "a From on top of the signed one breaks it");
	char *changed = slice_dup(arena, result.text);
	changed[result.text.len - 3] = 'o';
	ok(verify(slice_from(changed), true) == AUTH_FAIL, "so does another body");
	const char *received = arena_printf(arena, "Received: x\r\nX-Y: z\r\n%.*s", SLICE_ARGS(result.text));
	ok(verify(slice_from(received), true) == AUTH_PASS, "Received and fields that are not signed do not");
	struct dkim_sign_options plain = {.fields = none, .oversign = none};
	is_text(slice_dup(arena, tag(sign(slice_from(mail), &plain, rsa, NULL).value, "h")), "from",
	        "without any option From is signed");
	static const char *const more[] = {"Subject", "X-None", "dkim-signature", NULL};
	struct dkim_sign_options oversign = {.fields = fields, .oversign = more};
	is_text(slice_dup(arena, tag(sign(slice_from(mail), &oversign, rsa, NULL).value, "h")),
	        "from:to:subject:subject:x-none", "what else is oversigned, there or not, but no signature");
}

static void test_field(void)
{
	static const char mail[] = "From: a@example.com\r\nTo: b\r\nSubject: s\r\n\r\nhi\r\n";
	struct dkim_sign_options options = {.fields = fields, .oversign = from_only, .lifetime = 3600};
	const char *value = sign(slice_from(mail), &options, rsa, "@sub.example.com").value;
	struct slice rest = slice_from(value);
	struct slice line;
	size_t longest = strlen("DKIM-Signature: ");
	for (bool first = true; slice_split(&rest, '\n', &line); first = false) {
		size_t length = line.len + (first ? strlen("DKIM-Signature: ") : 0);
		longest = length > longest ? length : longest;
		ok(first || line.data[0] == '\t', "a fold is LF and tab");
	}
	ok(longest < 78, "the longest line has %zu bytes", longest);
	ok(strchr(value, '\r') == NULL && value[0] == 'v', "no CR, no leading space");
	is_text(slice_dup(arena, tag(value, "a")), "rsa-sha256", "a=");
	is_text(slice_dup(arena, tag(value, "c")), "relaxed/relaxed", "c=");
	is_text(slice_dup(arena, tag(value, "t")), "1700000000", "t=");
	is_text(slice_dup(arena, tag(value, "x")), "1700003600", "x=");
	is_text(slice_dup(arena, tag(value, "i")), "@sub.example.com", "i=");
	struct taglist list;
	taglist_parse(slice_from(value), &list);
	ok(!list.malformed && !list.duplicate && slice_equal(list.tags[list.count - 1].name, SLICE_LITERAL("b")),
	   "b= is last");
	ok(taglist_find(&list, "l") == NULL, "no l=");
	options.lifetime = 0;
	value = sign(slice_from(mail), &options, rsa, NULL).value;
	is_text(slice_dup(arena, tag(value, "x")), "(none)", "no x= without a lifetime");
	is_text(slice_dup(arena, tag(value, "i")), "(none)", "no i= unless it is asked for");
}

/* A header without end, and lines without end. */
static void test_bounds(void)
{
	struct strbuf text;
	const struct dkim_sign_options options = {.fields = fields, .oversign = from_only};
	strbuf_init(&text, arena);
	for (int i = 0; i < 1500; i++) {
		strbuf_printf(&text, "To: r%d@example.net\r\n", i);
	}
	strbuf_add_text(&text, "From: a@example.com\r\n\r\nhi\r\n");
	struct signed_message result = sign((struct slice){text.data, text.len}, &options, rsa, NULL);
	ok(verify(result.text, true) == AUTH_PASS, "1,500 To fields: verifies");
	is_text(result.fragile, "more header fields than a signature can name", "and it is said that not all are signed");
	ok(strlen(result.value) < 4096, "the field has %zu bytes", strlen(result.value));
	const size_t sizes[] = {990, 991, 998, 999, 1000000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		strbuf_init(&text, arena);
		strbuf_add_text(&text, "From: a@example.com\r\n\r\n");
		for (size_t k = 0; k < sizes[i]; k++) {
			strbuf_add_char(&text, 'x');
		}
		strbuf_add_text(&text, "\r\n");
		struct slice message = {text.data, text.len};
		struct dkim_sign_options sendmail = options;
		sendmail.sendmail = true;
		ok((sign(message, &options, ed25519, NULL).fragile != NULL) == (sizes[i] > 998), "a line of %zu bytes",
		   sizes[i]);
		ok((sign(message, &sendmail, ed25519, NULL).fragile != NULL) == (sizes[i] > 990), "through Sendmail");
	}
}

/* Signed as it comes, and verified as Sendmail sends it. */
static void test_sendmail(void)
{
	static const struct {
		const char *before, *after;
		bool bare; /* it has a name without a domain */
	} rows[] = {
	    {"x@a,y@b", "x@a, y@b", false},
	    {"x@a , y@b,", "x@a, y@b", false},
	    {"\"Q, R\" <x@a>,y@b", "\"Q, R\" <x@a>, y@b", false},
	    {"\"Q\\\", R\" <x@a>,y@b", "\"Q\\\", R\" <x@a>, y@b", false},
	    {"x@a (one, (two), \\) three),y@b", "x@a (one, (two), \\) three), y@b", false},
	    {"<@r,@s:x@a>,y@b", "<@r,@s:x@a>, y@b", false},
	    {",,x@a,,", "x@a", false},
	    {"x@a\r\n\t,\r\n y@b", "x@a,\r\n\ty@b", false},
	    {"undisclosed recipients:;", "undisclosed recipients:;", false},
	    {"x@a,root", "x@a, root", true},
	    {"\"never ends, x@a", "\"never ends, x@a", false},
	    {"", "", false},
	};
	struct dkim_sign_options options = {.fields = fields, .oversign = from_only, .sendmail = true};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *before = arena_printf(arena, "From: a@example.com\r\nTo: %s\r\n\r\nhi\r\n", rows[i].before);
		const char *after = arena_printf(arena, "From: a@example.com\r\nTo: %s\r\n\r\nhi\r\n", rows[i].after);
		struct signed_message result = sign(slice_from(before), &options, rsa, NULL);
		size_t field = result.text.len - strlen(before);
		const char *sent = arena_printf(arena, "%.*s%s", (int)field, result.text.data, after);
		ok(verify(slice_from(sent), true) == AUTH_PASS, "list %zu", i);
		ok((result.fragile != NULL) == rows[i].bare, "its risk: %s", result.fragile == NULL ? "none" : result.fragile);
	}
}

int main(void)
{
	arena = arena_create(65536);
	if (!dkim_verify_init()) {
		printf("Bail out! no verifier\n");
		return 1;
	}
	pem_rsa = signer_key_create(arena, 2048);
	pem_ed = signer_key_create(arena, 0);
	rsa = dkim_private_key_create(slice_from(pem_rsa.private_key));
	ed25519 = dkim_private_key_create(slice_from(pem_ed.private_key));
	test_shapes();
	test_changes();
	test_field();
	test_bounds();
	test_sendmail();
	dkim_private_key_destroy(rsa);
	dkim_private_key_destroy(ed25519);
	arena_destroy(arena);
	return done_testing();
}
