#include "lib/auth/arc_chain.h"

#include <stdio.h>

static const char *const names[ARC_FIELD_COUNT] = {
    [ARC_RESULTS] = "ARC-Authentication-Results",
    [ARC_MESSAGE_SIGNATURE] = "ARC-Message-Signature",
    [ARC_SEAL] = "ARC-Seal",
};

static const struct taglist no_tags;

const char *arc_field_name(enum arc_field field)
{
	return names[field];
}

const char *arc_cv_name(enum arc_cv cv)
{
	switch (cv) {
	case ARC_CV_NONE:
		return "none";
	case ARC_CV_PASS:
		return "pass";
	case ARC_CV_FAIL:
		return "fail";
	}
	return NULL;
}

/* ---- instances ---- */

/* position = 1*2DIGIT, 1 to 50 (4.2.1); 0: it is none. */
static unsigned position(struct slice text)
{
	unsigned long long value;
	return text.len <= 2 && slice_to_uint(text, ARC_MAX_SETS, &value) ? (unsigned)value : 0;
}

/* Behind comments (nested, with quoted pairs) and folding white space; text.len when a comment does not end. */
static size_t skip_cfws(struct slice text, size_t at)
{
	unsigned depth = 0;
	for (; at < text.len; at++) {
		char c = text.data[at];
		if (c == '(') {
			depth++;
		} else if (c == ')' && depth > 0) {
			depth--;
		} else if (c == '\\' && depth > 0) {
			at++;
		} else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
			return at;
		}
	}
	return text.len;
}

unsigned arc_results_instance(struct slice value, struct slice *payload_r)
{
	size_t at = skip_cfws(value, 0);
	*payload_r = (struct slice){"", 0};
	if (at >= value.len || value.data[at] != 'i') {
		return 0;
	}
	at = skip_cfws(value, at + 1);
	if (at >= value.len || value.data[at] != '=') {
		return 0;
	}
	at = skip_cfws(value, at + 1);
	size_t end = at;
	while (end < value.len && ascii_is_digit(value.data[end])) {
		end++;
	}
	size_t semicolon = skip_cfws(value, end);
	if (semicolon >= value.len || value.data[semicolon] != ';') {
		return 0;
	}
	*payload_r = (struct slice){value.data + semicolon + 1, value.len - semicolon - 1};
	return position((struct slice){value.data + at, end - at});
}

static unsigned tags_instance(const struct taglist *tags)
{
	const struct tag *tag = taglist_find(tags, "i");
	return tag == NULL ? 0 : position(tag->value);
}

/* ---- the chain ---- */

static bool field_kind(struct slice name, enum arc_field *field_r)
{
	for (enum arc_field field = ARC_RESULTS; field < ARC_FIELD_COUNT; field++) {
		if (slice_equal_nocase(name, slice_from(names[field]))) {
			*field_r = field;
			return true;
		}
	}
	return false;
}

static void add_problem(struct arc_chain *chain, const char *problem)
{
	if (chain->problem == NULL) {
		chain->problem = problem;
	}
}

static void add_field(struct arena *arena, struct arc_chain *chain, enum arc_field field, const struct header *header)
{
	struct taglist *tags = NULL;
	struct slice payload;
	if (header->value.len > ARC_MAX_FIELD) {
		chain->too_long = true;
		add_problem(chain, arena_printf(arena, "an %s field is longer than %d bytes", names[field], ARC_MAX_FIELD));
		return;
	}
	if (field != ARC_RESULTS) {
		tags = arena_alloc(arena, sizeof *tags);
		taglist_parse(header->value, tags);
	}
	unsigned instance = tags == NULL ? arc_results_instance(header->value, &payload) : tags_instance(tags);
	if (instance == 0) {
		add_problem(chain, arena_printf(arena, "an %s field has no i= from 1 to %d", names[field], ARC_MAX_SETS));
		return;
	}
	struct arc_links *set = &chain->sets[instance - 1];
	if (set->fields[field] != NULL) {
		add_problem(chain, arena_printf(arena, "i=%u has more than one %s field", instance, names[field]));
		return;
	}
	set->fields[field] = header;
	set->tags[field] = tags == NULL ? &no_tags : tags;
	chain->count = instance > chain->count ? instance : chain->count;
}

/* 5.2 step 3 A and B. */
static void check_complete(struct arena *arena, struct arc_chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++) {
		for (enum arc_field field = ARC_RESULTS; field < ARC_FIELD_COUNT; field++) {
			if (chain->sets[i].fields[field] == NULL) {
				add_problem(chain, arena_printf(arena, "i=%u has no %s field", i + 1, names[field]));
			}
		}
	}
}

static bool seal_says(const struct arc_links *set, enum arc_cv cv)
{
	const struct tag *tag = taglist_find(set->tags[ARC_SEAL], "cv");
	return tag != NULL && slice_equal(tag->value, slice_from(arc_cv_name(cv)));
}

/* Step 3 C. */
static void check_cv(struct arena *arena, struct arc_chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++) {
		enum arc_cv wanted = i == 0 ? ARC_CV_NONE : ARC_CV_PASS;
		if (!seal_says(&chain->sets[i], wanted)) {
			add_problem(chain, arena_printf(arena, "the seal of i=%u does not say cv=%s", i + 1, arc_cv_name(wanted)));
		}
	}
}

void arc_chain_read(struct arena *arena, const struct headers *headers, struct arc_chain *chain_r)
{
	enum arc_field field;
	*chain_r = (struct arc_chain){.fields = 0};
	for (size_t i = 0; i < headers->count; i++) {
		chain_r->fields += field_kind(headers->items[i].name, &field);
	}
	if (chain_r->fields == 0) {
		return;
	}
	if (chain_r->fields > (size_t)ARC_MAX_SETS * ARC_FIELD_COUNT) {
		chain_r->too_long = true;
		add_problem(chain_r, arena_printf(arena, "there are more than %d sets", ARC_MAX_SETS));
		return;
	}
	chain_r->sets = arena_alloc(arena, ARC_MAX_SETS * sizeof *chain_r->sets);
	for (size_t i = 0; i < ARC_MAX_SETS; i++) {
		chain_r->sets[i] = (struct arc_links){.tags = {&no_tags, &no_tags, &no_tags}};
	}
	for (size_t i = 0; i < headers->count; i++) {
		if (field_kind(headers->items[i].name, &field)) {
			add_field(arena, chain_r, field, &headers->items[i]);
		}
	}
	if (chain_r->count > 0 && seal_says(&chain_r->sets[chain_r->count - 1], ARC_CV_FAIL)) {
		chain_r->ended = true;
		add_problem(chain_r, "the newest seal says cv=fail");
	}
	check_complete(arena, chain_r);
	check_cv(arena, chain_r);
}
