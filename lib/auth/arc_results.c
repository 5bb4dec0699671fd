#include "lib/auth/arc_results.h"

#include "lib/mail/domain.h"

/* Where the reader stands in a payload. */
struct reader {
	struct arena *arena;
	struct slice text;
	size_t at;
	bool bad;
};

static int peek(const struct reader *reader)
{
	return reader->at < reader->text.len ? (unsigned char)reader->text.data[reader->at] : -1;
}

/* Comments (nested, with quoted pairs) and folding white space. */
static void skip(struct reader *reader)
{
	unsigned depth = 0;
	for (; reader->at < reader->text.len; reader->at++) {
		char c = reader->text.data[reader->at];
		if (c == '(') {
			depth++;
		} else if (c == ')' && depth > 0) {
			depth--;
		} else if (c == '\\' && depth > 0) {
			reader->at++;
		} else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
			break;
		}
	}
	if (depth > 0) {
		reader->bad = true;
	}
	if (reader->at > reader->text.len) {
		reader->at = reader->text.len;
	}
}

static bool take(struct reader *reader, char c)
{
	skip(reader);
	if (peek(reader) != c) {
		return false;
	}
	reader->at++;
	return true;
}

/* The letters of method, result, ptype and property (RFC 8601 2.2: Keyword, and "_" as it is met). */
static struct slice keyword(struct reader *reader)
{
	skip(reader);
	size_t from = reader->at;
	for (int c = peek(reader); c != -1; c = peek(reader)) {
		if (!ascii_is_alpha((char)c) && !ascii_is_digit((char)c) && c != '-' && c != '_') {
			break;
		}
		reader->at++;
	}
	reader->bad = reader->bad || reader->at == from;
	return (struct slice){reader->text.data + from, reader->at - from};
}

static struct slice quoted(struct reader *reader)
{
	struct strbuf out;
	strbuf_init(&out, reader->arena);
	reader->at++;
	for (int c = peek(reader); c != '"'; c = peek(reader)) {
		if (c == '\\') {
			reader->at++;
			c = peek(reader);
		}
		if (c == -1) {
			reader->bad = true;
			return (struct slice){"", 0};
		}
		strbuf_add_char(&out, (char)c);
		reader->at++;
	}
	reader->at++;
	return (struct slice){out.data, out.len};
}

/* pvalue, reason or authserv-id: a quoted string, or what stands up to white space, ";", "(". */
static struct slice value(struct reader *reader)
{
	skip(reader);
	struct slice text = peek(reader) == '"' ? quoted(reader) : SLICE_LITERAL("");
	if (text.data[0] != '\0' && peek(reader) != '@') {
		return text;
	}
	size_t from = reader->at; /* of an address with a quoted local part the domain is enough */
	for (int c = peek(reader); c > ' ' && c != ';' && c != '(' && c != '"' && c != 127; c = peek(reader)) {
		reader->at++;
	}
	reader->bad = reader->bad || reader->at == from;
	return (struct slice){reader->text.data + from, reader->at - from};
}

static bool result_parse(struct slice word, enum auth_result *result_r)
{
	for (enum auth_result result = AUTH_NONE; result <= AUTH_PERMERROR; result++) {
		if (slice_equal_nocase(word, slice_from(auth_result_name(result)))) {
			*result_r = result;
			return true;
		}
	}
	return false;
}

static bool method_parse(struct slice word, enum arc_method *method_r)
{
	static const char *const methods[] = {
	    [ARC_METHOD_DMARC] = "dmarc", [ARC_METHOD_SPF] = "spf", [ARC_METHOD_DKIM] = "dkim"};
	for (enum arc_method method = ARC_METHOD_DMARC; method <= ARC_METHOD_DKIM; method++) {
		if (slice_equal_nocase(word, slice_from(methods[method]))) {
			*method_r = method;
			return true;
		}
	}
	return false;
}

/* How well a property says which domain the method's result is about; 0: not at all. Of a signature d= does, and i=
 * where there is no d=. */
static int names_domain(enum arc_method method, struct slice ptype, struct slice property)
{
	static const struct {
		enum arc_method method;
		const char *ptype, *property;
		int rank;
	} rows[] = {
	    {ARC_METHOD_DMARC, "header", "from", 2}, {ARC_METHOD_SPF, "smtp", "mailfrom", 2},
	    {ARC_METHOD_SPF, "smtp", "mfrom", 2},    {ARC_METHOD_DKIM, "header", "d", 2},
	    {ARC_METHOD_DKIM, "header", "i", 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].method == method && slice_equal_nocase(ptype, slice_from(rows[i].ptype)) &&
		    slice_equal_nocase(property, slice_from(rows[i].property))) {
			return rows[i].rank;
		}
	}
	return 0;
}

/* The domain of an address, or the domain itself. NULL: there is none. */
static const char *domain_of(struct arena *arena, struct slice text)
{
	const char *at = memrchr(text.data, '@', text.len);
	size_t from = at == NULL ? 0 : (size_t)(at - text.data) + 1;
	return domain_canonical(arena, (struct slice){text.data + from, text.len - from});
}

static bool is_version(struct slice text)
{
	unsigned long long version;
	return slice_to_uint(text, 999, &version);
}

/* The propspecs of one result. NULL: none names the domain, or two that say it as well do not agree. */
static const char *read_domain(struct reader *reader, bool known, enum arc_method method)
{
	const char *domain = NULL;
	bool clash = false;
	int best = 1;
	for (skip(reader); peek(reader) != ';' && peek(reader) != -1 && !reader->bad; skip(reader)) {
		struct slice ptype = keyword(reader);
		struct slice property = {"", 0};
		if (take(reader, '.')) {
			property = keyword(reader);
		} /* else reason=, or what is not in the grammar but stands there: action= of Microsoft's */
		reader->bad = reader->bad || !take(reader, '=');
		struct slice text = reader->bad ? property : value(reader);
		int rank = reader->bad || !known ? 0 : names_domain(method, ptype, property);
		if (rank < best) {
			continue;
		}
		const char *named = domain_of(reader->arena, text);
		bool better = rank > best;
		best = rank;
		clash = (clash && !better) || named == NULL || (domain != NULL && !better && strcmp(domain, named) != 0);
		domain = named;
	}
	return clash ? NULL : domain;
}

/* One resinfo behind its ";". False: nothing of use in it. */
static bool read_result(struct reader *reader, struct arc_result *result_r)
{
	struct slice name = keyword(reader);
	if (take(reader, '/')) {
		reader->bad = reader->bad || !is_version(keyword(reader));
	}
	skip(reader);
	if (slice_equal_nocase(name, SLICE_LITERAL("none")) && (peek(reader) == ';' || peek(reader) == -1)) {
		return false;
	}
	reader->bad = reader->bad || !take(reader, '=');
	struct slice word = reader->bad ? name : keyword(reader);
	bool known = method_parse(name, &result_r->method);
	result_r->domain = read_domain(reader, known, result_r->method);
	return known && result_r->domain != NULL && result_parse(word, &result_r->result);
}

size_t arc_results_read(struct arena *arena, struct slice payload, size_t max, struct arc_result *results_r)
{
	struct reader reader = {.arena = arena, .text = payload};
	struct arc_result result = {.method = ARC_METHOD_DMARC};
	size_t count = 0;
	value(&reader); /* authserv-id */
	skip(&reader);
	if (!reader.bad && peek(&reader) != ';' && peek(&reader) != -1) {
		reader.bad = !is_version(keyword(&reader));
	}
	while (!reader.bad && take(&reader, ';')) {
		skip(&reader);
		if (peek(&reader) == -1) {
			break; /* a last ";" */
		}
		if (read_result(&reader, &result)) {
			reader.bad = reader.bad || count == max;
			results_r[count < max ? count++ : 0] = result;
		}
	}
	skip(&reader);
	return reader.bad || peek(&reader) != -1 ? 0 : count;
}
