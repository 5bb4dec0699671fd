#include "lib/pipeline/greylist_cause.h"

#include "lib/base/slice.h"
#include "lib/policy/option_value.h"

#include <fnmatch.h>

static const char expected[] =
    "all, unauthenticated, \"score NUMBER\", or the code of a finding, in which * stands for any "
    "text, such as client.ptr_*";

/* Without the other signs of fnmatch(). */
static bool is_pattern(const char *text)
{
	return strchr(text, '.') != NULL && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.*")] == '\0';
}

static bool cause_parse(struct arena *arena, const char *text, struct greylist_cause *cause_r)
{
	struct action action;
	bool enforced;
	const char *small = slice_dup_lower(arena, slice_trim(slice_from(text)));
	*cause_r = (struct greylist_cause){.kind = GREYLIST_CODE, .text = small};
	if (strcmp(small, "all") == 0) {
		cause_r->kind = GREYLIST_ALL;
	} else if (strcmp(small, "unauthenticated") == 0) {
		cause_r->kind = GREYLIST_UNAUTHENTICATED;
	} else if (action_parse(small, &action, &enforced) && action.kind == ACTION_SCORE) {
		cause_r->kind = GREYLIST_SCORE;
		cause_r->score = action.score;
		return action.score > 0;
	} else {
		return is_pattern(small);
	}
	return true;
}

bool greylist_causes_parse(struct arena *arena, const char *const *values, size_t count, void *member,
                           const char **expected_r)
{
	struct greylist_cause *items = arena_alloc(arena, count * sizeof *items);
	for (size_t i = 0; i < count; i++) {
		if (!cause_parse(arena, values[i], &items[i])) {
			*expected_r = expected;
			return false;
		}
	}
	if (member != NULL) {
		*(struct greylist_causes *)member = (struct greylist_causes){count, items};
	}
	return true;
}

bool greylist_cause_matches(const struct greylist_cause *cause, const char *code)
{
	return cause->kind == GREYLIST_CODE && fnmatch(cause->text, code, 0) == 0;
}
