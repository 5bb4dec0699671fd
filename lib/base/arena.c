#include "lib/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer everything not handed out is poisoned and a red zone stands behind each piece, so that an
 * overread inside a chunk is seen as one beyond a heap block would be. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#define RED_ZONE 16U
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define RED_ZONE 0U
#endif

#define ALIGNMENT 16U

struct chunk {
	struct chunk *next;
	size_t size;
	size_t used;
	_Alignas(16) unsigned char data[];
};

struct arena {
	struct chunk *first;   /* kept over a reset */
	struct chunk *current; /* where the next piece is taken from */
	size_t chunk_size;
	size_t used;
};

static struct chunk *chunk_create(size_t size)
{
	struct chunk *chunk = malloc(sizeof *chunk + size);
	if (chunk == NULL) {
		abort();
	}
	chunk->next = NULL;
	chunk->size = size;
	chunk->used = 0;
	POISON(chunk->data, size);
	return chunk;
}

static void chunk_destroy(struct chunk *chunk)
{
	UNPOISON(chunk->data, chunk->size);
	free(chunk);
}

struct arena *arena_create(size_t chunk_size)
{
	struct arena *arena = calloc(1, sizeof *arena);
	if (arena == NULL) {
		abort();
	}
	arena->chunk_size = chunk_size < 256 ? 256 : chunk_size;
	arena->first = arena->current = chunk_create(arena->chunk_size);
	return arena;
}

static void chunks_destroy(struct chunk *chunk)
{
	while (chunk != NULL) {
		struct chunk *next = chunk->next;
		chunk_destroy(chunk);
		chunk = next;
	}
}

void arena_destroy(struct arena *arena)
{
	if (arena == NULL) {
		return;
	}
	chunks_destroy(arena->first);
	free(arena);
}

void arena_reset(struct arena *arena)
{
	chunks_destroy(arena->first->next);
	arena->first->next = NULL;
	arena->first->used = 0;
	POISON(arena->first->data, arena->first->size);
	arena->current = arena->first;
	arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t n)
{
	if (n > SIZE_MAX / 2) {
		abort();
	}
	size_t need = (n + RED_ZONE + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (need == 0) {
		need = ALIGNMENT;
	}
	struct chunk *chunk = arena->current;
	if (chunk->size - chunk->used < need) {
		chunk = chunk_create(need > arena->chunk_size ? need : arena->chunk_size);
		chunk->next = arena->current->next;
		arena->current->next = chunk;
		arena->current = chunk;
	}
	void *piece = chunk->data + chunk->used;
	chunk->used += need;
	arena->used += n;
	UNPOISON(piece, n);
	return memset(piece, 0, n);
}

char *arena_memdup(struct arena *arena, const void *data, size_t n)
{
	char *copy = arena_alloc(arena, n + 1);
	if (n > 0) {
		memcpy(copy, data, n);
	}
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_memdup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	if (n < 0) {
		abort();
	}
	char *text = arena_alloc(arena, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}

void *arena_grow(struct arena *arena, void *items, size_t size, size_t count, size_t *capacity)
{
	if (count < *capacity) {
		return items;
	}
	*capacity = *capacity == 0 ? 8 : *capacity * 2;
	void *larger = arena_alloc(arena, *capacity * size);
	if (count > 0) {
		memcpy(larger, items, count * size);
	}
	return larger;
}
