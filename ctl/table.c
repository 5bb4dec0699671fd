#include "ctl/table.h"

#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { GAP = 2 };

struct row {
	struct row *next;
	const char *cells[TABLE_COLUMNS_MAX];
};

struct table {
	struct arena *arena;
	size_t columns, count;
	const char *headings[TABLE_COLUMNS_MAX];
	bool right[TABLE_COLUMNS_MAX];
	int widths[TABLE_COLUMNS_MAX];
	struct row *first, **last;
};

/* Characters, as far as UTF-8 tells. */
static int text_width(const char *text)
{
	int width = 0;
	for (; *text != '\0'; text++) {
		width += ((unsigned char)*text & 0xc0U) != 0x80;
	}
	return width;
}

static void widen(struct table *table, size_t column, const char *text)
{
	int width = text_width(text);
	table->widths[column] = width > table->widths[column] ? width : table->widths[column];
}

struct table *table_create(struct arena *arena, const char *const *headings)
{
	struct table *table = arena_alloc(arena, sizeof *table);
	table->arena = arena;
	table->last = &table->first;
	for (; headings[table->columns] != NULL && table->columns < TABLE_COLUMNS_MAX; table->columns++) {
		const char *heading = headings[table->columns];
		table->right[table->columns] = heading[0] == '>';
		table->headings[table->columns] = heading + (heading[0] == '>');
		widen(table, table->columns, table->headings[table->columns]);
	}
	return table;
}

void table_row(struct table *table, const char *const *cells)
{
	struct row *row = arena_alloc(table->arena, sizeof *row);
	for (size_t i = 0; i < table->columns; i++) {
		row->cells[i] = arena_strdup(table->arena, cells[i] == NULL ? "" : cells[i]);
		widen(table, i, row->cells[i]);
	}
	*table->last = row;
	table->last = &row->next;
	table->count++;
}

size_t table_rows(const struct table *table)
{
	return table->count;
}

const char *table_number(struct arena *arena, long long number)
{
	return arena_printf(arena, "%lld", number);
}

static void print_row(const struct table *table, const char *const *cells, int indent, FILE *out)
{
	size_t last = table->columns;
	while (last > 1 && cells[last - 1][0] == '\0') {
		last--;
	}
	fprintf(out, "%*s", indent, "");
	for (size_t i = 0; i < last; i++) {
		int pad = table->widths[i] - text_width(cells[i]);
		bool padded = table->right[i] || i + 1 < last;
		if (table->right[i]) {
			fprintf(out, "%*s%s", pad, "", cells[i]);
		} else {
			fprintf(out, "%s%*s", cells[i], padded ? pad : 0, "");
		}
		fprintf(out, "%*s", i + 1 < last ? GAP : 0, "");
	}
	fputc('\n', out);
}

void table_print(const struct table *table, int indent, FILE *out)
{
	print_row(table, table->headings, indent, out);
	for (const struct row *row = table->first; row != NULL; row = row->next) {
		print_row(table, row->cells, indent, out);
	}
}

/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 and U+061C: a terminal shows what follows in another order. */
static size_t direction_sign(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	if (c[0] == 0xd8 && c[1] == 0x9c) {
		return 2;
	}
	bool general = c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xaa && c[2] <= 0xae));
	bool isolate = c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9;
	return general || isolate ? 3 : 0;
}

const char *table_text(struct arena *arena, const char *text, size_t most)
{
	char *safe = text_escape(arena, slice_from(text), "", true, most);
	struct strbuf out;
	strbuf_init(&out, arena);
	while (*safe != '\0') {
		size_t sign = direction_sign(safe);
		for (size_t i = 0; i < sign; i++) {
			strbuf_printf(&out, "\\x%02x", (unsigned char)safe[i]);
		}
		if (sign == 0) {
			strbuf_add_char(&out, *safe++);
		}
		safe += sign;
	}
	return out.data;
}
