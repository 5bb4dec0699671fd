/* dump_code: the lines of an exported store. UTF-8, each line ended by LF, its fields parted by tabs:
 *   mailreeve-store 1                   the first line: what it is, version of the format
 *   schema VERSION                      of the tables (migrations.h)
 *   table NAME COLUMN...                the rows that follow are of this table
 *   row VALUE...                        one for each column
 *   end ROWS                            the last line: how many rows there were
 * A value: "n" (NULL), "i" and a decimal integer, "r" and a number as strtod() reads it, "t" and text, in which \\, \t,
 * \n and \r stand for backslash, tab, LF and CR, or "b" and hexadecimal digits (bytes). */
#ifndef MAILREEVE_STORE_DUMP_CODE_H
#define MAILREEVE_STORE_DUMP_CODE_H

#include "lib/store/store.h"

#include <stdio.h>

enum { DUMP_VERSION = 1, DUMP_LINE_MAX = 1 << 30 };

enum dump_kind { DUMP_HEADER, DUMP_SCHEMA, DUMP_TABLE, DUMP_ROW, DUMP_END };
struct dump_line {
	enum dump_kind kind;
	int64_t number;   /* HEADER: of the format; SCHEMA; END */
	const char *name; /* TABLE */
	size_t count;     /* columns or values */
	const char *columns[STORE_VALUES_MAX];
	struct store_value values[STORE_VALUES_MAX];
};

/* line: without its LF. Memory from arena. False with *problem_r: what is wrong. */
bool dump_parse(struct slice line, struct arena *arena, struct dump_line *line_r, const char **problem_r);

/* Writes a row line; errors show in ferror(). */
void dump_row(const struct store_value *values, size_t count, FILE *out);

#endif
