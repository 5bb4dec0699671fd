#include "lib/mail/address.h"

#include "lib/mail/domain.h"
#include "lib/mail/header.h"

enum { COMMENT_DEPTH_MAX = 32, ADDRESS_MAX = 1024, LIST_MAX = 65536 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The end of the quoted string or domain literal that opens at `at`: index behind `close`, or 0 when it is not closed. */
static size_t skip_quoted(struct slice text, size_t at, char close)
{
	for (size_t i = at + 1; i < text.len; i++) {
		if (text.data[i] == '\\') {
			i++;
		} else if (text.data[i] == close) {
			return i + 1;
		}
	}
	return 0;
}

/* The end of the comment that opens at `at` (RFC 5322 3.2.2, nested), or 0. */
static size_t skip_comment(struct slice text, size_t at)
{
	unsigned depth = 0;
	for (size_t i = at; i < text.len; i++) {
		char c = text.data[i];
		if (c == '\\') {
			i++;
		} else if (c == '(' && ++depth > COMMENT_DEPTH_MAX) {
			return 0;
		} else if (c == ')' && --depth == 0) {
			return i + 1;
		}
	}
	return 0;
}

/* Comments become one blank, folds go, quoted strings and literals stay. False when something is not closed or a
 * control byte stands there. */
static bool clean(struct arena *arena, struct slice value, struct slice *out_r)
{
	char *out = arena_alloc(arena, value.len + 1);
	size_t n = 0;
	bool good = true;
	for (size_t i = 0; i < value.len;) {
		char c = value.data[i];
		size_t end = c == '"' ? skip_quoted(value, i, '"') : c == '[' ? skip_quoted(value, i, ']') : 0;
		if (c == '(') {
			end = skip_comment(value, i);
			out[n++] = ' ';
			if (end == 0) {
				good = false;
				break;
			}
			i = end;
			continue;
		}
		if ((c == '"' || c == '[') && end == 0) {
			good = false;
			break;
		}
		if (end == 0) {
			end = i + 1;
		}
		for (; i < end; i++) {
			unsigned char byte = (unsigned char)value.data[i];
			good = good && (byte >= ' ' || is_space(value.data[i])) && byte != 127;
			if (value.data[i] != '\r' && value.data[i] != '\n') {
				out[n++] = value.data[i];
			}
		}
	}
	*out_r = (struct slice){out, n};
	return good;
}

/* Index of the first of `stops` at or after `from` that stands outside of quotes, literals and (unless '>' is among
 * the stops) angle brackets; text.len when there is none. */
static size_t find_outside(struct slice text, const char *stops, size_t from)
{
	for (size_t i = from; i < text.len;) {
		char c = text.data[i];
		if (c != '\0' && strchr(stops, c) != NULL) {
			return i;
		}
		size_t end = c == '"' ? skip_quoted(text, i, '"') : c == '[' ? skip_quoted(text, i, ']') : i + 1;
		if (c == '<' && strchr(stops, '>') == NULL) {
			end = find_outside(text, ">", i + 1) + 1;
		}
		i = end > i ? end : i + 1;
	}
	return text.len;
}

static bool is_atext(char c)
{
	return (unsigned char)c >= 0x80 || ascii_is_alpha(c) || ascii_is_digit(c) ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* A dot-atom (leniently: dots anywhere, as old senders write them) or one quoted string. */
static bool local_valid(struct slice local)
{
	if (local.len > 0 && local.data[0] == '"') {
		return skip_quoted(local, 0, '"') == local.len;
	}
	for (size_t i = 0; i < local.len; i++) {
		if (!is_atext(local.data[i]) && local.data[i] != '.') {
			return false;
		}
	}
	return local.len > 0;
}

/* Blanks around '@' and '.' are obsolete syntax (RFC 5322 4.4) and dropped; anywhere else they are no address. */
static struct slice drop_blanks(struct arena *arena, struct slice text, bool *good_r)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	text = slice_trim(text);
	for (size_t i = 0; i < text.len;) {
		size_t end = text.data[i] == '"' ? skip_quoted(text, i, '"') : text.data[i] == '[' ? skip_quoted(text, i, ']') : 0;
		if (end == 0 && is_space(text.data[i])) {
			size_t next = i;
			while (next < text.len && is_space(text.data[next])) {
				next++;
			}
			char before = out[n - 1];
			char after = text.data[next];
			*good_r = *good_r && (before == '@' || before == '.' || after == '@' || after == '.');
			i = next;
			continue;
		}
		for (end = end == 0 ? i + 1 : end; i < end; i++) {
			out[n++] = text.data[i];
		}
	}
	return (struct slice){out, n};
}

/* local@domain without comments. */
static bool parse_spec(struct arena *arena, struct slice text, struct address *address_r)
{
	bool good = true;
	struct slice spec = drop_blanks(arena, text, &good);
	size_t at = find_outside(spec, "@", 0);
	if (!good || spec.len > ADDRESS_MAX || at >= spec.len) {
		return false;
	}
	struct slice local = {spec.data, at};
	struct slice domain = {spec.data + at + 1, spec.len - at - 1};
	bool literal = domain.len > 0 && domain.data[0] == '[';
	if (!local_valid(local) || find_outside(domain, "@", 0) < domain.len ||
	    (literal && skip_quoted(domain, 0, ']') != domain.len)) {
		return false;
	}
	const char *canonical = literal ? "" : domain_canonical(arena, domain);
	if (canonical == NULL) {
		return false;
	}
	*address_r = (struct address){.text = slice_dup(arena, spec), .local = slice_dup(arena, local), .domain = canonical};
	return true;
}

/* Behind an obsolete source route, "@a,@b:" (RFC 5322 4.4, RFC 5321 4.1.2). */
static struct slice skip_route(struct slice text)
{
	text = slice_trim(text);
	if (text.len > 0 && text.data[0] == '@') {
		size_t colon = find_outside(text, ":", 0);
		if (colon < text.len) {
			return (struct slice){text.data + colon + 1, text.len - colon - 1};
		}
	}
	return text;
}

bool address_parse_path(struct arena *arena, const char *path, struct address *address_r)
{
	*address_r = (struct address){"", "", ""};
	struct slice text = slice_trim(slice_from(path));
	if (text.len == 0 || text.len > 2 * ADDRESS_MAX) {
		return text.len == 0;
	}
	if (text.data[0] == '<') {
		size_t end = find_outside(text, ">", 1);
		if (end >= text.len) {
			return false;
		}
		text = (struct slice){text.data + 1, end - 1};
	}
	text = skip_route(text);
	if (text.len == 0) {
		return true;
	}
	if (parse_spec(arena, text, address_r)) {
		return true;
	}
	/* Not an address we could reply to, but the envelope is what it is: a bare "postmaster", a domain that is none. */
	size_t at = find_outside(text, "@", 0);
	address_r->text = slice_dup(arena, text);
	address_r->local = slice_dup(arena, (struct slice){text.data, at});
	return at < text.len || local_valid(text);
}

static void list_add(struct arena *arena, struct slice spec, struct address_list *list)
{
	struct address address;
	if (!parse_spec(arena, skip_route(spec), &address)) {
		list->malformed = true;
	} else if (list->count == ADDRESS_MAX_MAILBOXES) {
		list->truncated = true;
	} else {
		list->items[list->count++] = address;
	}
}

/* One element of a list: "name <spec>" or "spec". */
static void parse_mailbox(struct arena *arena, struct slice text, struct address_list *list)
{
	text = slice_trim(text);
	if (text.len == 0) {
		return; /* RFC 5322 4.4: empty elements are allowed */
	}
	size_t open = find_outside(text, "<>", 0);
	if (open == text.len) {
		list_add(arena, text, list);
		return;
	}
	size_t close = text.data[open] == '<' ? find_outside(text, "<>", open + 1) : text.len;
	if (close >= text.len || text.data[close] != '>') {
		list->malformed = true;
		return;
	}
	struct slice name = {text.data, open};
	struct slice rest = slice_trim((struct slice){text.data + close + 1, text.len - close - 1});
	if (find_outside(name, "@", 0) < name.len || rest.len > 0) {
		list->malformed = true; /* a reader that takes the name or the rest for the address sees another author */
	}
	list_add(arena, (struct slice){text.data + open + 1, close - open - 1}, list);
}

void address_parse_list(struct arena *arena, struct slice value, struct address_list *list_r)
{
	struct slice text;
	bool group = false;
	list_r->count = 0;
	list_r->truncated = false;
	list_r->malformed = value.len > LIST_MAX;
	if (value.len > LIST_MAX) {
		return;
	}
	list_r->malformed = !clean(arena, value, &text);
	for (size_t from = 0; from <= text.len;) {
		size_t end = find_outside(text, ",;:", from);
		struct slice piece = {text.data + from, end - from};
		char stop = end < text.len ? text.data[end] : ',';
		if (stop == ':') {
			/* The name of a group (RFC 5322 3.4, RFC 6854): not an address; groups do not nest. */
			list_r->malformed = list_r->malformed || group || find_outside(piece, "@<", 0) < piece.len;
			group = true;
		} else {
			list_r->malformed = list_r->malformed || (stop == ';' && !group);
			parse_mailbox(arena, piece, list_r);
			group = group && stop != ';';
		}
		from = end + 1;
	}
	list_r->malformed = list_r->malformed || group;
}

/* "@" and the beginning of a name behind it, wherever it stands. */
static bool shows_address(struct slice value)
{
	for (size_t at = slice_find(value, '@', 0); at < value.len; at = slice_find(value, '@', at + 1)) {
		size_t next = at + 1;
		while (next < value.len && (is_space(value.data[next]) || value.data[next] == '\0')) {
			next++;
		}
		char c = next < value.len ? value.data[next] : ' ';
		if (ascii_is_alpha(c) || ascii_is_digit(c) || (unsigned char)c >= 0x80 || c == '(' || c == '"') {
			return true;
		}
	}
	return false;
}

static enum author_status author_judge(const struct address_list *list, struct slice value)
{
	if (list->malformed || list->truncated) {
		return shows_address(value) ? AUTHOR_MALFORMED : AUTHOR_NO_DOMAIN;
	}
	if (list->count == 0) {
		return AUTHOR_EMPTY;
	}
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].domain[0] == '\0') {
			return list->count > 1 ? AUTHOR_MALFORMED : AUTHOR_NO_DOMAIN;
		}
		if (strcmp(list->items[i].domain, list->items[0].domain) != 0) {
			return AUTHOR_MANY_DOMAINS;
		}
	}
	return AUTHOR_OK;
}

void author_find(struct arena *arena, const struct headers *headers, struct author *author_r)
{
	size_t count = headers_count(headers, "From");
	*author_r = (struct author){.status = count == 0 ? AUTHOR_NO_FROM : AUTHOR_MANY_FROM, .address = {"", "", ""}};
	if (count != 1) {
		return;
	}
	struct address_list *list = arena_alloc(arena, sizeof *list);
	struct slice value = headers_find(headers, "From", 0)->value;
	address_parse_list(arena, value, list);
	author_r->status = author_judge(list, value);
	if (list->count > 0) {
		author_r->address = list->items[0];
	}
}

const char *author_status_text(enum author_status status)
{
	switch (status) {
	case AUTHOR_OK:
		return "one author domain";
	case AUTHOR_NO_FROM:
		return "no From field";
	case AUTHOR_MANY_FROM:
		return "more than one From field";
	case AUTHOR_EMPTY:
		return "a From field without an address";
	case AUTHOR_NO_DOMAIN:
		return "a From field without a domain";
	case AUTHOR_MALFORMED:
		return "a From field that cannot be read";
	case AUTHOR_MANY_DOMAINS:
		return "authors of different domains";
	}
	return NULL;
}
