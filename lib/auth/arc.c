#include "lib/auth/arc.h"

#include "lib/auth/canon.h"
#include "lib/auth/key_record.h"
#include "lib/mail/domain.h"

enum {
	NAMES_MAX = 512,  /* of h=: each is looked for in the whole header */
	RESULTS_MAX = 32, /* of one set */
	CANONS = 2,
};

#define TIME_MAX 999999999999ULL /* the largest that t= and x= must be able to say (RFC 6376 3.5) */

/* A check's outcome, from good to bad: the worst counts. */
enum outcome { GOOD, TEMPORARY, BAD };

struct run {
	struct arena *arena;
	const struct headers *headers;
	struct slice body;
	const struct arc_keys *keys;
	uint64_t now;
	struct arc_chain chain;
	enum outcome outcome;
	const char *problem;
	bool hashed[CANONS]; /* the body, once for each canonical form */
	uint8_t digests[CANONS][CANON_DIGEST_SIZE];
	uint64_t lengths[CANONS];
};

static void note(struct run *run, enum outcome outcome, unsigned instance, enum arc_field field, const char *problem)
{
	if (outcome > run->outcome) {
		run->outcome = outcome;
		run->problem = arena_printf(run->arena, "%s i=%u: %s", arc_field_name(field), instance, problem);
	}
}

/* ---- tags ---- */

static struct slice compact(struct run *run, const struct taglist *tags, const char *name)
{
	const struct tag *tag = taglist_find(tags, name);
	return tag == NULL ? (struct slice){"", 0} : tag_compact(run->arena, tag->value);
}

/* What both kinds of field must have (4.1.2, 4.1.3); NULL: it is there. */
static const char *tags_problem(struct run *run, const struct taglist *tags, const char *const *needed)
{
	if (tags->malformed || tags->duplicate || tags->truncated) {
		return "the tags are malformed";
	}
	for (; *needed != NULL; needed++) {
		if (taglist_find(tags, *needed) == NULL) {
			return arena_printf(run->arena, "there is no %s=", *needed);
		}
	}
	return NULL;
}

/* t= and x=: digits, when they are there. A t= ahead of our clock is no fault (RFC 6376 3.5 leaves it to the verifier):
 * nothing hangs on it, and a hop's clock that is wrong would break every chain through it. */
static const char *time_problem(struct run *run, const struct taglist *tags, bool expires)
{
	const struct tag *signed_at = taglist_find(tags, "t");
	const struct tag *expiry = expires ? taglist_find(tags, "x") : NULL;
	unsigned long long from = 0;
	unsigned long long until = TIME_MAX;
	if (signed_at != NULL && !slice_to_uint(signed_at->value, TIME_MAX, &from)) {
		return "t= is no time";
	}
	if (expiry != NULL && !slice_to_uint(expiry->value, TIME_MAX, &until)) {
		return "x= is no time";
	}
	return until < run->now || until < from ? "it has expired" : NULL;
}

/* ---- signatures ---- */

static const struct dkim_key *key_find(const struct arc_keys *keys, const char *name)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (strcmp(keys->items[i].name, name) == 0) {
			return &keys->items[i];
		}
	}
	return NULL;
}

/* The record of the key that d= and s= name. */
static enum outcome key_fetch(struct run *run, const struct taglist *tags, struct slice *text_r, const char **problem_r)
{
	struct dkim_key named;
	if (!dkim_key_read(run->arena, tags, &named)) {
		*problem_r = "d= or s= is no domain name";
		return BAD;
	}
	const struct dkim_key *key = key_find(run->keys, named.name);
	switch (key == NULL ? DKIM_KEY_TEMPORARY : key->status) {
	case DKIM_KEY_FOUND:
		*text_r = key->text;
		return GOOD;
	case DKIM_KEY_ABSENT:
	case DKIM_KEY_UNUSABLE:
	case DKIM_KEY_HEADER_CUT:
		*problem_r = "there is no key";
		return BAD;
	case DKIM_KEY_TEMPORARY:
		*problem_r = "the key could not be fetched";
		return TEMPORARY;
	case DKIM_KEY_TOO_LONG:
		*problem_r = "the key record is too long";
		return BAD;
	case DKIM_KEY_AMBIGUOUS:
		*problem_r = "there is more than one key record";
		return BAD;
	}
	return BAD;
}

/* b= over data, with the key that d= and s= name. */
static enum outcome signature_check(struct run *run, const struct taglist *tags, struct slice data,
                                    const char **problem_r)
{
	enum dkim_algorithm algorithm;
	struct slice record;
	struct slice signature;
	if (!dkim_algorithm_parse(compact(run, tags, "a"), &algorithm)) {
		*problem_r = "the algorithm is not accepted";
		return BAD;
	}
	struct slice b = compact(run, tags, "b");
	if (b.len == 0 || !dkim_base64_decode(run->arena, b, &signature)) {
		*problem_r = "b= is not base64";
		return BAD;
	}
	enum outcome outcome = key_fetch(run, tags, &record, problem_r);
	if (outcome != GOOD) {
		return outcome;
	}
	struct dkim_public_key *key = key_record_open(run->arena, record, algorithm, problem_r);
	if (key == NULL) {
		return BAD;
	}
	bool good = dkim_public_key_verify(key, data, signature);
	dkim_public_key_destroy(key);
	*problem_r = "the signature is not valid";
	return good ? GOOD : BAD;
}

/* ---- ARC-Message-Signature ---- */

static bool canon_word(struct slice word, enum canon *canon_r)
{
	*canon_r = slice_equal(word, SLICE_LITERAL("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
	return *canon_r == CANON_RELAXED || slice_equal(word, SLICE_LITERAL("simple"));
}

/* c= (RFC 6376 3.5): of the header, and of the body where it is given; simple otherwise. */
static bool canon_read(struct run *run, const struct taglist *tags, enum canon *header_r, enum canon *body_r)
{
	struct slice text = compact(run, tags, "c");
	size_t slash = slice_find(text, '/', 0);
	*body_r = CANON_SIMPLE;
	return canon_word((struct slice){text.data, slash}, header_r) &&
	       (slash == text.len || canon_word((struct slice){text.data + slash + 1, text.len - slash - 1}, body_r));
}

static const char *names_problem(struct slice names)
{
	struct slice name;
	size_t count = 0;
	while (slice_split(&names, ':', &name)) {
		if (++count > NAMES_MAX) {
			return "h= names too many fields";
		}
		if (slice_equal_nocase(name, SLICE_LITERAL("ARC-Seal"))) {
			return "h= names ARC-Seal";
		}
	}
	return NULL;
}

/* q= is dns/txt, where it is given (RFC 6376 3.5). */
static bool query_usable(struct run *run, const struct taglist *tags)
{
	struct slice rest = taglist_find(tags, "q") == NULL ? SLICE_LITERAL("dns/txt") : compact(run, tags, "q");
	struct slice method;
	while (slice_split(&rest, ':', &method)) {
		if (slice_equal_nocase(method, SLICE_LITERAL("dns/txt"))) {
			return true;
		}
	}
	return false;
}

/* bh= and l= against the body. */
static const char *body_problem(struct run *run, const struct taglist *tags, enum canon canon)
{
	struct slice digest;
	unsigned long long limit = UINT64_MAX;
	const struct tag *length = taglist_find(tags, "l");
	if (length != NULL && !slice_to_uint(length->value, UINT64_MAX / 2, &limit)) {
		return "l= is no number";
	}
	if (!dkim_base64_decode(run->arena, compact(run, tags, "bh"), &digest) || digest.len != CANON_DIGEST_SIZE) {
		return "bh= is no hash";
	}
	if (!run->hashed[canon]) {
		run->lengths[canon] = canon_body(run->body, canon, UINT64_MAX, run->digests[canon]);
		run->hashed[canon] = true;
	}
	if (limit < run->lengths[canon]) {
		return "l= leaves a part of the body unsigned";
	}
	return memcmp(digest.data, run->digests[canon], CANON_DIGEST_SIZE) == 0 ? NULL : "the body was changed";
}

static const char *const message_tags[] = {"i", "a", "b", "bh", "d", "h", "s", NULL};
static const char *const seal_tags[] = {"i", "a", "b", "cv", "d", "s", NULL};

/* Everything but the body and the signature itself. */
static const char *message_tags_problem(struct run *run, const struct taglist *tags)
{
	const char *problem = tags_problem(run, tags, message_tags);
	problem = problem != NULL ? problem : time_problem(run, tags, true);
	problem = problem != NULL ? problem : names_problem(compact(run, tags, "h"));
	return problem == NULL && !query_usable(run, tags) ? "q= is not known" : problem;
}

static enum outcome canonical_check(struct run *run, const struct arc_links *set, enum canon header, enum canon body,
                                    const char **problem_r)
{
	const struct taglist *tags = set->tags[ARC_MESSAGE_SIGNATURE];
	const struct header *field = set->fields[ARC_MESSAGE_SIGNATURE];
	struct strbuf data;
	*problem_r = body_problem(run, tags, body);
	if (*problem_r != NULL) {
		return BAD;
	}
	strbuf_init(&data, run->arena);
	canon_fields(&data, run->arena, run->headers, compact(run, tags, "h"), header);
	canon_signature(&data, field->name, field->value, header);
	return signature_check(run, tags, (struct slice){data.data, data.len}, problem_r);
}

/* Without c= it would be simple/simple by RFC 6376; the sealers' test suite takes it for relaxed/relaxed, as for a
 * seal: whichever the sealer meant, the signature says so. */
static enum outcome message_signature_check(struct run *run, unsigned instance, const char **problem_r)
{
	const struct arc_links *set = &run->chain.sets[instance - 1];
	const struct taglist *tags = set->tags[ARC_MESSAGE_SIGNATURE];
	enum canon header = CANON_RELAXED;
	enum canon body = CANON_RELAXED;
	bool given = taglist_find(tags, "c") != NULL;
	*problem_r = message_tags_problem(run, tags);
	if (*problem_r == NULL && given && !canon_read(run, tags, &header, &body)) {
		*problem_r = "c= is not known";
	}
	if (*problem_r != NULL) {
		return BAD;
	}
	enum outcome outcome = canonical_check(run, set, header, body, problem_r);
	if (outcome == BAD && !given) {
		outcome = canonical_check(run, set, CANON_SIMPLE, CANON_SIMPLE, problem_r);
	}
	return outcome;
}

/* Does h= name From as often as the message has it? */
static bool signs_from(struct run *run, unsigned instance)
{
	struct slice names = compact(run, run->chain.sets[instance - 1].tags[ARC_MESSAGE_SIGNATURE], "h");
	struct slice name;
	size_t count = 0;
	while (slice_split(&names, ':', &name)) {
		count += slice_equal_nocase(name, SLICE_LITERAL("From"));
	}
	return count > 0 && count >= headers_count(run->headers, "From");
}

/* 5.2 step 5. */
static unsigned oldest_pass(struct run *run)
{
	const char *problem;
	unsigned oldest = run->chain.count;
	while (oldest > 1 && message_signature_check(run, oldest - 1, &problem) == GOOD) {
		oldest--;
	}
	return oldest == 1 ? 0 : oldest;
}

/* ---- ARC-Seal ---- */

/* Steps 4 and 6. The seal of i is over all sets up to its own, each as results, message signature, seal (5.1.1): what
 * the next one is over begins with what this one is over, so one text that grows serves them all. */
static void seals_check(struct run *run)
{
	struct strbuf data;
	strbuf_init(&data, run->arena);
	for (unsigned i = 1; i <= run->chain.count && run->outcome != BAD; i++) {
		const struct arc_links *set = &run->chain.sets[i - 1];
		const struct taglist *tags = set->tags[ARC_SEAL];
		const char *problem = tags_problem(run, tags, seal_tags);
		problem = problem != NULL ? problem : time_problem(run, tags, false);
		if (problem == NULL && taglist_find(tags, "h") != NULL) {
			problem = "it has h=";
		}
		if (problem != NULL) {
			note(run, BAD, i, ARC_SEAL, problem);
			return;
		}
		for (enum arc_field field = ARC_RESULTS; field < ARC_SEAL; field++) {
			canon_header(&data, set->fields[field]->name, set->fields[field]->value, CANON_RELAXED, true);
		}
		size_t before = data.len;
		canon_signature(&data, set->fields[ARC_SEAL]->name, set->fields[ARC_SEAL]->value, CANON_RELAXED);
		enum outcome outcome = signature_check(run, tags, (struct slice){data.data, data.len}, &problem);
		note(run, outcome, i, ARC_SEAL, problem);
		data.len = before;
		canon_header(&data, set->fields[ARC_SEAL]->name, set->fields[ARC_SEAL]->value, CANON_RELAXED, true);
	}
}

/* ---- the verdict ---- */

static bool cv_parse(const struct taglist *tags, enum arc_cv *cv_r)
{
	const struct tag *tag = taglist_find(tags, "cv");
	for (enum arc_cv cv = ARC_CV_NONE; tag != NULL && cv <= ARC_CV_FAIL; cv++) {
		if (slice_equal(tag->value, slice_from(arc_cv_name(cv)))) {
			*cv_r = cv;
			return true;
		}
	}
	return false;
}

static struct arc_set *sets_describe(struct run *run)
{
	struct arc_set *sets = arena_alloc(run->arena, run->chain.count * sizeof *sets);
	for (unsigned i = 0; i < run->chain.count; i++) {
		const struct taglist *tags = run->chain.sets[i].tags[ARC_SEAL];
		struct dkim_key key;
		dkim_key_read(run->arena, tags, &key);
		sets[i] = (struct arc_set){.instance = i + 1, .domain = key.domain, .selector = key.selector};
		sets[i].has_cv = cv_parse(tags, &sets[i].cv);
	}
	return sets;
}

static void sets_add_results(struct run *run, struct arc_set *sets)
{
	size_t room = ARC_MAX_RESULTS;
	for (unsigned i = run->chain.count; i > 0 && room > 0; i--) {
		struct slice payload;
		struct arc_result *results = arena_alloc(run->arena, RESULTS_MAX * sizeof *results);
		arc_results_instance(run->chain.sets[i - 1].fields[ARC_RESULTS]->value, &payload);
		size_t count = arc_results_read(run->arena, payload, RESULTS_MAX, results);
		if (count > room) {
			return;
		}
		sets[i - 1].results = results;
		sets[i - 1].result_count = count;
		room -= count;
	}
}

static void chain_check(struct run *run)
{
	const char *problem = NULL;
	if (run->chain.problem != NULL) {
		run->outcome = BAD;
		run->problem = run->chain.problem;
		return;
	}
	enum outcome outcome = message_signature_check(run, run->chain.count, &problem);
	note(run, outcome, run->chain.count, ARC_MESSAGE_SIGNATURE, problem);
	if (run->outcome != BAD) {
		seals_check(run);
	}
}

void arc_verify(struct arena *arena, const struct headers *headers, struct slice body, const struct arc_keys *keys,
                uint64_t now, struct arc_verdict *verdict_r)
{
	static const enum auth_result results[] = {[GOOD] = AUTH_PASS, [TEMPORARY] = AUTH_TEMPERROR, [BAD] = AUTH_FAIL};
	struct run *run = arena_alloc(arena, sizeof *run);
	*run = (struct run){.arena = arena, .headers = headers, .body = body, .keys = keys, .now = now};
	*verdict_r = (struct arc_verdict){.result = AUTH_NONE};
	arc_chain_read(arena, headers, &run->chain);
	if (run->chain.fields == 0) {
		return;
	}
	chain_check(run);
	struct arc_set *sets = sets_describe(run);
	verdict_r->result = results[run->outcome];
	verdict_r->problem = run->problem;
	verdict_r->count = run->chain.count;
	verdict_r->sets = sets;
	verdict_r->too_long = run->chain.too_long;
	verdict_r->ended = run->chain.ended;
	if (run->outcome == GOOD) {
		verdict_r->oldest_pass = oldest_pass(run);
		verdict_r->from_signed = signs_from(run, run->chain.count);
		sets_add_results(run, sets);
	}
}
