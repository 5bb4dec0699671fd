/* arena: memory with the lifetime of a connection or of a message.
 *
 * Nothing taken from an arena is freed alone; all of it goes with arena_reset() or arena_destroy(). An arena belongs
 * to one thread at a time. Out of memory aborts: what an attacker sizes is bounded before it is asked for. */
#ifndef MAILREEVE_BASE_ARENA_H
#define MAILREEVE_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* chunk_size: bytes taken from the heap at a time; a larger request gets a chunk of its own. */
struct arena *arena_create(size_t chunk_size);
void arena_destroy(struct arena *arena); /* takes NULL */

/* Frees all but the first chunk; every pointer handed out before is dead. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type, never NULL. n may be 0. */
void *arena_alloc(struct arena *arena, size_t n);

/* n bytes and a final NUL. */
char *arena_memdup(struct arena *arena, const void *data, size_t n);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Bytes handed out since creation or the last reset. */
size_t arena_used(const struct arena *arena);

/* Room for one more: items with count elements of that size, capacity of them; when it is full, a copy twice as large. items
 * may be NULL with count 0. Returns the array. */
void *arena_grow(struct arena *arena, void *items, size_t size, size_t count, size_t *capacity);

#endif
