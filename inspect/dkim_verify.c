#include "inspect/dkim_verify.h"

#include "inspect/dkim_own.h"
#include "inspect/dkim_record.h"
#include "inspect/dkim_syntax.h"
#include "lib/mail/domain.h"
#include "lib/mail/header.h"

#include <stdio.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <opendkim/dkim.h>
#pragma GCC diagnostic pop

enum {
	LIBRARY_DRIFT =
	    900000000, /* it asks the machine's clock, and takes this off t=: is_timely() asks the request's time */
	FIELD_NAME_MAX = 255,
	HEADERS_MAX = 20000,
	TEXT_MAX = 200,
};

static DKIM_LIB *library;

/* One message under verification. */
struct run {
	struct arena *arena;
	const struct dkim_keys *keys;
	const struct dkim_rules *rules;
	struct dkim_own_body body;
	uint64_t now;
	const struct headers *headers;
	bool odd;      /* the message has bytes that the library misreads */
	size_t beyond; /* DKIM-Signature fields that have no key: they are not looked at */
	const struct header *fields[DKIM_MAX_SIGNATURES];
	struct taglist tags[DKIM_MAX_SIGNATURES];
	struct dkim_record records[DKIM_MAX_SIGNATURES];
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

static struct slice library_tag(struct run *run, DKIM_SIGINFO *info, struct slice name)
{
	const char *value = (const char *)dkim_sig_gettagvalue(info, false, (u_char *)slice_dup(run->arena, name));
	return value == NULL ? (struct slice){NULL, 0} : tag_compact(run->arena, slice_from(value));
}

/* b= alone is not enough: a field that has another one's b=, and a better a= or h=, would be judged in its place. All
 * tags of the field must be those of the library's, and the library has no other one that anything is decided by. */
static bool is_from(struct run *run, DKIM_SIGINFO *info, size_t i)
{
	static const char *const deciding[] = {"v", "a", "b", "bh", "d", "h", "i", "l", "s", "t", "x"};
	const struct taglist *tags = &run->tags[i];
	for (size_t k = 0; k < tags->count; k++) {
		struct slice value = library_tag(run, info, tags->tags[k].name);
		if (value.data == NULL || !slice_equal(tag_compact(run->arena, tags->tags[k].value), value)) {
			return false;
		}
	}
	for (size_t k = 0; k < sizeof deciding / sizeof *deciding; k++) {
		struct slice value = library_tag(run, info, slice_from(deciding[k]));
		if (value.len > 0 && taglist_find(tags, deciding[k]) == NULL) {
			return false;
		}
	}
	return true;
}

/* Which field a DKIM_SIGINFO comes from; of fields that agree in all tags it is any one. */
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

/* See dkim_own.h. */
static bool library_can(const struct run *run, size_t i)
{
	const struct taglist *tags = &run->tags[i];
	const struct tag *identity = taglist_find(tags, "i");
	bool signs_signatures = tag_list_has(taglist_find(tags, "h")->value, "dkim-signature");
	bool quoted = identity != NULL && slice_find(identity->value, '=', 0) < identity->value.len;
	return !run->odd && run->records[i].key.len <= DKIM_RECORD_LIBRARY_MAX && !signs_signatures && !quoted;
}

/* Only signatures that are not settled, and whose key is there, are the library's business. */
static DKIM_CBSTAT on_prescreen(DKIM *dkim, DKIM_SIGINFO **infos, int count)
{
	struct run *run = dkim_get_user_context(dkim);
	for (int k = 0; k < count; k++) {
		size_t i = run_find(run, infos[k]);
		if (i == run->keys->count || run->settled[i] || !library_can(run, i)) {
			dkim_sig_ignore(infos[k]);
		}
	}
	return DKIM_CBSTAT_CONTINUE;
}

static DKIM_CBSTAT on_key(DKIM *dkim, DKIM_SIGINFO *info, u_char *buffer, size_t size)
{
	struct run *run = dkim_get_user_context(dkim);
	size_t i = run_find(run, info);
	if (i == run->keys->count || run->records[i].key.len == 0 || run->records[i].key.len >= size) {
		return DKIM_CBSTAT_NOTFOUND;
	}
	memcpy(buffer, run->records[i].key.data, run->records[i].key.len + 1);
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

static const char *key_problem(struct run *run, size_t i)
{
	struct dkim_record *record = &run->records[i];
	struct inspect_signature *result = &run->results[i];
	dkim_record_read(run->arena, run->keys->items[i].text, tag_text(run, i, "a"), record);
	result->testing = record->testing;
	result->key_bits = record->bits;
	if (record->problem == NULL && !identity_fits(run, i, record->strict)) {
		return "i= is not in the signing domain";
	}
	return record->problem;
}

static const char too_many_fields[] = "the message has too many header fields";

static void screen_key(struct run *run, size_t i)
{
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
	case DKIM_KEY_HEADER_CUT:
		problem = too_many_fields;
		break;
	}
	if (problem != NULL) {
		settle(run, i, AUTH_PERMERROR, problem);
		return;
	}
	bool rsa = slice_starts_nocase(slice_from(run->results[i].algorithm), SLICE_LITERAL("rsa"));
	if (rsa && run->results[i].key_bits < run->rules->key_bits_min) {
		settle(run, i, AUTH_POLICY,
		       arena_printf(run->arena, "the key is shorter than %u bits", run->rules->key_bits_min));
	}
}

/* A time without a place in 64 bits, plus the drift. */
static uint64_t later(uint64_t time, uint64_t drift)
{
	return time > UINT64_MAX - drift ? UINT64_MAX : time + drift;
}

/* t= and x= (RFC 6376 3.5) at the request's time. */
static bool is_timely(struct run *run, size_t i)
{
	const struct taglist *tags = &run->tags[i];
	if (dkim_syntax_number(run->arena, tags, "t", 0) > later(run->now, run->rules->clock_drift)) {
		settle(run, i, AUTH_POLICY, "the signature is from the future");
		return false;
	}
	if (dkim_syntax_number(run->arena, tags, "x", UINT64_MAX) < run->now) {
		settle(run, i, AUTH_POLICY, "the signature has expired");
		return false;
	}
	return true;
}

enum coverage { COVERS_ALL, COVERS_PART, COVERS_TOO_MUCH };

/* What l= says, against the body as it came. */
static enum coverage coverage(struct run *run, size_t i)
{
	const struct taglist *tags = &run->tags[i];
	if (taglist_find(tags, "l") == NULL) {
		return COVERS_ALL;
	}
	uint64_t length = dkim_own_body_length(&run->body, dkim_syntax_body_canon(run->arena, tags));
	uint64_t signed_length = dkim_syntax_number(run->arena, tags, "l", 0);
	return signed_length < length ? COVERS_PART : signed_length > length ? COVERS_TOO_MUCH : COVERS_ALL;
}

/* Everything that can be said before the library is asked. */
static void screen(struct run *run, size_t i)
{
	const struct taglist *tags = &run->tags[i];
	struct slice value = run->fields[i] == NULL ? (struct slice){"", 0} : run->fields[i]->value;
	const char *problem = dkim_syntax_problem(run->arena, value, tags);
	if (problem != NULL) {
		settle(run, i, AUTH_PERMERROR, problem);
	} else if (run->beyond > 0 && tag_list_has(taglist_find(tags, "h")->value, "dkim-signature")) {
		settle(run, i, AUTH_POLICY, "it signs DKIM-Signature fields, of which there are too many");
	} else if (coverage(run, i) == COVERS_TOO_MUCH) {
		settle(run, i, AUTH_PERMERROR, "l= is more than the body has");
	} else if (is_timely(run, i)) {
		screen_key(run, i);
	}
}

static void run_open(struct run *run, const struct headers *headers)
{
	size_t count = headers_count(headers, "DKIM-Signature");
	run->beyond = count > run->keys->count ? count - run->keys->count : 0;
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

static void settle_rest(struct run *run, enum auth_result result, const char *problem)
{
	for (size_t i = 0; i < run->keys->count; i++) {
		if (!run->settled[i]) {
			settle(run, i, result, problem);
		}
	}
}

/* Whether there is anything to do for the library. */
static bool library_needed(const struct run *run)
{
	for (size_t i = 0; i < run->keys->count; i++) {
		if (!run->settled[i] && library_can(run, i)) {
			return true;
		}
	}
	return false;
}

/* Fields as libopendkim wants them: as they stand, without the final CRLF. DKIM-Signature fields beyond the cap, and
 * names that no field has, stay out. */
static bool feed_headers(DKIM *dkim, const struct headers *headers, size_t signatures_max)
{
	size_t signatures = 0;
	for (size_t i = 0; i < headers->count; i++) {
		const struct header *header = &headers->items[i];
		bool signature = slice_equal_nocase(header->name, SLICE_LITERAL("DKIM-Signature"));
		if (header->name.len > FIELD_NAME_MAX || (signature && signatures++ >= signatures_max)) {
			continue;
		}
		if (dkim_header(dkim, (u_char *)(uintptr_t)header->field.data, header->field.len) != DKIM_STAT_OK) {
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

/* A signature that verifies: is it one over this message as people see it? */
static void take(struct run *run, size_t i)
{
	size_t authors = headers_count(run->headers, "From");
	if (coverage(run, i) != COVERS_ALL) {
		settle(run, i, AUTH_POLICY, "l= leaves a part of the body unsigned");
	} else if (authors != 1) {
		/* RFC 6376 3.8 and 8.15: a second From may be the one that is shown. */
		settle(run, i, AUTH_POLICY,
		       authors == 0 ? "the message has no From field" : "the message has more than one From field");
	} else {
		settle(run, i, AUTH_PASS, NULL);
	}
}

static const char body_changed[] = "the body was changed";
static const char header_changed[] = "the header fields, or the key, are not those of the signer";

/* Those that the library cannot judge, or has not judged. */
static void judge_own(struct run *run)
{
	for (size_t i = 0; i < run->keys->count; i++) {
		if (run->settled[i]) {
			continue;
		}
		switch (
		    dkim_own_verify(run->arena, run->headers, run->fields[i], &run->tags[i], &run->body, &run->records[i])) {
		case DKIM_OWN_GOOD:
			take(run, i);
			break;
		case DKIM_OWN_BODY_CHANGED:
			settle(run, i, AUTH_FAIL, body_changed);
			break;
		case DKIM_OWN_WRONG:
			settle(run, i, AUTH_FAIL, header_changed);
			break;
		}
	}
}

/* A signature that the library did not pass; settled but where its reason is none. */
static void judge_error(struct run *run, size_t i, DKIM_SIGINFO *info)
{
	int error = dkim_sig_geterror(info);
	switch (error) {
	case DKIM_SIGERROR_OK:
		settle(run, i, AUTH_FAIL,
		       dkim_sig_getbh(info) == DKIM_SIGBH_MISMATCH ? body_changed : "the signature does not verify");
		return;
	case DKIM_SIGERROR_BADSIG:
		settle(run, i, AUTH_FAIL, dkim_sig_getbh(info) == DKIM_SIGBH_MISMATCH ? body_changed : header_changed);
		return;
	case DKIM_SIGERROR_EXPIRED:
	case DKIM_SIGERROR_FUTURE: /* by its clock: is_timely() has judged by the request's, so dkim_own is left to verify
	                              it */
		return;
	default:
		settle(run, i, AUTH_PERMERROR, clean(run->arena, slice_from(dkim_sig_geterrorstr(error))));
	}
}

static void judge(struct run *run, size_t i, DKIM_SIGINFO *info)
{
	unsigned int flags = dkim_sig_getflags(info);
	if ((flags & DKIM_SIGFLAG_PROCESSED) == 0 || !DKIM_SIG_CHECK(info) || dkim_sig_geterror(info) != DKIM_SIGERROR_OK) {
		judge_error(run, i, info);
		return;
	}
	take(run, i);
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
		if (i == run->keys->count || (dkim_sig_getflags(infos[k]) & DKIM_SIGFLAG_IGNORE) != 0) {
			continue;
		}
		if ((dkim_sig_getflags(infos[k]) & DKIM_SIGFLAG_PROCESSED) == 0) {
			dkim_sig_process(dkim, infos[k]);
		}
		judge(run, i, infos[k]);
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
	/* It refuses a From that it cannot read, say, which is not DKIM's business. */
	if (feed_headers(dkim, headers, run->keys->count) && dkim_eoh(dkim) == DKIM_STAT_OK &&
	    feed_body(dkim, run->body.text)) {
		dkim_eom(dkim, NULL);
		judge_all(run, dkim);
	}
	dkim_free(dkim);
}

void dkim_verify_message(struct slice message, const struct dkim_keys *keys, const struct dkim_rules *rules,
                         uint64_t now, struct arena *arena, struct inspect_reply *reply_r)
{
	struct run *run = arena_alloc(arena, sizeof *run);
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = HEADERS_MAX, .max_bytes = SIZE_MAX};
	run->arena = arena;
	run->keys = keys;
	run->rules = rules;
	run->now = now;
	size_t body = headers_parse(&headers, arena, &limits, message);
	run->body = (struct dkim_own_body){.text = {message.data + body, message.len - body}};
	run->headers = &headers;
	run->odd = dkim_own_needed(&headers, message, body);
	run_open(run, &headers);
	if (headers.truncated) { /* what was left out could be a second From */
		settle_rest(run, AUTH_PERMERROR, too_many_fields);
	}
	if (library_needed(run)) {
		run_library(run, &headers);
	}
	judge_own(run);
	reply_r->signature_count = keys->count;
	reply_r->signatures = run->results;
}
