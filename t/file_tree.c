#include "t/file_tree.h"

#include "lib/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* libarchive asks for as much memory as a damaged header says; malloc() says no, ASan's should too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

struct part_budget file_tree_budget(void)
{
	return (struct part_budget){
	    .bytes = 256 << 20, .parts = 2000, .depth_max = 16, .deadline = clock_now() + 60 * CLOCK_NS_PER_S};
}

const char *file_tree_words(struct arena *arena, uint64_t classes)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((classes & FILE_CLASS_BIT(i)) != 0) {
			strbuf_printf(&text, "%s%s", text.len == 0 ? "" : " ", file_classes[i].name);
		}
	}
	return text.len == 0 ? "" : text.data;
}

static void tell(struct file_tree *tree, const struct part *part, const struct file_verdict *verdict)
{
	strbuf_printf(&tree->text, "%u ", part->depth);
	for (size_t i = 0; part->names[i] != NULL; i++) {
		strbuf_printf(&tree->text, "%s%s", i == 0 ? "" : "|", part->names[i]);
	}
	strbuf_printf(&tree->text, " %s %llu%s %s\n", verdict->type, (unsigned long long)part->size,
	              part->encrypted ? " encrypted" : "", file_tree_words(tree->arena, verdict->classes));
}

static void visit(void *context, const struct part *part)
{
	struct file_tree *tree = context;
	struct arena *arena = arena_create(4096);
	struct file_verdict verdict;
	tree->parts++;
	filetype_examine(part, arena, &verdict);
	filetype_walk(part, &tree->budget, visit, tree, &verdict);
	tree->classes |= verdict.classes;
	if (tree->parts < 2000) {
		tell(tree, part, &verdict);
	}
	arena_destroy(arena);
}

static uint64_t cpu_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

void file_tree_walk_as(struct file_tree *tree, const char *const *names, const char *type, struct slice content,
                       const struct part_budget *budget)
{
	char *heap = malloc(content.len == 0 ? 1 : content.len);
	uint64_t start = cpu_now();
	*tree = (struct file_tree){.arena = arena_create(65536), .budget = *budget};
	strbuf_init(&tree->text, tree->arena);
	if (content.len > 0) {
		memcpy(heap, content.data, content.len);
	}
	struct part part = {.names = names, .type = type, .content = {heap, content.len}, .size = content.len};
	tree->parts = 1;
	filetype_examine(&part, tree->arena, &tree->top);
	filetype_walk(&part, &tree->budget, visit, tree, &tree->top);
	tree->classes |= tree->top.classes;
	tell(tree, &part, &tree->top);
	tree->milliseconds = (cpu_now() - start) / CLOCK_NS_PER_MS;
	free(heap);
}

void file_tree_walk(struct file_tree *tree, const char *name, struct slice content)
{
	const char *const names[] = {name, NULL};
	struct part_budget budget = file_tree_budget();
	file_tree_walk_as(tree, names, "", content, &budget);
}

void file_tree_free(struct file_tree *tree)
{
	arena_destroy(tree->arena);
}

bool file_tree_has(const struct file_tree *tree, enum file_class class)
{
	return (tree->classes & FILE_CLASS_BIT(class)) != 0;
}

struct slice file_tree_read(const char *path)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	struct slice content = {NULL, 0};
	if (file != NULL && fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode)) {
		char *data = malloc((size_t)st.st_size + 1);
		content = (struct slice){data, fread(data, 1, (size_t)st.st_size, file)};
	}
	if (file != NULL) {
		fclose(file);
	}
	return content;
}

void file_tree_let_go(struct slice content)
{
	free((char *)(uintptr_t)content.data);
}
