/* The lines of an exported store: a row that is read is written to a line that is read to the same row. */
#include "lib/store/dump_code.h"
#include "t/fuzz/fuzz.h"

static void same_row(const struct dump_line *a, const struct dump_line *b)
{
	require(b->kind == DUMP_ROW && a->count == b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct store_value *x = &a->values[i];
		const struct store_value *y = &b->values[i];
		require(x->type == y->type && x->integer == y->integer && slice_equal(x->bytes, y->bytes));
		require(x->type != STORE_REAL || memcmp(&x->real, &y->real, sizeof x->real) == 0 || x->real != x->real);
	}
}

static void again(const struct dump_line *line, struct arena *arena)
{
	struct dump_line *copy = arena_alloc(arena, sizeof *copy);
	char *text = NULL;
	size_t size = 0;
	const char *problem;
	FILE *out = open_memstream(&text, &size);
	require(out != NULL);
	dump_row(line->values, line->count, out);
	require(fclose(out) == 0 && size > 0 && text[size - 1] == '\n' && memchr(text, '\n', size - 1) == NULL);
	require(dump_parse((struct slice){text, size - 1}, arena, copy, &problem));
	same_row(line, copy);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct dump_line *line = arena_alloc(arena, sizeof *line);
	struct slice rest = {(const char *)data, size};
	struct slice text;
	const char *problem = NULL;
	while (size > 0 && slice_split(&rest, '\n', &text)) {
		bool good = dump_parse(text, arena, line, &problem);
		require(good || problem != NULL);
		if (good && line->kind == DUMP_ROW) {
			again(line, arena);
		}
	}
	arena_destroy(arena);
	return 0;
}
