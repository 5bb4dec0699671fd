#include "lib/mail/authres.h"

#include "lib/mail/domain.h"

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

/* domain-name of RFC 6376 3.5: labels of letters, digits and inner hyphens. */
static bool is_domain_name(struct slice text)
{
	struct slice label;
	while (slice_split(&text, '.', &label)) {
		for (size_t i = 0; i < label.len; i++) {
			bool inner = i > 0 && i + 1 < label.len;
			if (!ascii_is_alpha(label.data[i]) && !ascii_is_digit(label.data[i]) && !(inner && label.data[i] == '-')) {
				return false;
			}
		}
		if (label.len == 0) {
			return false;
		}
	}
	return true;
}

/* [ local-part ] "@" domain-name of RFC 8601 2.2 where the local part needs no quotes. */
static bool is_mailbox(const char *text, bool utf8)
{
	const char *at = strrchr(text, '@');
	return at != NULL && strlen(text) <= FIELD_VALUE_MAX &&
	       (at == text || field_is_dot_atom((struct slice){text, (size_t)(at - text)}, utf8)) &&
	       is_domain_name(slice_from(at + 1));
}

static const char *authres_value(struct arena *arena, const char *value, bool utf8)
{
	return field_is_token(value) || is_mailbox(value, utf8) ? value : field_quoted(arena, value, utf8);
}

/* In US-ASCII where it is a domain with U-labels: not every reader is one of RFC 6532. */
static const char *authres_id(struct arena *arena, const char *authserv_id)
{
	const char *domain = field_is_token(authserv_id) ? NULL : domain_canonical(arena, slice_from(authserv_id));
	return domain != NULL ? domain : authres_value(arena, authserv_id, false);
}

void authres_begin(struct authres *authres, struct arena *arena, const char *authserv_id)
{
	field_begin(&authres->field, arena, "Authentication-Results", authres_id(arena, authserv_id));
	authres->methods = 0;
	authres->utf8 = false;
}

void authres_method(struct authres *authres, const char *method, enum auth_result result, const char *comment,
                    const char *reason)
{
	struct arena *arena = authres->field.text.arena;
	strbuf_add_char(&authres->field.text, ';');
	field_line(&authres->field, arena_printf(arena, "%s=%s", method, auth_result_name(result)));
	authres->methods++;
	if (comment != NULL) {
		field_comment(&authres->field, comment);
	}
	if (reason != NULL) {
		field_word(&authres->field,
		           arena_printf(arena, "reason=%s",
		                        field_is_token(reason) ? reason : field_quoted(arena, reason, authres->utf8)));
	}
}

void authres_property(struct authres *authres, const char *ptype, const char *property, const char *value)
{
	struct arena *arena = authres->field.text.arena;
	field_word(&authres->field,
	           arena_printf(arena, "%s.%s=%s", ptype, property, authres_value(arena, value, authres->utf8)));
}

const char *authres_finish(struct authres *authres)
{
	if (authres->methods == 0) {
		strbuf_add_text(&authres->field.text, "; none");
	}
	return authres->field.text.data;
}

/* ---- the reader ---- */

enum { ID_MAX = 1024, EARLY_PIECES = 8 };

/* What is part of no identifier, however it is spelt: blanks, controls, quotes, all that lenient readers cut at or pass
 * over, bytes that are no UTF-8, and the white, invisible and punctuating characters of Unicode. Its length at the
 * front of text (not empty); 0: a character of an identifier. */
static size_t separator(struct slice text)
{
	unsigned char c = (unsigned char)text.data[0];
	if (c < 0x80) {
		return c <= ' ' || c == 127 || strchr("\"\\)<>[]/,:", c) != NULL;
	}
	size_t n = text_utf8_length(text);
	const unsigned char *p = (const unsigned char *)text.data;
	if (n == 0) {
		return 1;
	}
	bool no_break_space = n == 2 && p[0] == 0xc2 && p[1] == 0xa0;
	bool punctuation = n == 3 && p[0] == 0xe2 && (p[1] == 0x80 || p[1] == 0x81); /* U+2000 to U+207F */
	bool ideographic_space = n == 3 && p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x80;
	bool ogham_space = n == 3 && p[0] == 0xe1 && p[1] == 0x9a && p[2] == 0x80;
	bool byte_order_mark = n == 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf;
	return no_break_space || punctuation || ideographic_space || ogham_space || byte_order_mark ? n : 0;
}

/* Index behind separators and comments (RFC 5322 3.2.2); a comment that is not closed swallows the rest. */
static size_t skip_separators(struct slice text, size_t at)
{
	unsigned depth = 0;
	while (at < text.len) {
		char c = text.data[at];
		size_t n = depth > 0 ? 1 : separator((struct slice){text.data + at, text.len - at});
		if (c == '(') {
			depth++;
			n = 1;
		} else if (depth > 0 && c == ')') {
			depth--;
		} else if (depth > 0 && c == '\\') {
			n = 2;
		} else if (n == 0) {
			break;
		}
		at += n;
	}
	return at < text.len ? at : text.len;
}

/* Are the bytes gathered so far our identifier? Trailing dots do not count. plain: they are US-ASCII. */
static bool is_ours(struct arena *arena, struct slice id, bool plain, const char *ours)
{
	while (id.len > 0 && id.data[id.len - 1] == '.') {
		id.len--;
	}
	if (plain) {
		return slice_equal_nocase(id, slice_from(ours));
	}
	const char *domain = domain_canonical(arena, id);
	return domain != NULL && slice_equal_nocase(slice_from(domain), slice_from(ours));
}

/* Our identifier as it is compared: A-labels where it is a domain, no trailing dots. */
static const char *comparable(struct arena *arena, const char *authserv_id)
{
	struct slice id = slice_from(authserv_id);
	while (id.len > 0 && id.data[id.len - 1] == '.') {
		id.len--;
	}
	const char *domain = domain_canonical(arena, id);
	return domain != NULL ? domain : slice_dup(arena, id);
}

/* Gathers one piece of the identifier: up to a separator, a comment, ";" or "=". False when there is no room. */
static bool take_piece(struct slice value, size_t *at, char id[ID_MAX], size_t *len)
{
	while (*at < value.len && strchr(";=(", value.data[*at]) == NULL) {
		struct slice rest = {value.data + *at, value.len - *at};
		size_t n = (unsigned char)rest.data[0] < 0x80 ? 1 : text_utf8_length(rest);
		if (separator(rest) > 0) {
			break;
		}
		if (n > ID_MAX - *len) {
			return false;
		}
		memcpy(id + *len, rest.data, n);
		*len += n;
		*at += n;
	}
	return true;
}

/* The identifier ends at ";"; "=" says that there was none, and a result stands in its place. The pieces between
 * separators are put together one by one: whatever a reader takes for the end, the name in front of it is compared.
 * U-labels cost more than a comparison: they are looked at for the first pieces, and for all of them. */
static bool value_claims(struct arena *arena, struct slice value, const char *ours)
{
	char bytes[ID_MAX];
	struct slice id = {bytes, 0};
	size_t pieces = 0;
	bool plain = true;
	for (size_t at = skip_separators(value, 0); at < value.len && value.data[at] != ';';) {
		size_t before = id.len;
		bool room = take_piece(value, &at, bytes, &id.len);
		plain = plain && slice_is_ascii((struct slice){bytes + before, id.len - before});
		if (!room) {
			return !plain; /* of plain bytes every prefix was looked at */
		}
		pieces++;
		if ((pieces <= EARLY_PIECES || plain) && is_ours(arena, id, plain, ours)) {
			return true;
		}
		at = skip_separators(value, at);
		if (at < value.len && value.data[at] == '=') {
			return pieces == 1;
		}
	}
	return id.len == 0 || is_ours(arena, id, plain, ours);
}

bool authres_claims(struct slice value, const char *authserv_id)
{
	struct arena *arena = arena_create(ID_MAX);
	bool claims = value_claims(arena, value, comparable(arena, authserv_id));
	arena_destroy(arena);
	return claims;
}
