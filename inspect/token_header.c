#include "inspect/token_header.h"

#include "inspect/mime_charset.h"
#include "inspect/token_text.h"

#include <stdio.h>

enum { VALUE_MAX = 2048, WORDS_MAX = 60, ADDRESSES_MAX = 10, OTHER_WORDS_MAX = 12, OTHER_FIELDS_MAX = 60 };

/* The first field of that name, its encoded words decoded, cut. Empty: there is none. */
static struct slice field_text(struct token_set *set, const struct headers *headers, const char *name)
{
	const struct header *field = headers_find(headers, name, 0);
	if (field == NULL) {
		return SLICE_LITERAL("");
	}
	struct slice value = field->value;
	value.len = value.len < VALUE_MAX ? value.len : VALUE_MAX;
	return slice_trim(mime_words_decode(set->arena, header_unfold(set->arena, value)));
}

/* "Name <local@host>": what stands in front, and the host. A pragmatic reading: what is odd is odd in all mail. */
static void split_address(struct slice value, struct slice *name_r, struct slice *local_r, struct slice *host_r)
{
	const char *at = value.len == 0 ? NULL : memrchr(value.data, '@', value.len);
	*name_r = value;
	*local_r = *host_r = SLICE_LITERAL("");
	if (at == NULL) {
		return;
	}
	size_t position = (size_t)(at - value.data);
	size_t end = position + 1;
	while (end < value.len && strchr("> \t,;\")", value.data[end]) == NULL) {
		end++;
	}
	size_t start = position;
	while (start > 0 && strchr("< \t\",:(", value.data[start - 1]) == NULL) {
		start--;
	}
	*host_r = (struct slice){at + 1, end - position - 1};
	*local_r = (struct slice){value.data + start, position - start};
	*name_r = (struct slice){value.data, start};
	while (name_r->len > 0 && strchr("< \t\"", name_r->data[name_r->len - 1]) != NULL) {
		name_r->len--;
	}
}

static struct slice lower(struct token_set *set, struct slice text)
{
	return (struct slice){slice_dup_lower(set->arena, text), text.len};
}

static bool has_digits(struct slice text, size_t least)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		n += ascii_is_digit(text.data[i]) ? 1 : 0;
	}
	return n >= least;
}

static void from_tokens(struct token_set *set, const struct headers *headers, struct slice *host_r)
{
	struct slice value = field_text(set, headers, "From");
	struct slice name;
	struct slice local;
	split_address(value, &name, &local, host_r);
	*host_r = lower(set, *host_r);
	if (value.len == 0) {
		token_add(set, "from", SLICE_LITERAL("missing"));
		return;
	}
	if (host_r->len == 0) {
		token_add(set, "from", SLICE_LITERAL("no address"));
	} else {
		token_add(set, "from domain", token_domain(*host_r));
		token_add(set, "from address", lower(set, (struct slice){local.data, (size_t)(host_r->len + local.len + 1)}));
		const char *top = memrchr(host_r->data, '.', host_r->len);
		if (top != NULL) {
			token_add(set, "from top", (struct slice){top + 1, (size_t)(host_r->data + host_r->len - top - 1)});
		}
	}
	if (has_digits(local, 3)) {
		token_add(set, "from", SLICE_LITERAL("digits before the @"));
	}
	if (name.len == 0) {
		token_add(set, "from", SLICE_LITERAL("no name"));
	}
	token_text(set, "from name", name, WORDS_MAX);
}

static void reply_to_tokens(struct token_set *set, const struct headers *headers, struct slice from_host)
{
	struct slice value = field_text(set, headers, "Reply-To");
	struct slice name;
	struct slice local;
	struct slice host;
	if (value.len == 0) {
		return;
	}
	split_address(value, &name, &local, &host);
	host = lower(set, host);
	bool same = slice_equal(token_domain(host), token_domain(from_host));
	token_add(set, "reply-to",
	          same ? SLICE_LITERAL("the same domain as From") : SLICE_LITERAL("another domain than From"));
	token_add(set, "reply-to domain", token_domain(host));
}

static size_t count_of(struct slice text, char c)
{
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		n += text.data[i] == c ? 1 : 0;
	}
	return n;
}

/* The addresses in a list, each as it stands. */
static void address_tokens(struct token_set *set, const char *kind, struct slice value)
{
	struct slice piece;
	struct slice name;
	struct slice local;
	struct slice host;
	for (size_t n = 0; n < ADDRESSES_MAX && value.len > 0 && slice_split(&value, ',', &piece); n++) {
		split_address(piece, &name, &local, &host);
		if (host.len > 0) {
			token_add(set, kind, lower(set, (struct slice){local.data, local.len + 1 + host.len}));
		}
	}
}

/* How it is written, and for whom. */
static void to_tokens(struct token_set *set, const struct headers *headers)
{
	struct slice to = field_text(set, headers, "To");
	struct slice cc = field_text(set, headers, "Cc");
	size_t count = count_of(to, '@') + count_of(cc, '@');
	const char *class = count == 0 ? "nobody" : count == 1 ? "one" : count < 4 ? "few" : count < 10 ? "some" : "many";
	token_add(set, "recipients", slice_from(class));
	if (cc.len > 0) {
		token_add(set, "field", SLICE_LITERAL("cc"));
	}
	if (to.len == 0) {
		token_add(set, "to", SLICE_LITERAL("missing"));
	}
	token_text(set, "to", to, WORDS_MAX); /* "undisclosed-recipients:;" */
	token_text(set, "cc", cc, WORDS_MAX);
	address_tokens(set, "to address", to);
	address_tokens(set, "to address", cc);
	if (to.len > 0 && count_of(to, '@') > 0) {
		token_add(set, "to",
		          to.data[0] == '<'       ? SLICE_LITERAL("only in brackets")
		          : count_of(to, '<') > 0 ? SLICE_LITERAL("with a name")
		                                  : SLICE_LITERAL("only an address"));
	}
}

static void subject_tokens(struct token_set *set, const struct headers *headers)
{
	struct slice subject = field_text(set, headers, "Subject");
	size_t capitals = 0;
	size_t letters = 0;
	if (subject.len == 0) {
		token_add(set, "subject", SLICE_LITERAL("missing"));
		return;
	}
	for (size_t i = 0; i < subject.len; i++) {
		letters += ascii_is_alpha(subject.data[i]) ? 1 : 0;
		capitals += subject.data[i] >= 'A' && subject.data[i] <= 'Z' ? 1 : 0;
	}
	if (letters > 4 && capitals * 4 > letters * 3) {
		token_add(set, "subject", SLICE_LITERAL("in capitals"));
	}
	if (memmem(subject.data, subject.len, "    ", 4) != NULL) {
		token_add(set, "subject", SLICE_LITERAL("many blanks"));
	}
	const struct header *raw = headers_find(headers, "Subject", 0);
	if (memmem(raw->value.data, raw->value.len, "=?", 2) != NULL) {
		token_add(set, "subject", SLICE_LITERAL("encoded"));
	} else if (!slice_is_ascii(raw->value)) {
		token_add(set, "subject", SLICE_LITERAL("8 bits"));
	}
	token_text(set, "subject", subject, WORDS_MAX);
}

/* The zone, and whether the form is that of RFC 5322; not the time itself, which is that of learning. */
static void date_tokens(struct token_set *set, const struct headers *headers)
{
	struct slice date = field_text(set, headers, "Date");
	size_t n = date.len;
	if (n == 0) {
		token_add(set, "date", SLICE_LITERAL("missing"));
		return;
	}
	if (date.data[n - 1] == ')') {
		const char *open = memrchr(date.data, '(', n);
		token_add(set, "date", SLICE_LITERAL("with a comment"));
		n = open == NULL ? 0 : (size_t)(open - date.data);
		while (n > 0 && date.data[n - 1] == ' ') {
			n--;
		}
	}
	size_t start = n;
	while (start > 0 && date.data[start - 1] != ' ') {
		start--;
	}
	struct slice zone = {date.data + start, n - start};
	token_add(set, "date zone", zone.len > 0 && zone.len <= 5 ? zone : SLICE_LITERAL("odd"));
	if (slice_find(date, ',', 0) != 3) {
		token_add(set, "date", SLICE_LITERAL("no day of the week"));
	}
}

/* Letters and digits as classes, runs as one. */
static void shape_token(struct token_set *set, const char *kind, struct slice text)
{
	char shape[64];
	size_t n = 0;
	for (size_t i = 0; i < text.len && n < sizeof shape; i++) {
		char c = text.data[i];
		char class = ascii_is_digit(c) ? '0' : c >= 'a' && c <= 'z' ? 'a' : c >= 'A' && c <= 'Z' ? 'A' : c;
		if (n == 0 || shape[n - 1] != class) {
			shape[n++] = class;
		}
	}
	token_add(set, kind, (struct slice){shape, n});
}

static void message_id_tokens(struct token_set *set, const struct headers *headers, struct slice from_host)
{
	struct slice id = field_text(set, headers, "Message-ID");
	if (id.len == 0) {
		token_add(set, "message-id", SLICE_LITERAL("missing"));
		return;
	}
	size_t at = slice_find(id, '@', 0);
	shape_token(set, "message-id form", (struct slice){id.data, at});
	if (at == id.len) {
		token_add(set, "message-id", SLICE_LITERAL("no @"));
		return;
	}
	struct slice host = lower(set, slice_trim((struct slice){id.data + at + 1, id.len - at - 1}));
	host.len -= host.len > 0 && host.data[host.len - 1] == '>' ? 1 : 0;
	bool same = slice_equal(token_domain(host), token_domain(from_host));
	token_add(set, "message-id",
	          same ? SLICE_LITERAL("the same domain as From") : SLICE_LITERAL("another domain than From"));
	token_add(set, "message-id domain", token_domain(host));
	if (slice_find(host, '.', 0) == host.len) {
		token_add(set, "message-id", SLICE_LITERAL("a host without a dot"));
	}
}

/* What hosts and programs behind the gate write, or may have written before: no part of what is to be judged. */
static bool is_trace(struct slice name)
{
	static const char *const names[] = {"Received",
	                                    "Return-Path",
	                                    "Delivered-To",
	                                    "Envelope-To",
	                                    "Status",
	                                    "Received-SPF",
	                                    "Replied",
	                                    "Forwarded",
	                                    "Lines",
	                                    "Bytes",
	                                    "Authentication-Results",
	                                    "X-Original-To",
	                                    "X-Bogosity",
	                                    "X-DSPAM-Result",
	                                    "X-Loop",
	                                    "X-Authentication-Warning",
	                                    "X-Apparently-To",
	                                    "X-Sieve",
	                                    "X-Greylist",
	                                    "X-Keywords",
	                                    "X-Status",
	                                    "X-Label",
	                                    "X-MIMETrack",
	                                    "X-MIME-Autoconverted",
	                                    "Old-Return-Path",
	                                    "X-Account-Key",
	                                    "X-Pyzor",
	                                    "Content-Length",
	                                    NULL};
	static const char *const prefixes[] = {"X-Spam",        "X-Virus",       "X-UID",       "X-Mozilla", "X-Evolution",
	                                       "X-Gmail",       "X-Google",      "X-Envelope",  "X-Amavis",  "X-Rspamd",
	                                       "X-DSPAM",       "X-MailScanner", "X-Filter",    "Resent-",   "ARC-",
	                                       "X-MS-Exchange", "X-Microsoft",   "X-Forefront", "X-RAV",     "X-AV",
	                                       "X-Scanned",     "X-Quarantine",  "X-Mailreeve", NULL};
	for (const char *const *at = names; *at != NULL; at++) {
		if (slice_equal_nocase(name, slice_from(*at))) {
			return true;
		}
	}
	for (const char *const *at = prefixes; *at != NULL; at++) {
		if (slice_starts_nocase(name, slice_from(*at))) {
			return true;
		}
	}
	return false;
}

/* Whose values are read in their own way, or not at all. */
static bool is_read_elsewhere(struct slice name)
{
	static const char *const names[] = {
	    "From",     "To",          "Cc",         "Subject",      "Date",           "Message-ID",
	    "Reply-To", "In-Reply-To", "References", "Content-Type", "DKIM-Signature", "DomainKey-Signature",
	    NULL};
	for (const char *const *at = names; *at != NULL; at++) {
		if (slice_equal_nocase(name, slice_from(*at))) {
			return true;
		}
	}
	return slice_starts_nocase(name, SLICE_LITERAL("List-"));
}

/* Which fields there are, how their names are written and in what order: by that a program is known. And the words of
 * those that are nothing special. */
static void other_tokens(struct token_set *set, const struct headers *headers)
{
	struct slice last = SLICE_LITERAL("");
	size_t fields = 0;
	for (size_t i = 0; i < headers->count && fields < OTHER_FIELDS_MAX; i++) {
		const struct header *field = &headers->items[i];
		if (field->name.len > 40 || is_trace(field->name)) {
			continue;
		}
		fields++;
		token_add(set, "field", field->name);
		token_add_pair(set, "fields", last, field->name, false);
		last = field->name;
		if (slice_equal_nocase(field->name, SLICE_LITERAL("List-Id"))) {
			struct slice id = header_unfold(set->arena, field->value);
			size_t open = slice_find(id, '<', 0);
			token_add(
			    set, "list",
			    lower(set, (struct slice){id.data + (open < id.len ? open : 0), id.len - (open < id.len ? open : 0)}));
		}
		if (!is_read_elsewhere(field->name)) {
			struct slice value = field->value;
			value.len = value.len < VALUE_MAX ? value.len : VALUE_MAX;
			token_text(set, slice_dup_lower(set->arena, field->name),
			           mime_words_decode(set->arena, header_unfold(set->arena, value)), OTHER_WORDS_MAX);
		}
	}
}

static void content_type_tokens(struct token_set *set, const struct headers *headers)
{
	struct slice value = field_text(set, headers, "Content-Type");
	struct slice piece;
	bool first = true;
	while (value.len > 0 && slice_split(&value, ';', &piece)) {
		piece = slice_trim(piece);
		size_t equal = slice_find(piece, '=', 0);
		if (first) {
			token_add(set, "content-type", piece); /* as it is written */
		} else if (slice_starts_nocase(piece, SLICE_LITERAL("boundary"))) {
			shape_token(set, "boundary form", (struct slice){piece.data + equal, piece.len - equal});
		} else {
			token_add(set, "content-type", piece.len < 60 ? piece : SLICE_LITERAL("long parameter"));
		}
		first = false;
	}
}

/* The two that were written first, by whom the author gave his mail to. */
static void received_tokens(struct token_set *set, const struct headers *headers)
{
	size_t count = headers_count(headers, "Received");
	for (size_t i = count < 2 ? 0 : count - 2; i < count; i++) {
		struct slice value = headers_find(headers, "Received", i)->value;
		value.len = value.len < 400 ? value.len : 400;
		value.len = slice_find(value, ';', 0);
		token_text(set, "received", header_unfold(set->arena, value), 30);
	}
}

void token_header(struct token_set *set, const struct headers *headers)
{
	struct slice from_host = SLICE_LITERAL("");
	token_group(set, INSPECT_GROUP_SUBJECT);
	subject_tokens(set, headers);
	token_group(set, INSPECT_GROUP_FROM);
	from_tokens(set, headers, &from_host);
	token_group(set, INSPECT_GROUP_WAY);
	to_tokens(set, headers);
	received_tokens(set, headers);
	token_group(set, INSPECT_GROUP_HEADER);
	reply_to_tokens(set, headers, from_host);
	date_tokens(set, headers);
	message_id_tokens(set, headers, from_host);
	content_type_tokens(set, headers);
	other_tokens(set, headers);
}
