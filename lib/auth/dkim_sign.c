#include "lib/auth/dkim_sign.h"

#include "lib/auth/canon.h"

#include <stdlib.h>

enum { FOLD_AT = 76, TAB_WIDTH = 8, LINE_MAX_BYTES = 998, SENDMAIL_LINE_MAX = 990 };

static const char field_name[] = "DKIM-Signature";

struct dkim_draft {
	struct arena *arena;
	const struct headers *headers;
	struct slice body;
	uint64_t now;
	uint64_t lifetime;
	bool sendmail;
	struct strbuf names;  /* h= */
	struct strbuf fields; /* canonical, in the order of h= */
	size_t name_count;
	bool left_out; /* fields beyond DKIM_SIGN_NAMES_MAX */
	const char *body_hash;
};

bool dkim_sign_excluded(const char *field)
{
	static const char *const names[] = {"Return-Path",
	                                    "Received",
	                                    "Received-SPF",
	                                    "DKIM-Signature",
	                                    "DomainKey-Signature",
	                                    "Authentication-Results",
	                                    "ARC-Seal",
	                                    "ARC-Message-Signature",
	                                    "ARC-Authentication-Results",
	                                    "X-Mailreeve-Verdict",
	                                    "Bcc",
	                                    "Resent-Bcc",
	                                    "Content-Length",
	                                    "Delivered-To"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (slice_equal_nocase(slice_from(names[i]), slice_from(field))) {
			return true;
		}
	}
	return false;
}

/* ---- what Sendmail makes of a list of addresses ---- */

static bool is_address_field(struct slice name)
{
	static const char *const names[] = {"from",        "sender",    "reply-to",  "to",           "cc",
	                                    "resent-from", "resent-to", "resent-cc", "resent-sender"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (slice_equal_nocase(slice_from(names[i]), name)) {
			return true;
		}
	}
	return false;
}

/* The end of the address at `at`: a comma outside of quotes, comments and brackets, or the end of the text. */
static size_t address_end(struct slice text, size_t at)
{
	bool quoted = false;
	bool bracket = false;
	unsigned comments = 0;
	for (; at < text.len; at++) {
		char c = text.data[at];
		if (c == '\\' && (quoted || comments > 0)) {
			at++;
		} else if (c == '"' && comments == 0) {
			quoted = !quoted;
		} else if (!quoted && c == '(') {
			comments++;
		} else if (!quoted && c == ')') {
			comments -= comments > 0;
		} else if (!quoted && comments == 0 && (c == '<' || c == '>')) {
			bracket = c == '<';
		} else if (!quoted && comments == 0 && !bracket && c == ',') {
			return at;
		}
	}
	return text.len;
}

static struct slice with_commas(struct arena *arena, struct slice value)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t at = 0; at < value.len;) {
		size_t end = address_end(value, at);
		struct slice address = slice_trim((struct slice){value.data + at, end - at});
		if (address.len > 0) {
			strbuf_add_text(&out, out.len == 0 ? " " : ", ");
			strbuf_add_slice(&out, address);
		}
		at = end + 1;
	}
	return (struct slice){out.data, out.len};
}

struct slice dkim_sign_by_sendmail(struct arena *arena, struct slice name, struct slice value)
{
	return is_address_field(name) ? with_commas(arena, value) : value;
}

/* An address that Sendmail gives a domain, we do not know which. Groups end in ':' or ';'. */
static bool has_bare_name(struct slice value)
{
	for (size_t at = 0; at < value.len;) {
		size_t end = address_end(value, at);
		struct slice address = slice_trim((struct slice){value.data + at, end - at});
		if (address.len > 0 && memchr(address.data, '@', address.len) == NULL &&
		    memchr(address.data, ':', address.len) == NULL && memchr(address.data, ';', address.len) == NULL) {
			return true;
		}
		at = end + 1;
	}
	return false;
}

/* ---- what is signed ---- */

static bool list_has(const char *const *list, const char *name)
{
	for (; *list != NULL; list++) {
		if (slice_equal_nocase(slice_from(*list), slice_from(name))) {
			return true;
		}
	}
	return false;
}

/* False when h= is full. */
static bool draft_mention(struct dkim_draft *draft, struct slice name)
{
	if (draft->name_count == DKIM_SIGN_NAMES_MAX) {
		draft->left_out = true;
		return false;
	}
	if (draft->name_count++ > 0) {
		strbuf_add_char(&draft->names, ':');
	}
	for (size_t i = 0; i < name.len; i++) {
		strbuf_add_char(&draft->names, ascii_lower(name.data[i]));
	}
	return true;
}

/* Every field of that name, from the lowest up. */
static void draft_add(struct dkim_draft *draft, const char *text, bool oversign)
{
	struct slice name = slice_from(text);
	for (size_t i = draft->headers->count; i > 0; i--) {
		const struct header *header = &draft->headers->items[i - 1];
		if (slice_equal_nocase(slice_trim(header->name), name)) {
			if (!draft_mention(draft, name)) {
				return;
			}
			struct slice value = header->value;
			if (draft->sendmail) {
				value = dkim_sign_by_sendmail(draft->arena, name, value);
			}
			canon_header(&draft->fields, header->name, value, CANON_RELAXED, true);
		}
	}
	if (oversign) {
		draft_mention(draft, name);
	}
}

static bool is_from(const char *name)
{
	return slice_equal_nocase(slice_from(name), SLICE_LITERAL("from"));
}

static void draft_add_fields(struct dkim_draft *draft, const struct dkim_sign_options *options)
{
	draft_add(draft, "from", list_has(options->oversign, "from"));
	for (const char *const *name = options->fields; *name != NULL; name++) {
		if (!is_from(*name) && !dkim_sign_excluded(*name)) {
			draft_add(draft, *name, list_has(options->oversign, *name));
		}
	}
	for (const char *const *name = options->oversign; *name != NULL; name++) {
		if (!is_from(*name) && !dkim_sign_excluded(*name) && !list_has(options->fields, *name)) {
			draft_add(draft, *name, true);
		}
	}
}

struct dkim_draft *dkim_sign_begin(struct arena *arena, const struct dkim_sign_options *options,
                                   const struct headers *headers, struct slice body, uint64_t now)
{
	uint8_t digest[CANON_DIGEST_SIZE];
	struct dkim_draft *draft = arena_alloc(arena, sizeof *draft);
	*draft = (struct dkim_draft){.arena = arena,
	                             .headers = headers,
	                             .body = body,
	                             .now = now,
	                             .lifetime = options->lifetime,
	                             .sendmail = options->sendmail};
	strbuf_init(&draft->names, arena);
	strbuf_init(&draft->fields, arena);
	draft_add_fields(draft, options);
	canon_body(body, CANON_RELAXED, UINT64_MAX, digest);
	draft->body_hash = dkim_base64_encode(arena, (struct slice){(const char *)digest, sizeof digest});
	return draft;
}

/* ---- the field ---- */

/* A value folded with CRLF + tab. */
struct folded {
	struct strbuf text;
	size_t column;
};

static void folded_break(struct folded *folded)
{
	strbuf_add_text(&folded->text, "\r\n\t");
	folded->column = TAB_WIDTH;
}

/* A piece that may stand on a line of its own; `space`: it is set off by one where it does not. */
static void folded_add(struct folded *folded, struct slice piece, bool space)
{
	if (folded->column + space + piece.len > FOLD_AT) {
		folded_break(folded);
	} else if (space) {
		strbuf_add_char(&folded->text, ' ');
		folded->column++;
	}
	strbuf_add_slice(&folded->text, piece);
	folded->column += piece.len;
}

static void folded_tag(struct folded *folded, const char *name, const char *value)
{
	folded_add(folded, slice_from(arena_printf(folded->text.arena, "%s=%s;", name, value)), true);
}

static void folded_names(struct folded *folded, const struct strbuf *names)
{
	struct slice rest = {names->data, names->len};
	struct slice name;
	bool first = true;
	while (slice_split(&rest, ':', &name)) {
		const char *piece = arena_printf(folded->text.arena, "%s%.*s%s", first ? "h=" : "", SLICE_ARGS(name),
		                                 rest.data == NULL ? ";" : ":");
		folded_add(folded, slice_from(piece), first);
		first = false;
	}
}

/* base64 has no places where it may be broken: all of them are. */
static void folded_base64(struct folded *folded, const char *text)
{
	size_t length = strlen(text);
	for (size_t at = 0; at < length;) {
		if (folded->column >= FOLD_AT) {
			folded_break(folded);
		}
		size_t room = FOLD_AT - folded->column;
		size_t n = length - at < room ? length - at : room;
		strbuf_add(&folded->text, text + at, n);
		folded->column += n;
		at += n;
	}
}

static const char *number(struct arena *arena, uint64_t value)
{
	return arena_printf(arena, "%llu", (unsigned long long)value);
}

/* Everything up to and with "b=". */
static void folded_begin(struct folded *folded, const struct dkim_draft *draft, const char *domain,
                         const char *selector, const char *identity, enum dkim_algorithm algorithm)
{
	strbuf_init(&folded->text, draft->arena);
	strbuf_add_text(&folded->text, "v=1;");
	folded->column = strlen(field_name) + strlen(": v=1;");
	folded_tag(folded, "a", dkim_algorithm_name(algorithm));
	folded_tag(folded, "c", "relaxed/relaxed");
	folded_tag(folded, "d", domain);
	folded_tag(folded, "s", selector);
	if (identity != NULL) {
		folded_tag(folded, "i", identity);
	}
	folded_tag(folded, "t", number(draft->arena, draft->now));
	if (draft->lifetime > 0) {
		folded_tag(folded, "x", number(draft->arena, draft->now + draft->lifetime));
	}
	folded_names(folded, &draft->names);
	folded_tag(folded, "bh", draft->body_hash);
	folded_add(folded, SLICE_LITERAL("b="), true);
}

/* As the milter protocol has folds. */
static const char *without_cr(const struct strbuf *text)
{
	char *out = arena_alloc(text->arena, text->len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text->len; i++) {
		if (text->data[i] != '\r') {
			out[n++] = text->data[i];
		}
	}
	return out;
}

const char *dkim_sign_field(const struct dkim_draft *draft, const char *domain, const char *selector,
                            const char *identity, const struct dkim_private_key *key)
{
	struct folded folded;
	struct strbuf data;
	folded_begin(&folded, draft, domain, selector, identity, dkim_private_key_algorithm(key));
	strbuf_init(&data, draft->arena);
	strbuf_add(&data, draft->fields.data, draft->fields.len);
	canon_signature(&data, slice_from(field_name), (struct slice){folded.text.data, folded.text.len}, CANON_RELAXED);
	const char *signature = dkim_private_key_sign(key, (struct slice){data.data, data.len}, draft->arena);
	if (signature == NULL) {
		return NULL;
	}
	folded_base64(&folded, signature);
	return without_cr(&folded.text);
}

/* ---- what may break it ---- */

struct faults {
	size_t longest; /* line, without its end */
	bool bare_cr, bare_lf;
};

static void look_at_lines(struct slice text, struct faults *faults)
{
	for (size_t at = 0; at < text.len;) {
		size_t end = slice_find(text, '\n', at);
		bool crlf = end < text.len && end > at && text.data[end - 1] == '\r';
		size_t length = end - at - crlf;
		faults->longest = length > faults->longest ? length : faults->longest;
		faults->bare_lf = faults->bare_lf || (end < text.len && !crlf);
		faults->bare_cr = faults->bare_cr || (length > 0 && memchr(text.data + at, '\r', length) != NULL);
		at = end + 1;
	}
}

static bool has_8bit(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.data[i] > 127) {
			return true;
		}
	}
	return false;
}

/* Content-Transfer-Encoding: 8bit or binary (RFC 2045 6). */
static bool announces_8bit(struct arena *arena, const struct headers *headers)
{
	const struct header *encoding = headers_find(headers, "Content-Transfer-Encoding", 0);
	struct slice value = encoding == NULL ? SLICE_LITERAL("") : header_unfold(arena, encoding->value);
	return slice_equal_nocase(value, SLICE_LITERAL("8bit")) || slice_equal_nocase(value, SLICE_LITERAL("binary"));
}

static void add_reason(struct strbuf *out, bool there, const char *reason)
{
	if (there) {
		strbuf_printf(out, "%s%s", out->len == 0 ? "" : ", ", reason);
	}
}

const char *dkim_sign_fragile(const struct dkim_draft *draft)
{
	struct faults body = {.longest = 0};
	struct faults header = {.longest = 0};
	size_t most = draft->sendmail ? SENDMAIL_LINE_MAX : LINE_MAX_BYTES;
	struct strbuf out;
	strbuf_init(&out, draft->arena);
	look_at_lines(draft->body, &body);
	bool bare_name = false;
	for (size_t i = 0; i < draft->headers->count; i++) {
		const struct header *item = &draft->headers->items[i];
		look_at_lines(item->value, &header);
		bare_name = bare_name || (draft->sendmail && is_address_field(item->name) && has_bare_name(item->value));
	}
	add_reason(&out, body.longest > most,
	           arena_printf(draft->arena, "a line of %zu bytes in the body (over %zu)", body.longest, most));
	add_reason(&out, header.longest > most,
	           arena_printf(draft->arena, "a line of %zu bytes in the header (over %zu)", header.longest, most));
	add_reason(&out, body.bare_cr || body.bare_lf,
	           body.bare_cr ? body.bare_lf ? "CR and LF alone" : "CR alone" : "LF alone");
	add_reason(&out, draft->body.len > 0 && memchr(draft->body.data, '\0', draft->body.len) != NULL, "NUL bytes");
	add_reason(&out, !announces_8bit(draft->arena, draft->headers) && has_8bit(draft->body),
	           "8-bit text without Content-Transfer-Encoding: 8bit");
	add_reason(&out, bare_name, "an address without a domain");
	add_reason(&out, draft->left_out, "more header fields than a signature can name");
	return out.len == 0 ? NULL : out.data;
}
