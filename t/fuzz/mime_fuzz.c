/* The MIME walk. What it visits keeps its contract, and a budget of a few parts and bytes is kept. */
#include "inspect/mime.h"
#include "inspect/mime_charset.h"
#include "inspect/mime_name.h"
#include "lib/base/clock.h"
#include "t/fuzz/fuzz.h"

enum { PARTS = 2000, DEPTH = 60, BYTES = 1 << 22 };

static void visit(void *context, const struct part *part)
{
	size_t *visits = context;
	size_t names = 0;
	unsigned char last = 0;
	for (const char *const *name = part->names; *name != NULL; name++, names++) {
		struct slice text = slice_from(*name);
		require(text.len > 0 && text.len < MIME_NAME_SIZE && utf8_valid(text));
		for (size_t i = 0; i < text.len; i++) {
			require((unsigned char)text.data[i] >= ' ' && text.data[i] != 127);
		}
	}
	for (size_t i = 0; i < part->content.len; i++) {
		last = (unsigned char)(last ^ (unsigned char)part->content.data[i]); /* every byte can be read */
	}
	require(names <= MIME_NAMES_MAX && part->depth <= DEPTH && part->size == part->content.len + (last & 0));
	require(part->parent == NULL || part->parent->depth < part->depth);
	++*visits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t visits = 0;
	struct mime_result result = {.reasons = 0};
	struct part_budget budget = {
	    .bytes = BYTES, .parts = PARTS, .depth_max = DEPTH, .deadline = clock_now() + 20 * CLOCK_NS_PER_S};
	mime_load();
	mime_walk((struct slice){(const char *)data, size}, NULL, &budget, visit, &visits, &result);
	require(result.reasons < 1U << MIME_REASON_COUNT);
	require(budget.exhausted != NULL || visits > 0 || size > 0);
	return 0;
}
