#include "lib/store/dump_code.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const char hex_digits[] = "0123456789abcdef";

/* ---- writing ---- */

static void put_text(struct slice text, FILE *out)
{
	for (size_t i = 0; i < text.len; i++) {
		switch (text.data[i]) {
		case '\\':
			fputs("\\\\", out);
			break;
		case '\t':
			fputs("\\t", out);
			break;
		case '\n':
			fputs("\\n", out);
			break;
		case '\r':
			fputs("\\r", out);
			break;
		default:
			putc_unlocked(text.data[i], out);
		}
	}
}

static void put_blob(struct slice bytes, FILE *out)
{
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.data[i];
		putc_unlocked(hex_digits[c >> 4], out);
		putc_unlocked(hex_digits[c & 15], out);
	}
}

static void put_value(const struct store_value *value, FILE *out)
{
	switch (value->type) {
	case STORE_NULL:
		fputs("\tn", out);
		break;
	case STORE_INTEGER:
		fprintf(out, "\ti%" PRId64, value->integer);
		break;
	case STORE_REAL:
		fprintf(out, "\tr%.17g", value->real);
		break;
	case STORE_TEXT:
		fputs("\tt", out);
		put_text(value->bytes, out);
		break;
	case STORE_BLOB:
		fputs("\tb", out);
		put_blob(value->bytes, out);
		break;
	}
}

void dump_row(const struct store_value *values, size_t count, FILE *out)
{
	fputs("row", out);
	for (size_t i = 0; i < count; i++) {
		put_value(&values[i], out);
	}
	fputc('\n', out);
}

/* ---- reading ---- */

static bool get_integer(struct slice text, struct arena *arena, int64_t *number_r)
{
	const char *digits = slice_dup(arena, text);
	size_t sign = digits[0] == '-';
	char *end;
	errno = 0;
	*number_r = strtoll(digits, &end, 10);
	return text.len > sign && ascii_is_digit(digits[sign]) && *end == '\0' && end == digits + text.len && errno == 0;
}

static bool get_real(struct slice text, struct arena *arena, double *number_r)
{
	const char *digits = slice_dup(arena, text);
	char *end;
	*number_r = strtod(digits, &end);
	return text.len > 0 && (digits[0] == '-' || ascii_is_digit(digits[0]) || ascii_is_alpha(digits[0])) &&
	       end == digits + text.len;
}

static bool get_text(struct slice text, struct arena *arena, struct slice *text_r)
{
	static const char letters[] = "\\tnr";
	static const char bytes[] = "\\\t\n\r";
	char *copy = arena_memdup(arena, text.data, text.len);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		if (c == '\\') {
			const char *letter = ++i < text.len ? memchr(letters, text.data[i], sizeof letters - 1) : NULL;
			if (letter == NULL) {
				return false;
			}
			c = bytes[letter - letters];
		}
		copy[n++] = c;
	}
	*text_r = (struct slice){copy, n};
	return true;
}

static bool get_blob(struct slice text, struct arena *arena, struct slice *bytes_r)
{
	char *bytes = arena_alloc(arena, text.len / 2);
	if (text.len % 2 != 0) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		const char *digit = memchr(hex_digits, text.data[i], sizeof hex_digits - 1);
		if (digit == NULL) {
			return false;
		}
		bytes[i / 2] = (char)(i % 2 == 0 ? (digit - hex_digits) << 4 : bytes[i / 2] | (digit - hex_digits));
	}
	*bytes_r = (struct slice){bytes, text.len / 2};
	return true;
}

static bool get_value(struct slice field, struct arena *arena, struct store_value *value_r)
{
	*value_r = store_null();
	if (field.len == 0) {
		return false;
	}
	struct slice rest = {field.data + 1, field.len - 1};
	switch (field.data[0]) {
	case 'n':
		return rest.len == 0;
	case 'i':
		value_r->type = STORE_INTEGER;
		return get_integer(rest, arena, &value_r->integer);
	case 'r':
		value_r->type = STORE_REAL;
		return get_real(rest, arena, &value_r->real);
	case 't':
		value_r->type = STORE_TEXT;
		return get_text(rest, arena, &value_r->bytes);
	case 'b':
		value_r->type = STORE_BLOB;
		return get_blob(rest, arena, &value_r->bytes);
	default:
		return false;
	}
}

static bool is_identifier(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (!ascii_is_alpha(name.data[i]) && name.data[i] != '_' && (i == 0 || !ascii_is_digit(name.data[i]))) {
			return false;
		}
	}
	return name.len > 0 && name.len <= 63;
}

static bool parse_number(struct slice rest, struct arena *arena, struct dump_line *line_r, const char **problem_r)
{
	*problem_r = "expected one whole number";
	return rest.data != NULL && get_integer(rest, arena, &line_r->number);
}

static bool parse_table(struct slice rest, struct arena *arena, struct dump_line *line_r, const char **problem_r)
{
	struct slice name;
	*problem_r = "expected the names of a table and of its columns";
	for (bool first = true; slice_split(&rest, '\t', &name); first = false) {
		if (!is_identifier(name) || line_r->count == STORE_VALUES_MAX) {
			return false;
		}
		if (first) {
			line_r->name = slice_dup(arena, name);
		} else {
			line_r->columns[line_r->count++] = slice_dup(arena, name);
		}
	}
	return line_r->count > 0;
}

static bool parse_row(struct slice rest, struct arena *arena, struct dump_line *line_r, const char **problem_r)
{
	struct slice field;
	*problem_r = "expected values: n, i1, r1.5, ttext or b00ff";
	while (slice_split(&rest, '\t', &field)) {
		if (line_r->count == STORE_VALUES_MAX || !get_value(field, arena, &line_r->values[line_r->count])) {
			return false;
		}
		line_r->count++;
	}
	return line_r->count > 0;
}

bool dump_parse(struct slice line, struct arena *arena, struct dump_line *line_r, const char **problem_r)
{
	static const struct {
		const char *word;
		enum dump_kind kind;
		bool (*parse)(struct slice, struct arena *, struct dump_line *, const char **);
	} kinds[] = {
	    {"row", DUMP_ROW, parse_row},
	    {"table", DUMP_TABLE, parse_table},
	    {"mailreeve-store", DUMP_HEADER, parse_number},
	    {"schema", DUMP_SCHEMA, parse_number},
	    {"end", DUMP_END, parse_number},
	};
	struct slice rest = line.data == NULL ? SLICE_LITERAL("") : line;
	struct slice word;
	line_r->count = 0;
	line_r->name = NULL;
	slice_split(&rest, '\t', &word);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (slice_equal(word, slice_from(kinds[i].word))) {
			line_r->kind = kinds[i].kind;
			return kinds[i].parse(rest, arena, line_r, problem_r);
		}
	}
	*problem_r = "expected mailreeve-store, schema, table, row or end";
	return false;
}
