#include "lib/mail/received.h"

#include "lib/mail/header.h"

enum { ADDRESS_TEXT = 64, WORDS_MAX = 8 };

/* ---- tokens: words and comments up to the semicolon ---- */

enum token_kind { TOKEN_WORD, TOKEN_COMMENT, TOKEN_END, TOKEN_BROKEN };

struct scanner {
	struct slice rest;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void scanner_skip(struct scanner *scanner, size_t n)
{
	scanner->rest.data += n;
	scanner->rest.len -= n;
}

/* Position behind the bracket that closes the one at the front, or 0. */
static size_t comment_length(struct slice text)
{
	size_t depth = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\\') {
			i++;
		} else if (text.data[i] == '(') {
			depth++;
		} else if (text.data[i] == ')' && --depth == 0) {
			return i + 1;
		}
	}
	return 0;
}

/* A quoted string is part of a word; 0 where it has no end. */
static size_t word_length(struct slice text)
{
	bool quoted = false;
	size_t i = 0;
	for (; i < text.len; i++) {
		char c = text.data[i];
		if (c == '"') {
			quoted = !quoted;
		} else if (quoted && c == '\\') {
			i++;
		} else if (!quoted && (is_blank(c) || c == '(' || c == ';')) {
			break;
		}
	}
	return quoted || i > text.len ? 0 : i;
}

static enum token_kind scanner_next(struct scanner *scanner, struct slice *text_r)
{
	while (scanner->rest.len > 0 && is_blank(scanner->rest.data[0])) {
		scanner_skip(scanner, 1);
	}
	if (scanner->rest.len == 0 || scanner->rest.data[0] == ';') {
		return TOKEN_END;
	}
	bool comment = scanner->rest.data[0] == '(';
	size_t n = comment ? comment_length(scanner->rest) : word_length(scanner->rest);
	if (n == 0) {
		return TOKEN_BROKEN;
	}
	*text_r = comment ? (struct slice){scanner->rest.data + 1, n - 2} : (struct slice){scanner->rest.data, n};
	scanner_skip(scanner, n);
	return comment ? TOKEN_COMMENT : TOKEN_WORD;
}

/* ---- addresses and names ---- */

/* "192.0.2.1", "192.0.2.1:25", "IPv6:2001:db8::1", "fe80::1%4" */
static bool address_read(struct slice text, struct ip *address_r)
{
	char copy[ADDRESS_TEXT];
	if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, '\0', text.len) != NULL) {
		return false;
	}
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	char *scope = strchr(copy, '%');
	if (scope != NULL) {
		*scope = '\0';
	}
	if (ip_parse(copy, address_r)) {
		return true;
	}
	char *colon = strchr(copy, ':');
	if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
		return false;
	}
	*colon = '\0';
	return ip_parse(copy, address_r) && address_r->family == IP_V4;
}

/* "[192.0.2.1]", with a port behind the bracket or inside: the whole of the text. */
static bool literal_read(struct slice text, struct ip *address_r)
{
	if (text.len < 2 || text.data[0] != '[') {
		return false;
	}
	size_t end = slice_find(text, ']', 1);
	if (end == text.len || !address_read((struct slice){text.data + 1, end - 1}, address_r)) {
		return false;
	}
	struct slice port = {text.data + end + 1, text.len - end - 1};
	unsigned long long number;
	return port.len == 0 ||
	       (port.data[0] == ':' && slice_to_uint((struct slice){port.data + 1, port.len - 1}, 65535, &number));
}

static bool is_word(struct slice text, const char *word)
{
	return slice_equal_nocase(text, slice_from(word));
}

/* A host's name that somebody has looked up, or "". */
static const char *name_read(struct arena *arena, struct slice text)
{
	struct ip address;
	if (text.len > 0 && text.data[text.len - 1] == '.') {
		text.len--;
	}
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '.' && c != '_') {
			return "";
		}
	}
	bool none = is_word(text, "unknown") || is_word(text, "unverified") || address_read(text, &address);
	return none ? "" : slice_dup(arena, text);
}

/* ---- what stands between "from" and "by" ---- */

struct from {
	struct arena *arena;
	struct slice host, second; /* the first words */
	struct slice helo;         /* of "(HELO name)" and "helo=name" */
	const char *name;          /* of a comment with an address */
	struct ip address;
	bool named;     /* a comment tells HELO: then the first word is the name */
	bool ambiguous; /* two addresses */
};

static void from_address(struct from *from, const struct ip *address)
{
	from->ambiguous = from->ambiguous || (from->address.family != IP_UNKNOWN && !ip_equal(&from->address, address));
	from->address = *address;
}

/* Behind the last sign of a user's name: "ident@host". */
static struct slice without_user(struct slice text)
{
	size_t from = 0;
	for (size_t at = slice_find(text, '@', 0); at < text.len; at = slice_find(text, '@', at + 1)) {
		from = at + 1;
	}
	return (struct slice){text.data + from, text.len - from};
}

static size_t comment_words(struct slice text, struct slice *words)
{
	struct slice rest = text;
	size_t n = 0;
	while (rest.len > 0 && n < WORDS_MAX) {
		size_t i = 0;
		while (i < rest.len && !is_blank(rest.data[i])) {
			i++;
		}
		if (i > 0) {
			words[n++] = (struct slice){rest.data, i};
		}
		i += i < rest.len;
		rest = (struct slice){rest.data + i, rest.len - i};
	}
	return n;
}

static void from_helo(struct from *from, struct slice helo)
{
	from->helo = helo;
	from->named = true;
}

/* "name[192.0.2.1]" */
static bool joined_read(struct slice word, struct slice *name_r, struct ip *address_r)
{
	size_t open = slice_find(word, '[', 0);
	*name_r = (struct slice){word.data, open};
	return open > 0 && open < word.len && literal_read((struct slice){word.data + open, word.len - open}, address_r);
}

/* The address is the first word, or the second behind a name: "name [192.0.2.1]", "ident@[192.0.2.1]", "192.0.2.1",
 * "[192.0.2.1] helo=x". A third address anywhere makes it ambiguous. */
static void from_comment_address(struct from *from, const struct slice *words, size_t n, bool vouched)
{
	struct ip address;
	struct slice host = without_user(words[0]);
	struct slice name = {.len = 0};
	size_t used = 1;
	if (n > 1 && literal_read(words[1], &address)) {
		name = host;
		used = 2;
		struct ip first;
		from->ambiguous = from->ambiguous || (literal_read(words[0], &first) && !ip_equal(&first, &address));
	} else if (!literal_read(host, &address) && !address_read(host, &address) && !joined_read(host, &name, &address)) {
		return;
	}
	from_address(from, &address);
	from->name = vouched ? name_read(from->arena, name) : "";
	for (size_t i = used; i < n; i++) {
		if (literal_read(words[i], &address)) {
			from_address(from, &address);
		}
	}
}

static void from_comment(struct from *from, struct slice text)
{
	struct slice words[WORDS_MAX];
	size_t nested = slice_find(text, '(', 0);
	struct slice inner = {text.data + nested, text.len - nested};
	size_t n = comment_words((struct slice){text.data, nested}, words);
	if (n == 0) {
		return;
	}
	struct ip address;
	bool account = is_word(words[0], "account") && n > 1 && !literal_read(words[1], &address);
	for (size_t i = 0; i < n; i++) {
		static const struct slice key = {"helo=", 5};
		if (slice_starts_nocase(words[i], key)) {
			from_helo(from, (struct slice){words[i].data + key.len, words[i].len - key.len});
		} else if ((i == 0 || account) && i + 1 < n && (is_word(words[i], "HELO") || is_word(words[i], "EHLO"))) {
			from_helo(from, words[i + 1]);
			return;
		}
	}
	if (!account) {
		/* Sendmail's word for a name that does not lead back to the address. */
		from_comment_address(from, words, n, !slice_starts_nocase(inner, SLICE_LITERAL("(may be forged")));
	}
}

static void from_word(struct from *from, struct slice text)
{
	if (from->host.data == NULL) {
		from->host = text;
	} else if (from->second.data == NULL) {
		from->second = text;
	}
}

/* Without a comment that tells it the address may be a word: "[192.0.2.1] (helo=x)", "name [192.0.2.1]", and "192.0.2.1
 * (HELO x)". A bare "from 192.0.2.1" is what a client may call itself. */
static void from_words_address(struct from *from)
{
	struct ip address;
	if (literal_read(from->host, &address)) {
		from_address(from, &address);
	} else if (from->named && address_read(from->host, &address)) {
		from_address(from, &address);
	}
	if (from->second.data != NULL && literal_read(from->second, &address)) {
		from_address(from, &address);
	}
}

/* ---- the whole field ---- */

struct clauses {
	struct from from;
	struct slice by, with, via;
	bool has_from, authenticated;
	bool local; /* a comment says that a local user gave it */
	bool postfix;
};

/* "(Authenticated sender: x)", "(authenticated bits=0)", "(account x HELO y)", "(user=x mech=LOGIN bits=0)", "(AUTH:
 * LOGIN x)"; a client's name is none of these. */
static bool is_authentication(struct slice text)
{
	struct slice words[WORDS_MAX];
	struct ip address;
	size_t n = comment_words(text, words);
	if (n == 0 || (n > 1 && literal_read(words[1], &address))) {
		return false;
	}
	if (n > 1 && slice_starts_nocase(words[0], SLICE_LITERAL("user=")) &&
	    slice_starts_nocase(words[1], SLICE_LITERAL("mech="))) {
		return true;
	}
	return is_word(words[0], "authenticated") || is_word(words[0], "AUTH:") || (n > 1 && is_word(words[0], "account"));
}

static void clauses_comment(struct clauses *clauses, struct slice text, bool in_from)
{
	clauses->authenticated = clauses->authenticated || is_authentication(text);
	if (in_from) {
		from_comment(&clauses->from, text);
		return;
	}
	clauses->local = clauses->local || slice_starts_nocase(text, SLICE_LITERAL("Postfix, from userid"));
	clauses->postfix = clauses->postfix || is_word(text, "Postfix");
}

/* False: no field that we can read. */
static bool clauses_read(struct slice value, struct clauses *clauses)
{
	struct scanner scanner = {value};
	struct slice text;
	struct slice *wanted = NULL; /* where the next word belongs */
	bool in_from = clauses->has_from;
	for (;;) {
		switch (scanner_next(&scanner, &text)) {
		case TOKEN_END:
			return true;
		case TOKEN_BROKEN:
			return !in_from;
		case TOKEN_COMMENT:
			clauses_comment(clauses, text, in_from);
			continue;
		case TOKEN_WORD:
			break;
		}
		if (wanted != NULL) {
			*wanted = text;
			wanted = NULL;
		} else if (is_word(text, "by") && clauses->by.data == NULL &&
		           (!in_from || clauses->from.host.data != NULL || clauses->from.address.family != IP_UNKNOWN)) {
			wanted = &clauses->by;
			in_from = false;
		} else if (in_from) {
			from_word(&clauses->from, text);
		} else if (is_word(text, "with") && clauses->with.data == NULL) {
			wanted = &clauses->with;
		} else if (is_word(text, "via") && clauses->via.data == NULL) {
			wanted = &clauses->via;
		}
	}
}

/* RFC 3848 and its registry: SMTP, ESMTP, ESMTPS, ESMTPA, LMTPSA, UTF8SMTPSA ...; Exim writes small letters. */
static bool is_smtp(struct slice with, bool *authenticated_r)
{
	static const char *const words[] = {"UTF8SMTP", "UTF8LMTP", "ESMTP", "LMTP", "SMTP"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		struct slice word = slice_from(words[i]);
		if (slice_starts_nocase(with, word)) {
			struct slice rest = {with.data + word.len, with.len - word.len};
			*authenticated_r = is_word(rest, "A") || is_word(rest, "SA");
			return true;
		}
	}
	*authenticated_r = is_word(with, "ASMTP");
	return *authenticated_r;
}

static bool is_submission(struct slice with)
{
	static const char *const words[] = {"HTTP", "HTTPS", "HTTPREST", "mapi", "internal",
	                                    "IMAP", "POP3",  "POP3S",    "IMAPS"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (is_word(with, words[i])) {
			return true;
		}
	}
	return slice_starts_nocase(with, SLICE_LITERAL("local"));
}

static enum received_kind clauses_kind(struct clauses *clauses)
{
	const struct from *from = &clauses->from;
	bool authenticated;
	bool smtp = is_smtp(clauses->with, &authenticated);
	bool addressed = from->address.family != IP_UNKNOWN;
	bool pickup = !addressed && is_word(from->host, "mail") && is_word(from->second, "pickup");
	clauses->authenticated = clauses->authenticated || authenticated;
	if (clauses->local || pickup || is_submission(clauses->with) || is_submission(clauses->via)) {
		return RECEIVED_SUBMITTED;
	}
	if (!clauses->has_from) {
		bool internal = !clauses->authenticated && (smtp || (clauses->postfix && clauses->with.data == NULL));
		return internal ? RECEIVED_INTERNAL : clauses->authenticated ? RECEIVED_SUBMITTED : RECEIVED_UNREADABLE;
	}
	return addressed && !from->ambiguous && clauses->by.data != NULL ? RECEIVED_HOP : RECEIVED_UNREADABLE;
}

/* "(qmail 4711 invoked from network)", "(from user@localhost) by ..." */
static enum received_kind leading_comment_kind(struct slice text)
{
	bool qmail = slice_starts_nocase(text, SLICE_LITERAL("qmail "));
	if (qmail && slice_ends_nocase(text, SLICE_LITERAL("invoked from network"))) {
		return RECEIVED_INTERNAL;
	}
	return qmail || slice_starts_nocase(text, SLICE_LITERAL("from ")) ? RECEIVED_SUBMITTED : RECEIVED_UNREADABLE;
}

static void received_fill(struct arena *arena, const struct clauses *clauses, struct received *received_r)
{
	const struct from *from = &clauses->from;
	struct slice helo = from->named ? from->helo : from->host;
	struct slice by = clauses->by;
	received_r->by = by.data == NULL ? "" : slice_dup(arena, by);
	if (received_r->kind != RECEIVED_HOP) {
		return;
	}
	received_r->address = from->address;
	received_r->authenticated = clauses->authenticated;
	received_r->helo = helo.data == NULL ? "" : slice_dup(arena, helo);
	received_r->name = from->name != NULL && from->name[0] != '\0' ? from->name
	                   : from->named                               ? name_read(arena, from->host)
	                                                               : "";
}

void received_parse(struct arena *arena, struct slice value, struct received *received_r)
{
	struct clauses clauses = {.from = {.arena = arena}};
	struct slice first = {.len = 0};
	*received_r = (struct received){.kind = RECEIVED_UNREADABLE, .name = "", .helo = "", .by = ""};
	if (value.len > RECEIVED_MAX) {
		return;
	}
	struct scanner scanner = {value};
	enum token_kind kind = scanner_next(&scanner, &first);
	if (kind == TOKEN_COMMENT) {
		received_r->kind = leading_comment_kind(slice_trim(first));
		return;
	}
	if (kind != TOKEN_WORD || !(is_word(first, "from") || is_word(first, "by"))) {
		return;
	}
	clauses.has_from = is_word(first, "from");
	if (!clauses_read(clauses.has_from ? scanner.rest : value, &clauses)) {
		return;
	}
	if (clauses.has_from && clauses.from.address.family == IP_UNKNOWN && !clauses.from.ambiguous) {
		from_words_address(&clauses.from);
	}
	received_r->kind = clauses_kind(&clauses);
	received_fill(arena, &clauses, received_r);
}

enum received_result received_find(struct arena *arena, const struct headers *headers, received_inside *inside,
                                   const void *context, struct received *received_r, unsigned *hops_r)
{
	*received_r = (struct received){.kind = RECEIVED_UNREADABLE, .name = "", .helo = "", .by = ""};
	*hops_r = 0;
	for (size_t i = 0; i < headers->count; i++) {
		if (!is_word(headers->items[i].name, "Received")) {
			continue;
		}
		if (*hops_r == RECEIVED_MAX_HOPS) {
			return RECEIVED_TOO_MANY;
		}
		++*hops_r;
		received_parse(arena, headers->items[i].value, received_r);
		if (received_r->kind == RECEIVED_INTERNAL) {
			continue;
		}
		if (received_r->kind != RECEIVED_HOP) {
			return RECEIVED_STOPPED;
		}
		if (!inside(context, &received_r->address)) {
			return received_r->authenticated ? RECEIVED_STOPPED : RECEIVED_FOUND;
		}
	}
	return RECEIVED_NO_MORE;
}
