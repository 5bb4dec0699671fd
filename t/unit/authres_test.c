/* Authentication-Results and Received-SPF: what claims to be ours, and that what we write is what the grammars say,
 * read by strict parsers of its own. */
#include "lib/mail/authres.h"
#include "lib/mail/received_spf.h"
#include "t/tap.h"

/* On a heap block of exactly its size, so that an overread is seen. */
static struct slice heap(struct slice text)
{
	char *copy = malloc(text.len == 0 ? 1 : text.len);
	if (text.len > 0) {
		memcpy(copy, text.data, text.len);
	}
	return (struct slice){copy, text.len};
}

struct claim {
	struct slice value;
	bool ours;
};

#define OURS(text)                                                                                                     \
	{                                                                                                                  \
		SLICE_LITERAL(text), true                                                                                      \
	}
#define THEIRS(text)                                                                                                   \
	{                                                                                                                  \
		SLICE_LITERAL(text), false                                                                                     \
	}

/* Of mx.example */
static const struct claim claims[] = {
    OURS(" mx.example; spf=pass"),
    OURS(" MX.Example 1; spf=pass"),
    OURS(" mx.example 1 ; none"),
    OURS(" (c (d)) mx.example(x);none"),
    OURS("(a\\)b)mx.example; none"),
    OURS("\r\n\tmx.example;\r\n\tspf=pass"),
    OURS("\n \n mx.example\n ;\n spf=pass"),
    OURS(" \"mx.example\"; none"),
    OURS(" \" mx.example \"; none"),
    OURS(" \"mx\\.example\"; none"),
    OURS(" \"mx.example;\"; none"),
    OURS(" \"mx.example"),
    OURS(" mx.example.; none"),
    OURS(" mx.example...; none"),
    OURS(" mx.example/1; none"),
    OURS(" mx.example:25; none"),
    OURS(" mx.example,other.example; none"),
    OURS(" <mx.example>; none"),
    OURS(" [mx.example]; none"),
    OURS(" mx.example"),
    OURS(" mx.example spf=pass"),
    OURS(" mx . example; none"),
    OURS(" mx.(x)example; none"),
    OURS(" mx.\r\n example 1; none"),
    OURS(" ; spf=pass"),
    OURS(""),
    OURS(" \t\r\n "),
    OURS(" (only a comment"),
    OURS(" (mx.example"),
    OURS(" spf=pass smtp.mailfrom=a@b.example"),
    OURS(" spf = pass"),
    OURS(" (x) dkim (y) = pass"),
    OURS(" =pass"),
    OURS(" =?utf-8?q?mx.example?=; spf=pass"),
    OURS(" mx.example\0.evil.example; spf=pass"),
    OURS("\0\0mx.example; spf=pass"),
    OURS(" mx\0.exam\0ple; spf=pass"),
    OURS(" \x01mx.exa\x7fmple\x08; spf=pass"),
    OURS("\x0b\x0cmx.example; spf=pass"),
    OURS("\xa0mx.example; spf=pass"),
    OURS("\xc2\xa0mx.example\xc2\xa0"
         "1; spf=pass"),
    OURS("\xe2\x80\x8bmx.exam\xe2\x80\x8bple; spf=pass"),
    OURS("\xef\xbb\xbfmx.example; spf=pass"),
    OURS("\xe3\x80\x80mx.example; spf=pass"),
    OURS(" mx.exam\xc2\xadple; spf=pass"),
    OURS(" mx\xe3\x80\x82"
         "example; spf=pass"),
    OURS(" \xef\xbd\x8d\xef\xbd\x98.example; spf=pass"),
    OURS(" \xe2\x80\x9cmx.example\xe2\x80\x9d; spf=pass"),
    OURS(" mx.example\xff; spf=pass"),
    THEIRS(" mx.example.org; spf=pass"),
    THEIRS(" amx.example; spf=pass"),
    THEIRS(" mx.exampl; spf=pass"),
    THEIRS(" other.example; spf=pass smtp.mailfrom=mx.example"),
    THEIRS(" other.example 1; spf=pass"),
    THEIRS(" other.example spf=pass"),
    THEIRS(" other.example mx.example; spf=pass"),
    THEIRS(" (mx.example) other.example; none"),
    THEIRS(" \"other.example\"; mx.example; none"),
    THEIRS(" other.example"),
    THEIRS(" xn--mx-example; none"),
    THEIRS(" b\xc3\xbc"
           "cher.example; none"),
};

/* Of our name, in whatever form it is configured or written. */
static const struct {
	const char *ours, *value;
	bool claims;
} forms[] = {
    {"mx.b\xc3\xbc"
     "cher.example",
     " mx.b\xc3\xbc"
     "cher.example; none",
     true},
    {"mx.b\xc3\xbc"
     "cher.example",
     " MX.B\xc3\x9c"
     "CHER.example; none",
     true},
    {"mx.b\xc3\xbc"
     "cher.example",
     " mx.xn--bcher-kva.example; none", true},
    {"mx.xn--bcher-kva.example",
     " mx.b\xc3\xbc"
     "cher.example 1; none",
     true},
    {"mx.xn--bcher-kva.example.", " mx.XN--BCHER-KVA.example; none", true},
    {"mx.xn--bcher-kva.example",
     " mx.bu\xcc\x88"
     "cher.example; none",
     true},
    {"mx.xn--bcher-kva.example", " mx.bucher.example; none", false},
    {"mx.example.", " mx.example; none", true},
    {"MX.EXAMPLE", " mx.example; none", true},
    {"mail_1", " MAIL_1; none", true},
    {"mail_1", " mail_2; none", false},
};

static void test_claims(struct arena *arena)
{
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		struct slice value = heap(claims[i].value);
		ok(authres_claims(value, "mx.example") == claims[i].ours, "\"%s\" %s ours",
		   text_escape(arena, value, "", false, 100), claims[i].ours ? "may be" : "is not");
		free((char *)(uintptr_t)value.data);
	}
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct slice value = heap(slice_from(forms[i].value));
		ok(authres_claims(value, forms[i].ours) == forms[i].claims, "%s: \"%s\" %s",
		   text_escape(arena, slice_from(forms[i].ours), "", false, 100), text_escape(arena, value, "", false, 100),
		   forms[i].claims ? "may be ours" : "is not ours");
		free((char *)(uintptr_t)value.data);
	}
}

/* ---- a strict reader of RFC 8601 2.2 ---- */

struct reader {
	struct slice text;
	size_t at;
	struct arena *arena;
	struct strbuf shape; /* "id|method=result|reason=x|ptype.property=value|..." */
};

static int peek(const struct reader *reader)
{
	return reader->at < reader->text.len ? (unsigned char)reader->text.data[reader->at] : -1;
}

static bool take(struct reader *reader, char c)
{
	bool there = peek(reader) == (unsigned char)c;
	reader->at += there;
	return there;
}

/* FWS: blanks, and LF + blanks with something behind it. */
static bool read_fws(struct reader *reader)
{
	size_t from = reader->at;
	while (take(reader, ' ') || take(reader, '\t')) {
	}
	if (take(reader, '\n') && !take(reader, '\t') && !take(reader, ' ')) {
		reader->at = reader->text.len + 1; /* a line end that is no fold: nothing is accepted any more */
		return false;
	}
	while (take(reader, ' ') || take(reader, '\t')) {
	}
	return reader->at > from;
}

static bool read_comment(struct reader *reader)
{
	if (!take(reader, '(')) {
		return false;
	}
	while (peek(reader) != ')') {
		int c = peek(reader);
		if (!read_fws(reader) && (c <= ' ' || c >= 127 || c == '(' || c == '\\')) {
			return false;
		}
		reader->at += c > ' ';
	}
	return take(reader, ')');
}

static void read_cfws(struct reader *reader)
{
	while (read_fws(reader) || (peek(reader) == '(' && read_comment(reader))) {
	}
}

static bool is_token_byte(int c)
{
	return c > ' ' && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static bool read_while(struct reader *reader, bool (*fits)(int c), struct strbuf *out)
{
	size_t from = reader->at;
	while (peek(reader) >= 0 && fits(peek(reader))) {
		strbuf_add_char(out, reader->text.data[reader->at++]);
	}
	return reader->at > from;
}

static bool read_quoted(struct reader *reader, struct strbuf *out)
{
	take(reader, '"');
	while (peek(reader) != '"') {
		size_t n = peek(reader) >= 0x80
		               ? text_utf8_length((struct slice){reader->text.data + reader->at, reader->text.len - reader->at})
		               : 1;
		if (peek(reader) == '\\' || peek(reader) == ';') {
			return false; /* allowed, but not understood by every reader */
		}
		if (peek(reader) < ' ' || peek(reader) == 127 || n == 0) {
			return false;
		}
		strbuf_add(out, reader->text.data + reader->at, n);
		reader->at += n;
	}
	return take(reader, '"');
}

static bool is_keyword_byte(int c)
{
	return ascii_is_alpha((char)c) || ascii_is_digit((char)c) || c == '-';
}

static bool is_local_byte(int c)
{
	return c >= 128 || is_keyword_byte(c) || (c > 0 && strchr("!#$%&'*+/=?^_`{|}~.", c) != NULL);
}

static bool is_domain_byte(int c)
{
	return is_keyword_byte(c) || c == '.';
}

/* value / [ [ local-part ] "@" ] domain-name; local parts as dot-atoms. */
static bool read_pvalue(struct reader *reader, bool mailbox)
{
	if (peek(reader) == '"') {
		return read_quoted(reader, &reader->shape);
	}
	size_t from = reader->at;
	size_t shape = reader->shape.len;
	bool token = read_while(reader, is_token_byte, &reader->shape);
	if (peek(reader) != '@' && peek(reader) < 128 && !(mailbox && peek(reader) >= 0 && strchr("/?=", peek(reader)) != NULL)) {
		return token;
	}
	reader->at = from;
	reader->shape.len = shape;
	read_while(reader, is_local_byte, &reader->shape);
	struct slice local = {reader->text.data + from, reader->at - from};
	bool dots = local.len > 0 && (local.data[0] == '.' || local.data[local.len - 1] == '.' ||
	                              memmem(local.data, local.len, "..", 2) != NULL);
	if (!mailbox || dots || !take(reader, '@')) {
		return false;
	}
	strbuf_add_char(&reader->shape, '@');
	return read_while(reader, is_domain_byte, &reader->shape);
}

static bool read_keyword(struct reader *reader)
{
	return read_while(reader, is_keyword_byte, &reader->shape);
}

/* reasonspec and propspecs, up to ";" or the end. */
static bool read_specs(struct reader *reader)
{
	for (bool first = true; read_cfws(reader), peek(reader) >= 0 && peek(reader) != ';'; first = false) {
		size_t from = reader->shape.len;
		strbuf_add_char(&reader->shape, '|');
		bool named = read_keyword(reader);
		bool reason = strcmp(reader->shape.data + from, "|reason") == 0;
		if (!reason && take(reader, '.')) {
			strbuf_add_char(&reader->shape, '.');
			named = named && read_keyword(reader);
		} else if (!reason || !first) {
			return false;
		}
		strbuf_add_char(&reader->shape, '=');
		if (!named || !take(reader, '=') || !read_pvalue(reader, !reason)) {
			return false;
		}
		if (peek(reader) >= 0 && strchr(" \t\n;", peek(reader)) == NULL) {
			return false;
		}
	}
	return true;
}

static bool read_resinfo(struct reader *reader)
{
	read_cfws(reader);
	strbuf_add_char(&reader->shape, '|');
	bool good = read_keyword(reader) && take(reader, '=');
	strbuf_add_char(&reader->shape, '=');
	return good && read_keyword(reader) && read_specs(reader);
}

static const char *read_strictly(struct arena *arena, const char *value)
{
	struct reader reader = {.text = slice_from(value), .arena = arena};
	strbuf_init(&reader.shape, arena);
	read_cfws(&reader);
	if (!read_pvalue(&reader, false)) {
		return "no authserv-id";
	}
	read_cfws(&reader);
	if (strcmp(value + reader.at, "; none") == 0) {
		return reader.shape.data;
	}
	while (take(&reader, ';')) {
		if (!read_resinfo(&reader)) {
			return arena_printf(arena, "resinfo before \"%s\"",
			                    value + (reader.at < reader.text.len ? reader.at : reader.text.len));
		}
	}
	return reader.at == reader.text.len ? reader.shape.data : "something behind the end";
}

/* Lines: over 78 only where one word is longer, never over 998, none of blanks alone. */
static bool lines_good(struct slice text, size_t name)
{
	struct slice line;
	for (bool first = true; slice_split(&text, '\n', &line); first = false) {
		size_t width = first ? name + 2 + line.len : line.len + 7;
		struct slice word = slice_trim(line);
		bool blanks = false;
		for (size_t i = 0; i < word.len; i++) {
			blanks = blanks || (word.data[i] == ' ' && (i < 1 || word.data[i - 1] != '"'));
		}
		if (word.len == 0 || width > 998 || (width > 78 && blanks && memchr(word.data, '"', word.len) == NULL)) {
			return false;
		}
	}
	return true;
}

static const char *const hostile[] = {
    "",
    " ",
    "   two   blanks   ",
    "plain",
    "a@b.example",
    "@b.example",
    "a..b@c.example",
    ".a@c.example",
    "a@b_c.example",
    "a@-b.example",
    "a@b..c",
    "a@[192.0.2.1]",
    "\"quoted local\"@b.example",
    "a/b=c?d@e.example",
    "a@b@c.example",
    "m\303\274ller@b\303\274cher.example",
    "\xff\xfe raw \x80",
    "\xc2\x85\xe2\x80",
    "))((\\\\\"\"",
    "a\r\nX-Evil: 1",
    "a\n\tb",
    "; dkim=pass header.d=bank.example",
    "(comment) x=y",
    "x\x7fy\x01z\x1b[2J",
    "abc/+=",
    "[192.0.2.1]",
    "\\",
    "\"",
    "under_score",
    "100%",
};

static void test_one(struct arena *arena, const char *name, const char *value, bool utf8)
{
	struct authres authres;
	authres_begin(&authres, arena, "mx.example");
	authres.utf8 = utf8;
	authres_method(&authres, "spf", AUTH_FAIL, value, value);
	authres_property(&authres, "smtp", "mailfrom", value);
	authres_property(&authres, "smtp", "helo", value);
	authres_method(&authres, "dkim", AUTH_PASS, NULL, NULL);
	authres_property(&authres, "header", "i", value);
	authres_method(&authres, "dmarc", AUTH_PERMERROR, value, NULL);
	const char *text = authres_finish(&authres);
	const char *shape = read_strictly(arena, text);
	bool good = strncmp(shape, "mx.example|spf=fail|reason=", 27) == 0 && strstr(shape, "|smtp.mailfrom=") != NULL &&
	            strstr(shape, "|smtp.helo=") != NULL && strstr(shape, "|dkim=pass|header.i=") != NULL &&
	            slice_ends_nocase(slice_from(shape), SLICE_LITERAL("|dmarc=permerror"));
	ok(good, "the grammar holds: %s%s", name, utf8 ? ", internationalized" : "");
	if (!good) {
		printf("# %s\n# %s\n", text_escape(arena, slice_from(shape), "", false, 2000),
		       text_escape(arena, slice_from(text), "", false, 2000));
	}
	ok(utf8 ? slice_is_utf8(slice_from(text)) : slice_is_ascii(slice_from(text)), "in the right bytes");
	ok(lines_good(slice_from(text), strlen("Authentication-Results")), "and its lines are good");
	ok(authres_claims(slice_from(text), "mx.example"), "and we know it again");
}

static void test_grammar(struct arena *arena, bool utf8)
{
	char bytes[3001];
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		test_one(arena, text_escape(arena, slice_from(hostile[i]), "", false, 60), hostile[i], utf8);
	}
	static const char fills[] = {'a', ' ', '"', '\\', '(', '\xc3', '\x01'};
	for (size_t i = 0; i < sizeof fills; i++) {
		memset(bytes, fills[i], 3000);
		bytes[3000] = '\0';
		test_one(arena, arena_printf(arena, "3,000 bytes of %02x", (unsigned char)fills[i]), bytes, utf8);
	}
	for (int c = 1; c < 256; c++) {
		char text[] = {'a', (char)c, 'b', '\0'};
		test_one(arena, arena_printf(arena, "byte %02x", (unsigned)c), text, utf8);
	}
}

static void test_writer(struct arena *arena)
{
	struct authres authres;
	authres_begin(&authres, arena, "mx.example");
	is_text(authres_finish(&authres), "mx.example; none", "nothing to say");
	authres_begin(&authres, arena,
	              "mx.b\xc3\xbc"
	              "cher.example");
	is_text(authres_finish(&authres), "mx.xn--bcher-kva.example; none", "our name in A-labels");
	authres_begin(&authres, arena, "mx example");
	is_text(read_strictly(arena, authres_finish(&authres)), "mx example", "a name that is none is quoted");
	authres_begin(&authres, arena, "mx.example");
	authres_method(&authres, "spf", AUTH_FAIL, "bad (very)\\ \r\n\x01 thing", "because of that");
	authres_property(&authres, "smtp", "mailfrom", "a@b.example");
	authres_property(&authres, "smtp", "helo", "we\"ird\\ \r\nX-Evil: 1");
	authres_property(&authres, "header", "b", "abc/+=");
	is_text(authres_finish(&authres),
	        "mx.example;\n\tspf=fail (bad 'very'? ??? thing) reason=\"because of that\"\n\tsmtp.mailfrom=a@b.example "
	        "smtp.helo=\"we'ird? ??X-Evil: 1\"\n\theader.b=\"abc/+=\"",
	        "quoted, folded, and nothing breaks out");
}

/* UTF-8 in values is for internationalized messages alone (RFC 8601 2.2, RFC 6532). */
static void test_utf8(struct arena *arena)
{
	static const struct {
		const char *value, *ascii, *utf8;
	} rows[] = {
	    {"m\303\274ller@b.example", "\"m?\?ller@b.example\"", "m\303\274ller@b.example"},
	    {"\"m \303\274\"@b.example", "\"'m ?\?'@b.example\"", "\"'m \303\274'@b.example\""},
	    {"m\374@b.example", "\"m?@b.example\"", "\"m?@b.example\""},               /* Latin-1 */
	    {"m\302\205@b.example", "\"m?\?@b.example\"", "\"m?\?@b.example\""},       /* a line break of C1 */
	    {"m\303\274;x=y@b.example", "\"m?\?\?x=y@b.example\"", "\"m\303\274?x=y@b.example\""},
	    {"a@b.example", "a@b.example", "a@b.example"},
	};
	for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
		struct authres authres;
		authres_begin(&authres, arena, "mx");
		authres.utf8 = i % 2 == 1;
		authres_method(&authres, "spf", AUTH_PASS, "\303\274", NULL);
		authres_property(&authres, "smtp", "mailfrom", rows[i / 2].value);
		is_text(authres_finish(&authres),
		        arena_printf(arena, "mx;\n\tspf=pass (?\?) smtp.mailfrom=%s",
		                     i % 2 == 1 ? rows[i / 2].utf8 : rows[i / 2].ascii),
		        authres.utf8 ? "in an internationalized message" : "in any other");
	}
}

/* ---- Received-SPF ---- */

static bool is_dot_atom_byte(int c)
{
	return is_local_byte(c);
}

/* RFC 7208 9.1: result FWS [comment FWS] key-value-list */
static const char *read_spf_strictly(struct arena *arena, const char *value)
{
	struct reader reader = {.text = slice_from(value), .arena = arena};
	strbuf_init(&reader.shape, arena);
	if (!read_keyword(&reader) || !read_fws(&reader) ||
	    (peek(&reader) == '(' && (!read_comment(&reader) || !read_fws(&reader)))) {
		return "no result, or a bad comment";
	}
	for (bool more = true; more;) {
		strbuf_add_char(&reader.shape, '|');
		if (!read_keyword(&reader) || !take(&reader, '=')) {
			return "no key";
		}
		strbuf_add_char(&reader.shape, '=');
		if (peek(&reader) == '"' ? !read_quoted(&reader, &reader.shape)
		                         : !read_while(&reader, is_dot_atom_byte, &reader.shape)) {
			return "no value";
		}
		more = take(&reader, ';');
		if (more && !read_fws(&reader)) {
			return "no pair behind ;";
		}
	}
	return reader.at == reader.text.len ? reader.shape.data : "something behind the end";
}

static void test_received_spf(struct arena *arena)
{
	struct ip client;
	ip_parse("2001:db8::1", &client);
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		const char *evil = hostile[i];
		struct received_spf field = {AUTH_TEMPERROR, evil, &client, evil, evil, "mailfrom", "mx.example", evil, evil, i % 2 == 1};
		const char *text = received_spf_write(arena, &field);
		const char *shape = read_spf_strictly(arena, text);
		ok(strncmp(shape, "temperror|identity=mailfrom|client-ip=2001:db8::1|helo=", 55) == 0 &&
		       slice_ends_nocase(slice_from(shape), SLICE_LITERAL("|receiver=mx.example")),
		   "Received-SPF by its grammar: %s", text_escape(arena, slice_from(evil), "", false, 60));
		ok(lines_good(slice_from(text), strlen("Received-SPF")), "and its lines are good");
		ok(received_spf_claims(slice_from(text), "mx.example"), "and we know it again");
	}
	ip_parse("192.0.2.1", &client);
	struct received_spf plain = {AUTH_PASS,
	                             "mx.example: b.example permits 192.0.2.1",
	                             &client,
	                             "a@b.example",
	                             "h.example",
	                             "mailfrom",
	                             "mx.b\xc3\xbc"
	                             "cher.example",
	                             "ip4:192.0.2.0/24",
	                             NULL, false};
	is_text(
	    received_spf_write(arena, &plain),
	    "pass (mx.example: b.example permits 192.0.2.1)\n\tidentity=mailfrom; client-ip=192.0.2.1; helo=h.example;\n\t"
	    "envelope-from=\"a@b.example\"; mechanism=\"ip4:192.0.2.0/24\";\n\treceiver=mx.xn--bcher-kva.example",
	    "as a whole");
}

static void test_spf_claims(struct arena *arena)
{
	static const struct claim rows[] = {
	    OURS(" pass (x) client-ip=192.0.2.1; receiver=mx.example; identity=mailfrom"),
	    OURS(" pass receiver = MX.Example."),
	    OURS(" pass RECEIVER=\"mx.example\""),
	    OURS(" pass receiver\r\n =\r\n mx.example"),
	    OURS(" pass (mx.example: domain of a@b designates 192.0.2.1) client-ip=192.0.2.1"),
	    OURS(" pass ( MX.example : x)"),
	    OURS(" pass receiver=other.example; receiver=mx.example"),
	    THEIRS(" pass (google.com: domain of a@b designates 192.0.2.1) client-ip=192.0.2.1;"),
	    THEIRS(" pass (x) client-ip=192.0.2.1; receiver=other.example; helo=mx.example"),
	    THEIRS(" pass"),
	    THEIRS(""),
	    THEIRS(" pass receiver="),
	    THEIRS(" pass receiver"),
	    THEIRS(" pass xreceiver=mx.example"),
	    THEIRS(" pass ("),
	    THEIRS(" pass (:"),
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice value = heap(rows[i].value);
		ok(received_spf_claims(value, "mx.example") == rows[i].ours, "Received-SPF:%s %s ours",
		   text_escape(arena, value, "", false, 100), rows[i].ours ? "may be" : "is not");
		free((char *)(uintptr_t)value.data);
	}
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	test_claims(arena);
	test_writer(arena);
	test_utf8(arena);
	test_grammar(arena, false);
	test_grammar(arena, true);
	test_received_spf(arena);
	test_spf_claims(arena);
	arena_destroy(arena);
	return done_testing();
}
