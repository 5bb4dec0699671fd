#include "inspect/token_set.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SLOTS = 2 * INSPECT_TOKENS_MAX, NAME_MAX_BYTES = 160 };

void token_set_init(struct token_set *set, struct arena *arena, const uint64_t *named, size_t named_count)
{
	*set = (struct token_set){.arena = arena, .named = named, .named_count = named_count};
	set->slots = arena_alloc(arena, SLOTS * sizeof *set->slots);
	set->names = arena_alloc(arena, named_count * sizeof *set->names);
}

/* The place of the token's name where that is asked for and not there yet, else NULL. */
static const char **name_wanted(struct token_set *set, uint64_t token)
{
	for (size_t i = 0; i < set->named_count; i++) {
		if (set->named[i] == token && set->names[i] == NULL) {
			return &set->names[i];
		}
	}
	return NULL;
}

/* Of tokens with equal low bits, which anybody can make, each costs a walk over all others: 4096 x 4096 / 2 steps at
 * most. */
static void keep(struct token_set *set, uint64_t token)
{
	size_t at = token % SLOTS;
	while (set->slots[at] != 0 && set->slots[at] != token) {
		at = (at + 1) % SLOTS;
	}
	if (set->slots[at] == token) {
		return;
	}
	if (set->count == INSPECT_TOKENS_MAX) {
		set->cut = true;
		return;
	}
	set->slots[at] = token;
	set->count++;
}

static uint64_t hash(struct slice text, uint64_t seed)
{
	return XXH3_64bits_withSeed(text.data, text.len, seed);
}

enum inspect_token_group token_group(struct token_set *set, enum inspect_token_group group)
{
	enum inspect_token_group before = set->group;
	set->group = group;
	return before;
}

/* Never 0, which marks a free place. */
static uint64_t in_group(enum inspect_token_group group, uint64_t hash)
{
	uint64_t rest = hash & ((UINT64_C(1) << INSPECT_GROUP_SHIFT) - 1);
	return (uint64_t)group << INSPECT_GROUP_SHIFT | (rest == 0 ? 1 : rest);
}

static void tell(struct token_set *set, uint64_t token, const char *kind, const char *text)
{
	const char **name = set->named_count == 0 ? NULL : name_wanted(set, token);
	if (name != NULL) {
		const char *whole = *kind == '\0' ? text : arena_printf(set->arena, "%s: %s", kind, text);
		*name = text_escape(set->arena, slice_from(whole), "", true, NAME_MAX_BYTES);
	}
}

uint64_t token_of(enum inspect_token_group group, const char *kind, struct slice text)
{
	return in_group(group, hash(text, hash(slice_from(kind), 0)));
}

void token_add(struct token_set *set, const char *kind, struct slice text)
{
	uint64_t token = token_of(set->group, kind, text);
	keep(set, token);
	if (set->named_count > 0 && name_wanted(set, token) != NULL) {
		tell(set, token, kind, slice_dup(set->arena, text));
	}
}

void token_add_pair(struct token_set *set, const char *kind, struct slice first, struct slice second, bool gap)
{
	uint64_t token = hash(second, hash(first, hash(slice_from(kind), gap ? 2 : 1)));
	token = in_group(set->group, token);
	keep(set, token);
	if (set->named_count > 0 && name_wanted(set, token) != NULL) {
		tell(set, token, kind,
		     arena_printf(set->arena, "%.*s %s %.*s", SLICE_ARGS(first), gap ? ".." : "+", SLICE_ARGS(second)));
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a;
	uint64_t second = *(const uint64_t *)b;
	return (first > second) - (first < second);
}

void token_set_close(struct token_set *set, struct inspect_reply *reply_r)
{
	uint64_t *tokens = arena_alloc(set->arena, set->count * sizeof *tokens);
	size_t n = 0;
	for (size_t i = 0; i < SLOTS; i++) {
		if (set->slots[i] != 0) {
			tokens[n++] = set->slots[i];
		}
	}
	qsort(tokens, n, sizeof *tokens, by_number);
	reply_r->tokens = tokens;
	reply_r->token_count = n;
	reply_r->tokens_cut = set->cut;
	reply_r->token_names = set->names;
	reply_r->name_count = set->named_count;
}
