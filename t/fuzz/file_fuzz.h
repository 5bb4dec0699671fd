/* file_fuzz: one file through filetype.h, with what must hold for every part of it. */
#ifndef MAILREEVE_T_FUZZ_FILE_FUZZ_H
#define MAILREEVE_T_FUZZ_FILE_FUZZ_H

#include "inspect/archive.h"
#include "inspect/filetype.h"
#include "lib/base/clock.h"
#include "t/fuzz/fuzz.h"

/* libarchive asks for as much memory as a damaged header says; malloc() says no. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void file_fuzz_visit(void *context, const struct part *part)
{
	struct part_budget *budget = context;
	struct arena *arena = arena_create(4096);
	struct file_verdict verdict;
	require(part->names != NULL && part->depth <= budget->depth_max && (!part->encrypted || part->content.len == 0));
	for (size_t i = 0; part->names[i] != NULL; i++) {
		require(strlen(part->names[i]) <= 3 * (2 * 512));
	}
	filetype_examine(part, arena, &verdict);
	filetype_walk(part, budget, file_fuzz_visit, budget, &verdict);
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		require(file_verdict_has(&verdict, (enum file_class)i) == (verdict.reasons[i] != NULL));
	}
	require(verdict.type != NULL);
	arena_destroy(arena);
}

static inline int file_fuzz(const char *name, const uint8_t *data, size_t size)
{
	const char *const names[] = {name, NULL};
	struct part_budget budget = {
	    .bytes = 16 << 20, .parts = 200, .depth_max = 6, .deadline = clock_now() + 5 * CLOCK_NS_PER_S};
	struct part part = {.names = names, .type = "", .content = {(const char *)data, size}, .size = size};
	file_fuzz_visit(&budget, &part);
	return 0;
}

#endif
