#include "inspect/dkim_verify.h"

#include "inspect/dkim_utf8.h"
#include "lib/mail/domain.h"
#include "lib/mail/header.h"
#include "lib/mail/taglist.h"

#include <stdio.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <opendkim/dkim.h>
#pragma GCC diagnostic pop

enum {
	KEY_BITS_MIN = 1024, /* RFC 8301 3.2 */
	LIBRARY_DRIFT =
	    900000000,     /* it asks the machine's clock, and takes this off t=: is_timely() asks the request's time */
	CLOCK_DRIFT = 300, /* seconds that t= may lie ahead */
	LINE_MAX_BYTES = 1 << 20, /* a longer line is no mail; libopendkim is not given it */
	FIELD_NAME_MAX = 255,
	HEADERS_MAX = 20000,
	TEXT_MAX = 200,
};

#define TIME_MAX 999999999999ULL /* the largest that t= and x= must be able to say (RFC 6376 3.5) */

static DKIM_LIB *library;

/* One message under verification. */
struct run {
	struct arena *arena;
	const struct dkim_keys *keys;
	struct slice body;
	uint64_t now;
	const struct header *fields[DKIM_MAX_SIGNATURES];
	struct taglist tags[DKIM_MAX_SIGNATURES];
	struct inspect_signature *results;
	bool settled[DKIM_MAX_SIGNATURES]; /* the result stands without the library */
};

static const char *clean(struct arena *arena, struct slice text)
{
	return text_escape(arena, slice_trim(text), "", true, TEXT_MAX);
}

static struct slice tag_text(struct run *run, size_t i, const char *name)
{
	const struct tag *tag = taglist_find(&run->tags[i], name);
	return tag == NULL ? (struct slice){"", 0} : tag_compact(run->arena, tag->value);
}

/* The tags that anything is decided by. */
static const char *const deciding[] = {"b", "a", "bh", "c", "d", "h", "i", "l", "s", "t", "x"};

/* b= alone is not enough: a field that has another one's b=, and a better a= or h=, would be judged in its place. */
static bool is_from(struct run *run, DKIM_SIGINFO *info, size_t i)
{
	for (size_t k = 0; k < sizeof deciding / sizeof *deciding; k++) {
		unsigned char name[4];
		snprintf((char *)name, sizeof name, "%s", deciding[k]);
		struct slice value = slice_from((const char *)dkim_sig_gettagvalue(info, false, name));
		value = value.data == NULL ? value : tag_compact(run->arena, value);
		bool filled_in = name[0] == 'c' && taglist_find(&run->tags[i], "c") == NULL;
		if (!filled_in && !slice_equal(tag_text(run, i, deciding[k]), value)) {
			return false;
		}
	}
	return true;
}

/* Which field a DKIM_SIGINFO comes from; of fields that agree in all these tags it is any one. */
static size_t run_find(struct run *run, DKIM_SIGINFO *info)
{
	size_t i = 0;
	while (i < run->keys->count && !is_from(run, info, i)) {
		i++;
	}
	return i;
}

static void settle(struct run *run, size_t i, enum auth_result result, const char *problem)
{
	run->results[i].result = result;
	run->results[i].problem = problem;
	run->settled[i] = true;
}

/* Only signatures that are not settled, and whose key is there, are the library's business. */
static DKIM_CBSTAT on_prescreen(DKIM *dkim, DKIM_SIGINFO **infos, int count)
{
	struct run *run = dkim_get_user_context(dkim);
	for (int k = 0; k < count; k++) {
		size_t i = run_find(run, infos[k]);
		if (i == run->keys->count || run->settled[i]) {
			dkim_sig_ignore(infos[k]);
		}
	}
	return DKIM_CBSTAT_CONTINUE;
}

static DKIM_CBSTAT on_key(DKIM *dkim, DKIM_SIGINFO *info, u_char *buffer, size_t size)
{
	struct run *run = dkim_get_user_context(dkim);
	size_t i = run_find(run, info);
	if (i == run->keys->count || run->keys->items[i].status != DKIM_KEY_FOUND || run->keys->items[i].text.len >= size) {
		return DKIM_CBSTAT_NOTFOUND;
	}
	struct slice text = run->keys->items[i].text;
	memcpy(buffer, text.data, text.len);
	buffer[text.len] = '\0';
	return DKIM_CBSTAT_CONTINUE;
}

bool dkim_verify_init(void)
{
	unsigned int flags = DKIM_LIBFLAGS_DELAYSIGPROC;
	unsigned int bits = 0; /* short keys are judged here */
	uint64_t drift = LIBRARY_DRIFT;
	library = dkim_init(NULL, NULL);
	return library != NULL &&
	       dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags) == DKIM_STAT_OK &&
	       dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &bits, sizeof bits) == DKIM_STAT_OK &&
	       dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_CLOCKDRIFT, &drift, sizeof drift) == DKIM_STAT_OK &&
	       dkim_set_key_lookup(library, on_key) == DKIM_STAT_OK &&
	       dkim_set_prescreen(library, on_prescreen) == DKIM_STAT_OK;
}

static bool list_has(struct slice list, const char *word)
{
	struct slice item;
	while (slice_split(&list, ':', &item)) {
		if (slice_equal_nocase(slice_trim(item), slice_from(word))) {
			return true;
		}
	}
	return false;
}

static int hex_digit(char c)
{
	const char *digit = c == '\0' ? NULL : strchr("0123456789abcdef", ascii_lower(c));
	return digit == NULL ? -1 : (int)(digit - "0123456789abcdef");
}

/* dkim-quoted-printable (RFC 6376 2.11) undone. */
static struct slice unquote(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		int high = text.data[i] == '=' && i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
		int low = high < 0 ? -1 : hex_digit(text.data[i + 2]);
		out[n++] = low < 0 ? text.data[i] : (char)(high * 16 + low);
		i += low < 0 ? 0 : 2;
	}
	return (struct slice){out, n};
}

/* i= must be in the domain of d= (RFC 6376 3.5), or be it where the key says t=s. */
static bool identity_fits(struct run *run, size_t i, bool same)
{
	struct slice identity = unquote(run->arena, tag_text(run, i, "i"));
	if (identity.len == 0) {
		return true;
	}
	const char *at = memrchr(identity.data, '@', identity.len);
	size_t local = at == NULL ? 0 : (size_t)(at - identity.data) + 1;
	struct slice text = {identity.data + local, identity.len - local};
	const char *domain = at == NULL ? NULL : domain_canonical(run->arena, text);
	const char *signer = run->keys->items[i].domain;
	return domain != NULL && (same ? strcmp(domain, signer) == 0 : domain_is_below(domain, signer));
}

/* What the key record says about its use (3.6.1); NULL: it may be used. */
static const char *key_problem(struct run *run, size_t i)
{
	struct taglist list;
	taglist_parse(run->keys->items[i].text, &list);
	const struct tag *version = taglist_find(&list, "v");
	const struct tag *type = taglist_find(&list, "k");
	const struct tag *service = taglist_find(&list, "s");
	const struct tag *hashes = taglist_find(&list, "h");
	const struct tag *flags = taglist_find(&list, "t");
	const struct tag *data = taglist_find(&list, "p");
	struct slice algorithm = tag_text(run, i, "a");
	struct slice key_type = type == NULL ? SLICE_LITERAL("rsa") : tag_compact(run->arena, type->value);
	algorithm.len = slice_find(algorithm, '-', 0);
	run->results[i].testing = flags != NULL && list_has(flags->value, "y");
	if (list.duplicate || list.malformed || (version != NULL && !slice_equal(version->value, SLICE_LITERAL("DKIM1")))) {
		return "the key record is malformed";
	}
	if (data == NULL || tag_compact(run->arena, data->value).len == 0) {
		return "the key is revoked";
	}
	if (!slice_equal_nocase(algorithm, key_type)) {
		return "the key is of another type than a= says";
	}
	if (service != NULL && !list_has(service->value, "*") && !list_has(service->value, "email")) {
		return "the key is not for mail";
	}
	if (hashes != NULL && !list_has(hashes->value, "sha256")) {
		return "the key is not for sha256";
	}
	if (!identity_fits(run, i, flags != NULL && list_has(flags->value, "s"))) {
		return "i= is not in the signing domain";
	}
	return NULL;
}

/* Everything that can be said before the library is asked. */
static void screen(struct run *run, size_t i)
{
	struct slice algorithm = tag_text(run, i, "a");
	const struct taglist *tags = &run->tags[i];
	const struct tag *fields = taglist_find(tags, "h");
	const char *problem = NULL;
	switch (run->keys->items[i].status) {
	case DKIM_KEY_FOUND:
		problem = key_problem(run, i);
		break;
	case DKIM_KEY_ABSENT:
		problem = "there is no key";
		break;
	case DKIM_KEY_TEMPORARY:
		settle(run, i, AUTH_TEMPERROR, "the key could not be fetched");
		return;
	case DKIM_KEY_TOO_LONG:
		problem = "the key record is too long";
		break;
	case DKIM_KEY_AMBIGUOUS:
		problem = "there is more than one key record";
		break;
	case DKIM_KEY_UNUSABLE:
		problem = "the signature is malformed";
		break;
	}
	if (tags->duplicate || tags->malformed || tags->truncated || fields == NULL) {
		problem = "the signature is malformed";
	} else if (!slice_equal(tag_text(run, i, "v"), SLICE_LITERAL("1"))) {
		problem = "v= is missing, or not 1";
	} else if (!list_has(fields->value, "from")) {
		problem = "the From field is not signed";
	} else if (slice_equal_nocase(algorithm, SLICE_LITERAL("rsa-sha1"))) {
		problem = "rsa-sha1 is not accepted";
	} else if (!slice_equal_nocase(algorithm, SLICE_LITERAL("rsa-sha256")) &&
	           !slice_equal_nocase(algorithm, SLICE_LITERAL("ed25519-sha256"))) {
		problem = "the algorithm is not known";
	}
	if (problem != NULL) {
		settle(run, i, AUTH_PERMERROR, problem);
	}
}

static void run_open(struct run *run, const struct headers *headers)
{
	run->results = arena_alloc(run->arena, run->keys->count * sizeof *run->results);
	for (size_t i = 0; i < run->keys->count; i++) {
		run->fields[i] = headers_find(headers, "DKIM-Signature", i);
		taglist_parse(run->fields[i] == NULL ? (struct slice){"", 0} : run->fields[i]->value, &run->tags[i]);
		run->results[i] = (struct inspect_signature){
		    .result = AUTH_PERMERROR,
		    .domain = run->keys->items[i].domain,
		    .selector = run->keys->items[i].selector,
		    .identity = clean(run->arena, tag_text(run, i, "i")),
		    .algorithm = clean(run->arena, tag_text(run, i, "a")),
		    .problem = "the signature is malformed",
		};
		struct slice b = tag_text(run, i, "b");
		b.len = b.len > 8 ? 8 : b.len;
		run->results[i].b = clean(run->arena, b);
		screen(run, i);
	}
}

static uint64_t tag_number(struct run *run, size_t i, const char *name, uint64_t fallback)
{
	unsigned long long value;
	return slice_to_uint(tag_text(run, i, name), TIME_MAX, &value) ? value : fallback;
}

/* t= and x= (RFC 6376 3.5) at the request's time. */
static bool is_timely(struct run *run, size_t i)
{
	if (tag_number(run, i, "t", 0) > run->now + CLOCK_DRIFT) {
		settle(run, i, AUTH_POLICY, "the signature is from the future");
		return false;
	}
	if (tag_number(run, i, "x", UINT64_MAX) < run->now) {
		settle(run, i, AUTH_POLICY, "the signature has expired");
		return false;
	}
	return true;
}

static bool is_long_enough(struct run *run, size_t i)
{
	const struct inspect_signature *result = &run->results[i];
	bool rsa = slice_starts_nocase(slice_from(result->algorithm), SLICE_LITERAL("rsa"));
	if (rsa && result->key_bits < KEY_BITS_MIN) {
		settle(run, i, AUTH_POLICY, "the key is shorter than 1024 bits");
		return false;
	}
	return true;
}

/* libopendkim takes no message with a signature that is not ASCII, and does not undo the quoting of a domain in i=. */
static bool library_refuses(struct run *run, size_t i)
{
	for (size_t k = 0; k < run->keys->count; k++) {
		if (run->fields[k] != NULL && !slice_is_ascii(run->fields[k]->value)) {
			return true;
		}
	}
	struct slice identity = tag_text(run, i, "i");
	const char *at = memrchr(identity.data, '@', identity.len);
	return at != NULL && memchr(at, '=', (size_t)(identity.data + identity.len - at)) != NULL;
}

static void verify_utf8(struct run *run, const struct headers *headers)
{
	for (size_t i = 0; i < run->keys->count; i++) {
		if (run->settled[i] || run->fields[i] == NULL || !library_refuses(run, i)) {
			continue;
		}
		const char *problem;
		struct dkim_utf8 signature = {.headers = headers,
		                              .body = run->body,
		                              .field = run->fields[i],
		                              .tags = &run->tags[i],
		                              .key = run->keys->items[i].text};
		enum auth_result result = dkim_utf8_verify(run->arena, &signature, &run->results[i].key_bits, &problem);
		if (result != AUTH_PASS || (is_long_enough(run, i) && is_timely(run, i))) {
			settle(run, i, result, problem);
		}
	}
}

static void settle_rest(struct run *run, enum auth_result result, const char *problem)
{
	for (size_t i = 0; i < run->keys->count; i++) {
		if (!run->settled[i]) {
			settle(run, i, result, problem);
		}
	}
}

static bool all_settled(const struct run *run)
{
	for (size_t i = 0; i < run->keys->count; i++) {
		if (!run->settled[i]) {
			return false;
		}
	}
	return true;
}

static bool lines_bounded(struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		size_t end = slice_find(text, '\n', at);
		if (end - at > LINE_MAX_BYTES) {
			return false;
		}
		at = end + 1;
	}
	return true;
}

/* NULL, or why libopendkim is not given the message. It takes a NUL for the end of a field, so that what stands behind
 * it would not be signed; fields left out at the end could be a second From. */
static const char *unfit(const struct headers *headers, struct slice message, size_t body)
{
	if (headers->truncated) {
		return "the message has too many header fields";
	}
	if (body > 0 && memchr(message.data, '\0', body) != NULL) {
		return "the header holds a NUL";
	}
	return lines_bounded(message) ? NULL : "a line of the message is too long";
}

/* Fields as libopendkim wants them: "Name:value" without the final CRLF. DKIM-Signature fields beyond the cap, and
 * names that no field has, stay out. */
static bool feed_headers(DKIM *dkim, struct arena *arena, const struct headers *headers)
{
	size_t signatures = 0;
	for (size_t i = 0; i < headers->count; i++) {
		const struct header *header = &headers->items[i];
		bool signature = slice_equal_nocase(header->name, SLICE_LITERAL("DKIM-Signature"));
		if (header->name.len > FIELD_NAME_MAX || (signature && signatures++ >= DKIM_MAX_SIGNATURES)) {
			continue;
		}
		struct strbuf field;
		strbuf_init(&field, arena);
		strbuf_add_slice(&field, header->name);
		strbuf_add_char(&field, ':');
		strbuf_add_slice(&field, header->value);
		if (dkim_header(dkim, (u_char *)field.data, field.len) != DKIM_STAT_OK) {
			return false;
		}
	}
	return true;
}

static bool feed_body(DKIM *dkim, struct slice body)
{
	u_char end[] = "\r\n";
	bool ended = body.len == 0 || (body.len >= 2 && memcmp(body.data + body.len - 2, "\r\n", 2) == 0);
	if (body.len > 0 && dkim_body(dkim, (u_char *)(uintptr_t)body.data, body.len) != DKIM_STAT_OK) {
		return false;
	}
	return ended || dkim_body(dkim, end, 2) == DKIM_STAT_OK;
}

/* A signature that the library did not pass. */
static void judge_error(struct run *run, size_t i, DKIM_SIGINFO *info)
{
	int error = dkim_sig_geterror(info);
	switch (error) {
	case DKIM_SIGERROR_OK:
		settle(run, i, AUTH_FAIL,
		       dkim_sig_getbh(info) == DKIM_SIGBH_MISMATCH ? "the body was changed" : "the signature does not verify");
		return;
	case DKIM_SIGERROR_BADSIG:
		settle(run, i, AUTH_FAIL,
		       dkim_sig_getbh(info) == DKIM_SIGBH_MISMATCH
		           ? "the body was changed"
		           : "the header fields, or the key, are not those of the signer");
		return;
	case DKIM_SIGERROR_EXPIRED:
	case DKIM_SIGERROR_FUTURE: /* by decades */
		settle(run, i, AUTH_POLICY, "the signature's time is not plausible");
		return;
	default:
		settle(run, i, AUTH_PERMERROR, clean(run->arena, slice_from(dkim_sig_geterrorstr(error))));
	}
}

/* A line's length after relaxed canonicalization: white space at its end is gone, runs within it are one byte. */
static size_t relaxed_length(struct slice line)
{
	size_t n = 0;
	bool space = false;
	for (size_t i = 0; i < line.len; i++) {
		bool blank = line.data[i] == ' ' || line.data[i] == '\t';
		n += blank ? 0 : 1U + space;
		space = blank;
	}
	return n;
}

/* The body's length after canonicalization (RFC 6376 3.4.3 and 3.4.4), which l= counts: empty lines at the end are
 * gone. */
static uint64_t canonical_length(struct slice body, bool relaxed)
{
	uint64_t total = 0;
	uint64_t kept = relaxed ? 0 : 2;
	for (size_t at = 0; at < body.len;) {
		size_t end = slice_find(body, '\n', at);
		size_t len = end - at - (end > at && body.data[end - 1] == '\r');
		size_t n = relaxed ? relaxed_length((struct slice){body.data + at, len}) : len;
		total += n + 2;
		kept = n > 0 ? total : kept;
		at = end + 1;
	}
	return kept;
}

static bool covers_body(struct run *run, DKIM *dkim, DKIM_SIGINFO *info)
{
	ssize_t limit = -1;
	dkim_canon_t header = DKIM_CANON_UNKNOWN;
	dkim_canon_t body = DKIM_CANON_UNKNOWN;
	if (dkim_sig_getcanonlen(dkim, info, NULL, NULL, &limit) != DKIM_STAT_OK ||
	    dkim_sig_getcanons(info, &header, &body) != DKIM_STAT_OK) {
		return false;
	}
	return limit < 0 || (uint64_t)limit >= canonical_length(run->body, body == DKIM_CANON_RELAXED);
}

static void judge(struct run *run, DKIM *dkim, size_t i, DKIM_SIGINFO *info)
{
	struct inspect_signature *result = &run->results[i];
	unsigned int flags = dkim_sig_getflags(info);
	dkim_sig_getkeysize(info, &result->key_bits);
	if ((flags & DKIM_SIGFLAG_PROCESSED) == 0 || !DKIM_SIG_CHECK(info) || dkim_sig_geterror(info) != DKIM_SIGERROR_OK) {
		judge_error(run, i, info);
		return;
	}
	if (!is_long_enough(run, i)) {
		return;
	}
	if (!covers_body(run, dkim, info)) {
		settle(run, i, AUTH_POLICY, "l= leaves a part of the body unsigned");
		return;
	}
	if (is_timely(run, i)) {
		settle(run, i, AUTH_PASS, NULL);
	}
}

static void judge_all(struct run *run, DKIM *dkim)
{
	DKIM_SIGINFO **infos = NULL;
	int count = 0;
	if (dkim_getsiglist(dkim, &infos, &count) != DKIM_STAT_OK) {
		return;
	}
	for (int k = 0; k < count; k++) {
		size_t i = 0;
		while (i < run->keys->count && (run->settled[i] || !is_from(run, infos[k], i))) {
			i++; /* each has its own info, in their order */
		}
		if (i == run->keys->count) {
			continue;
		}
		if ((dkim_sig_getflags(infos[k]) & (DKIM_SIGFLAG_PROCESSED | DKIM_SIGFLAG_IGNORE)) == 0) {
			dkim_sig_process(dkim, infos[k]);
		}
		judge(run, dkim, i, infos[k]);
	}
}

static void run_library(struct run *run, const struct headers *headers)
{
	DKIM_STAT status;
	const unsigned char id[] = "message";
	DKIM *dkim = dkim_verify(library, id, NULL, &status);
	if (dkim == NULL) {
		return;
	}
	dkim_set_user_context(dkim, run);
	if (feed_headers(dkim, run->arena, headers)) {
		if (dkim_eoh(dkim) == DKIM_STAT_OK && feed_body(dkim, run->body)) {
			dkim_eom(dkim, NULL);
		}
		judge_all(run, dkim); /* also where none is worth the body: each has its reason */
	}
	dkim_free(dkim);
}

void dkim_verify_message(struct slice message, const struct dkim_keys *keys, uint64_t now, struct arena *arena,
                         struct inspect_reply *reply_r)
{
	struct run *run = arena_alloc(arena, sizeof *run);
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = HEADERS_MAX, .max_bytes = SIZE_MAX};
	run->arena = arena;
	run->keys = keys;
	run->now = now;
	size_t body = headers_parse(&headers, arena, &limits, message);
	run_open(run, &headers);
	const char *problem = unfit(&headers, message, body);
	if (problem != NULL) {
		settle_rest(run, AUTH_PERMERROR, problem);
	}
	run->body = (struct slice){message.data + body, message.len - body};
	verify_utf8(run, &headers);
	if (!all_settled(run)) {
		run_library(run, &headers);
	}
	reply_r->signature_count = keys->count;
	reply_r->signatures = run->results;
}
