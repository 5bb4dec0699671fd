#include "lib/mail/authres.h"

enum { LINE_WIDTH = 76, COMMENT_MAX = 200 };

const char *auth_result_name(enum auth_result result)
{
	switch (result) {
	case AUTH_NONE:
		return "none";
	case AUTH_PASS:
		return "pass";
	case AUTH_FAIL:
		return "fail";
	case AUTH_SOFTFAIL:
		return "softfail";
	case AUTH_NEUTRAL:
		return "neutral";
	case AUTH_POLICY:
		return "policy";
	case AUTH_TEMPERROR:
		return "temperror";
	case AUTH_PERMERROR:
		return "permerror";
	}
	return NULL;
}

void authres_begin(struct authres *authres, struct arena *arena, const char *authserv_id)
{
	strbuf_init(&authres->text, arena);
	strbuf_add_text(&authres->text, authserv_id);
	authres->methods = 0;
	authres->line = sizeof "Authentication-Results: " + authres->text.len;
	authres->utf8 = false;
}

/* One word with a blank, or a fold where the line would be too long, in front. */
static void authres_word(struct authres *authres, const char *word)
{
	size_t n = strlen(word);
	if (authres->line + 1 + n > LINE_WIDTH) {
		strbuf_add_text(&authres->text, "\n\t");
		authres->line = 8;
	} else {
		strbuf_add_char(&authres->text, ' ');
		authres->line++;
	}
	strbuf_add_text(&authres->text, word);
	authres->line += n;
}

/* A comment is for people: printable ASCII without parentheses and backslashes. */
static void authres_comment(struct authres *authres, const char *comment)
{
	size_t max = strnlen(comment, COMMENT_MAX);
	char *text = arena_memdup(authres->text.arena, comment, max);
	for (char *c = text; *c != '\0'; c++) {
		if (*c == '(' || *c == ')' || *c == '\\' || (unsigned char)*c < ' ' || (unsigned char)*c >= 127) {
			*c = *c == '(' || *c == ')' ? '\'' : '?';
		}
	}
	struct slice rest = slice_from(arena_printf(authres->text.arena, "(%s)", text));
	struct slice word;
	while (slice_split(&rest, ' ', &word)) {
		authres_word(authres, slice_dup(authres->text.arena, word));
	}
}

/* token of RFC 2045 5.1: no blanks, controls, specials. */
static bool is_token(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127 || strchr("()<>@,;:\\\"/[]?=", *c) != NULL) {
			return false;
		}
	}
	return text[0] != '\0';
}

/* [ local-part ] "@" domain-name of RFC 8601 2.2 where both are free of what needs quotes; UTF-8 in the local part as
 * in RFC 6532 3.2. */
static bool is_mailbox(const char *text, bool utf8)
{
	const char *at = strrchr(text, '@');
	if (at == NULL || !is_token(at + 1)) {
		return false;
	}
	for (const char *c = text; c < at; c++) {
		unsigned char byte = (unsigned char)*c;
		if (byte <= ' ' || byte == 127 || (byte > 127 && !utf8) || strchr("()<>@,;:\\\"[]", *c) != NULL) {
			return false;
		}
	}
	return true;
}

/* The value as it stands, or as a quoted string. */
static const char *authres_value(const struct authres *authres, const char *value)
{
	struct arena *arena = authres->text.arena;
	bool utf8 = authres->utf8 && slice_is_utf8(slice_from(value));
	if (is_token(value) || is_mailbox(value, utf8)) {
		return value;
	}
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_add_char(&out, '"');
	for (const char *c = value; *c != '\0'; c++) {
		unsigned char byte = (unsigned char)*c;
		if (byte >= ' ' && (byte < 127 || (byte > 127 && utf8))) {
			if (*c == '"' || *c == '\\') {
				strbuf_add_char(&out, '\\');
			}
			strbuf_add_char(&out, *c);
		}
	}
	strbuf_add_char(&out, '"');
	return out.data;
}

void authres_method(struct authres *authres, const char *method, enum auth_result result, const char *comment,
                    const char *reason)
{
	struct arena *arena = authres->text.arena;
	strbuf_add_text(&authres->text, ";\n\t");
	authres->line = 8;
	const char *word = arena_printf(arena, "%s=%s", method, auth_result_name(result));
	strbuf_add_text(&authres->text, word);
	authres->line += strlen(word);
	authres->methods++;
	if (comment != NULL) {
		authres_comment(authres, comment);
	}
	if (reason != NULL) {
		authres_word(authres, arena_printf(arena, "reason=%s", authres_value(authres, reason)));
	}
}

void authres_property(struct authres *authres, const char *ptype, const char *property, const char *value)
{
	struct arena *arena = authres->text.arena;
	authres_word(authres, arena_printf(arena, "%s.%s=%s", ptype, property, authres_value(authres, value)));
}

const char *authres_finish(struct authres *authres)
{
	if (authres->methods == 0) {
		strbuf_add_text(&authres->text, "; none");
	}
	return authres->text.data;
}

/* Index behind white space and comments; a comment that is not closed swallows the rest. */
static size_t skip_cfws(struct slice text, size_t at)
{
	unsigned depth = 0;
	for (; at < text.len; at++) {
		char c = text.data[at];
		if (c == '(') {
			depth++;
		} else if (depth > 0 && c == ')') {
			depth--;
		} else if (depth > 0 && c == '\\') {
			at++;
		} else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\0') {
			break;
		}
	}
	return at < text.len ? at : text.len;
}

/* The identifier at `at`, without its quotes; quoted pairs are not undone: no name needs one. */
static struct slice claimed_id(struct slice value, size_t at)
{
	size_t end = at;
	if (at < value.len && value.data[at] == '"') {
		end = slice_find(value, '"', at + 1);
		return slice_trim((struct slice){value.data + at + 1, end - at - 1});
	}
	while (end < value.len && (unsigned char)value.data[end] > ' ' && strchr(";(\"", value.data[end]) == NULL) {
		end++;
	}
	return (struct slice){value.data + at, end - at};
}

bool authres_claims(struct slice value, const char *authserv_id)
{
	struct slice ours = slice_from(authserv_id);
	size_t at = skip_cfws(value, 0);
	if (at == value.len) {
		return true; /* nothing but comments: no reader can say whose it is */
	}
	struct slice id = claimed_id(value, at);
	/* "id/1" and "id=..." are read as ours by lenient readers. */
	for (size_t i = 0; i < id.len; i++) {
		if (id.data[i] == '/' || id.data[i] == '=' || id.data[i] == ',') {
			id.len = i;
		}
	}
	while (id.len > 0 && id.data[id.len - 1] == '.') {
		id.len--;
	}
	while (ours.len > 0 && ours.data[ours.len - 1] == '.') {
		ours.len--;
	}
	return id.len == 0 || slice_equal_nocase(id, ours);
}
