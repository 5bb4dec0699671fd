#include "lib/store/rows.h"

#include <stdlib.h>

struct row_item {
	struct row_item *next;
	size_t count;
	struct store_value columns[];
};

struct rows {
	struct arena *arena;
	struct row_item *first, **end;
	bool overflowed;
};

struct rows *rows_create(void)
{
	struct rows *rows = calloc(1, sizeof *rows);
	if (rows == NULL) {
		abort();
	}
	rows->arena = arena_create(4096);
	rows->end = &rows->first;
	return rows;
}

void rows_destroy(struct rows *rows)
{
	if (rows != NULL) {
		arena_destroy(rows->arena);
		free(rows);
	}
}

void rows_clear(struct rows *rows)
{
	arena_reset(rows->arena);
	rows->first = NULL;
	rows->end = &rows->first;
	rows->overflowed = false;
}

bool rows_overflowed(const struct rows *rows)
{
	return rows != NULL && rows->overflowed;
}

bool rows_add(void *context, const struct store_value *columns, size_t count)
{
	struct rows *rows = context;
	size_t size = 0;
	for (size_t i = 0; i < count; i++) {
		size += columns[i].bytes.len;
	}
	if (size > ROWS_BYTES_MAX || arena_used(rows->arena) > ROWS_BYTES_MAX - size) {
		rows->overflowed = true;
		return false;
	}
	struct row_item *item = arena_alloc(rows->arena, sizeof *item + count * sizeof *item->columns);
	item->count = count;
	for (size_t i = 0; i < count; i++) {
		item->columns[i] = columns[i];
		item->columns[i].bytes.data = arena_memdup(rows->arena, columns[i].bytes.data, columns[i].bytes.len);
	}
	*rows->end = item;
	rows->end = &item->next;
	return true;
}

void rows_drop_first(struct rows *rows)
{
	if (rows->first != NULL) {
		rows->first = rows->first->next;
		rows->end = rows->first == NULL ? &rows->first : rows->end;
	}
}

void rows_deliver(const struct rows *rows, store_row *row, void *context)
{
	for (const struct row_item *item = rows->first; item != NULL && row(context, item->columns, item->count);
	     item = item->next) {
	}
}
