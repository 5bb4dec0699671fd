#include "inspect/token_header.h"

#include "inspect/mime_charset.h"
#include "inspect/token_text.h"

#include <stdio.h>

enum { VALUE_MAX = 2048, WORDS_MAX = 60 };

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

/* Not whom it is for: how that is written. */
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
	} else if (count_of(to, '@') == 0) {
		token_text(set, "to", to, WORDS_MAX); /* "undisclosed-recipients:;" */
	} else {
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

/* Letters and digits as classes, runs as one: "9A.9.9A@a.a". */
static void message_id_tokens(struct token_set *set, const struct headers *headers, struct slice from_host)
{
	struct slice id = field_text(set, headers, "Message-ID");
	char shape[48];
	size_t n = 0;
	if (id.len == 0) {
		token_add(set, "message-id", SLICE_LITERAL("missing"));
		return;
	}
	size_t at = slice_find(id, '@', 0);
	for (size_t i = 0; i < at && n < sizeof shape; i++) {
		char c = id.data[i];
		char class = ascii_is_digit(c) ? '0' : c >= 'a' && c <= 'z' ? 'a' : c >= 'A' && c <= 'Z' ? 'A' : c;
		if (n == 0 || shape[n - 1] != class) {
			shape[n++] = class;
		}
	}
	token_add(set, "message-id form", (struct slice){shape, n});
	if (at == id.len) {
		token_add(set, "message-id", SLICE_LITERAL("no @"));
		return;
	}
	struct slice host = lower(set, slice_trim((struct slice){id.data + at + 1, id.len - at - 1}));
	host.len -= host.len > 0 && host.data[host.len - 1] == '>' ? 1 : 0;
	bool same = slice_equal(token_domain(host), token_domain(from_host));
	token_add(set, "message-id",
	          same ? SLICE_LITERAL("the same domain as From") : SLICE_LITERAL("another domain than From"));
	if (slice_find(host, '.', 0) == host.len) {
		token_add(set, "message-id", SLICE_LITERAL("a host without a dot"));
	}
}

/* Fields that say something by their words. */
static void program_tokens(struct token_set *set, const struct headers *headers)
{
	static const char *const fields[] = {
	    "X-Mailer",   "User-Agent", "X-Priority",   "Importance", "X-MSMail-Priority",         "Organization",
	    "Precedence", "Priority",   "MIME-Version", "X-MimeOLE",  "Content-Transfer-Encoding", NULL};
	for (const char *const *name = fields; *name != NULL; name++) {
		struct slice value = field_text(set, headers, *name);
		if (value.len > 0) {
			token_text(set, slice_dup_lower(set->arena, slice_from(*name)), value, WORDS_MAX);
		}
	}
}

/* Fields that say something by being there. */
static void presence_tokens(struct token_set *set, const struct headers *headers)
{
	static const char *const fields[] = {"In-Reply-To",
	                                     "References",
	                                     "List-Unsubscribe",
	                                     "List-Id",
	                                     "List-Post",
	                                     "Sender",
	                                     "Errors-To",
	                                     "X-Mailer",
	                                     "User-Agent",
	                                     "MIME-Version",
	                                     "X-Priority",
	                                     "DKIM-Signature",
	                                     "Content-Type",
	                                     "Auto-Submitted",
	                                     "Organization",
	                                     "Reply-To",
	                                     "Disposition-Notification-To",
	                                     "Feedback-ID",
	                                     NULL};
	for (const char *const *name = fields; *name != NULL; name++) {
		if (headers_find(headers, *name, 0) != NULL) {
			token_add(set, "field", slice_from(slice_dup_lower(set->arena, slice_from(*name))));
		}
	}
	if (headers_count(headers, "Subject") > 1 || headers_count(headers, "From") > 1) {
		token_add(set, "field", SLICE_LITERAL("twice"));
	}
}

void token_header(struct token_set *set, const struct headers *headers)
{
	struct slice from_host = SLICE_LITERAL("");
	subject_tokens(set, headers);
	from_tokens(set, headers, &from_host);
	reply_to_tokens(set, headers, from_host);
	to_tokens(set, headers);
	date_tokens(set, headers);
	message_id_tokens(set, headers, from_host);
	program_tokens(set, headers);
	presence_tokens(set, headers);
}
