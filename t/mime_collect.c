#include "t/mime_collect.h"

#include "inspect/mime_charset.h"
#include "inspect/mime_name.h"
#include "lib/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

static void check_contract(const struct part *part)
{
	size_t count = 0;
	for (const char *const *name = part->names; *name != NULL; name++, count++) {
		struct slice text = slice_from(*name);
		require(text.len > 0 && text.len < MIME_NAME_SIZE && utf8_valid(text));
		for (size_t i = 0; i < text.len; i++) {
			require((unsigned char)text.data[i] >= ' ' && text.data[i] != 127);
		}
	}
	require(count <= MIME_NAMES_MAX);
	require(part->type != NULL && part->size == part->content.len);
	require(part->parent == NULL ? part->depth == 0 : part->parent->depth < part->depth);
}

static void visit(void *context, const struct part *part)
{
	struct collection *all = context;
	check_contract(part);
	all->bytes += part->content.len;
	if (all->count == all->capacity) {
		struct found *items = arena_alloc(all->arena, (all->capacity * 2 + 16) * sizeof *items);
		memcpy(items, all->items == NULL ? items : all->items, all->count * sizeof *items);
		all->items = items;
		all->capacity = all->capacity * 2 + 16;
	}
	struct found *found = &all->items[all->count++];
	size_t names = 0;
	while (part->names[names] != NULL) {
		names++;
	}
	found->names = arena_alloc(all->arena, (names + 1) * sizeof *found->names);
	for (size_t i = 0; i < names; i++) {
		found->names[i] = arena_strdup(all->arena, part->names[i]);
	}
	found->type = arena_strdup(all->arena, part->type);
	found->parent = part->parent == NULL ? NULL : arena_strdup(all->arena, part->parent->type);
	found->depth = part->depth;
	found->encrypted = part->encrypted;
	found->content.len = part->content.len;
	found->content.data = all->keep ? slice_dup(all->arena, part->content) : NULL;
}

void collection_open(struct collection *collection, struct slice message, const struct part_budget *budget, bool keep)
{
	char *exact = malloc(message.len); /* so that ASan sees a read behind its end */
	*collection = (struct collection){.arena = arena_create(65536), .keep = keep};
	if (message.len > 0) {
		memcpy(exact, message.data, message.len);
	}
	collection->budget = (struct part_budget){.bytes = 1ULL << 30, .parts = 100000, .depth_max = 100};
	if (budget != NULL) {
		collection->budget = *budget;
	}
	uint64_t start = clock_now();
	if (collection->budget.deadline == 0) {
		collection->budget.deadline = start + 10 * CLOCK_NS_PER_S;
	}
	mime_walk((struct slice){exact, message.len}, NULL, &collection->budget, visit, collection, &collection->result);
	collection->ns = clock_now() - start;
	free(exact);
}

void collection_close(struct collection *collection)
{
	arena_destroy(collection->arena);
}

bool collection_has_content(const struct collection *collection, struct slice content)
{
	for (size_t i = 0; i < collection->count; i++) {
		if (slice_equal(collection->items[i].content, content)) {
			return true;
		}
	}
	return false;
}

bool collection_has_name(const struct collection *collection, const char *name)
{
	for (size_t i = 0; i < collection->count; i++) {
		for (const char **at = collection->items[i].names; *at != NULL; at++) {
			if (strcmp(*at, name) == 0) {
				return true;
			}
		}
	}
	return false;
}

const char *collection_reasons(struct collection *collection)
{
	struct strbuf out;
	strbuf_init(&out, collection->arena);
	for (unsigned i = 0; i < MIME_REASON_COUNT; i++) {
		if ((collection->result.reasons >> i & 1) != 0) {
			strbuf_printf(&out, "%s%s", out.len > 0 ? " " : "", mime_reason_word((enum mime_reason)i));
		}
	}
	return out.data;
}

bool collection_ambiguous(const struct collection *collection)
{
	for (unsigned i = 0; i < MIME_REASON_COUNT; i++) {
		if ((collection->result.reasons >> i & 1) != 0 && mime_reason_class((enum mime_reason)i) == MIME_AMBIGUOUS) {
			return true;
		}
	}
	return false;
}

struct slice collection_read_file(struct arena *arena, const char *path)
{
	FILE *file = fopen(path, "rb");
	struct slice bytes = {NULL, 0};
	if (file == NULL) {
		return bytes;
	}
	if (fseek(file, 0, SEEK_END) == 0) {
		long size = ftell(file);
		char *data = arena_alloc(arena, (size_t)(size < 0 ? 0 : size) + 1);
		rewind(file);
		bytes = (struct slice){data, fread(data, 1, size < 0 ? 0 : (size_t)size, file)};
	}
	fclose(file);
	return bytes;
}
