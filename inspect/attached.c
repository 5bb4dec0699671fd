#include "inspect/attached.h"

#include "inspect/mime.h"
#include "lib/inspect/inspect.h"

struct search {
	struct arena *arena;
	unsigned wanted, count;
	struct slice found;
};

static bool is_message(const struct part *part)
{
	return strcmp(part->type, "message/rfc822") == 0 || strcmp(part->type, "message/global") == 0;
}

static void visit(void *context, const struct part *part)
{
	struct search *search = context;
	if (!is_message(part) || part->content.len == 0 || search->count == INSPECT_ATTACHED_MAX) {
		return;
	}
	for (const struct part *outer = part->parent; outer != NULL; outer = outer->parent) {
		if (is_message(outer)) {
			return;
		}
	}
	if (++search->count == search->wanted) {
		search->found =
		    (struct slice){arena_memdup(search->arena, part->content.data, part->content.len), part->content.len};
	}
}

struct slice attached_find(struct slice message, unsigned n, struct part_budget *budget, struct arena *arena,
                           unsigned *count_r)
{
	struct search search = {.arena = arena, .wanted = n};
	struct mime_result result = {.reasons = 0};
	mime_walk(message, NULL, budget, visit, &search, &result);
	*count_r = search.count;
	return search.found;
}
