/* table: rows of texts in columns, for people. */
#ifndef MAILREEVE_CTL_TABLE_H
#define MAILREEVE_CTL_TABLE_H

#include "lib/base/arena.h"

#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 16 };
struct table;

/* headings: NULL-ended; one that begins with ">" is of a column of numbers, which stand to the right. Everything lives
 * in arena. */
struct table *table_create(struct arena *arena, const char *const *headings);

/* One cell for each column, copied; texts that the network chose are escaped by who makes the cell (table_text()). */
void table_row(struct table *table, const char *const *cells);
size_t table_rows(const struct table *table);
/* A cell of `table`: a number. */
const char *table_number(struct arena *arena, long long number);

/* Headings and rows, each behind `indent` blanks. The last column is not padded. */
void table_print(const struct table *table, int indent, FILE *out);

/* For one cell or any other line: escaped, UTF-8 stays, but for what changes the direction of what stands behind it; at
 * most `most` bytes, then "...". */
const char *table_text(struct arena *arena, const char *text, size_t most);

#endif
