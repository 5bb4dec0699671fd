#include "lib/store/batch_code.h"

size_t batch_size(const struct store_statement *statements, size_t count)
{
	size_t size = 4;
	for (size_t i = 0; i < count; i++) {
		size += 8 + strlen(statements[i].sql);
		for (size_t j = 0; j < statements[i].count; j++) {
			const struct store_value *value = &statements[i].values[j];
			bool bytes = value->type == STORE_TEXT || value->type == STORE_BLOB;
			size_t n = bytes ? value->bytes.len : 8;
			if (n > BATCH_BYTES_MAX) {
				return SIZE_MAX;
			}
			size += value->type == STORE_NULL ? 1 : bytes ? 5 + n : 9;
		}
	}
	return size > BATCH_BYTES_MAX ? SIZE_MAX : size;
}

static char *put(char *at, uint64_t number, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		at[i] = (char)(number >> (8 * i) & 0xff);
	}
	return at + n;
}

static char *put_bytes(char *at, struct slice bytes)
{
	at = put(at, bytes.len, 4);
	if (bytes.len > 0) {
		memcpy(at, bytes.data, bytes.len);
	}
	return at + bytes.len;
}

static char *put_value(char *at, const struct store_value *value)
{
	uint64_t bits;
	at = put(at, (uint64_t)value->type, 1);
	switch (value->type) {
	case STORE_NULL:
		return at;
	case STORE_INTEGER:
		return put(at, (uint64_t)value->integer, 8);
	case STORE_REAL:
		memcpy(&bits, &value->real, sizeof bits);
		return put(at, bits, 8);
	case STORE_TEXT:
	case STORE_BLOB:
		return put_bytes(at, value->bytes);
	}
	return at;
}

void batch_encode(const struct store_statement *statements, size_t count, char *data_r)
{
	char *at = put(data_r, count, 4);
	for (size_t i = 0; i < count; i++) {
		at = put_bytes(at, slice_from(statements[i].sql));
		at = put(at, statements[i].count, 4);
		for (size_t j = 0; j < statements[i].count; j++) {
			at = put_value(at, &statements[i].values[j]);
		}
	}
}

/* ---- back ---- */

static bool get(struct slice *rest, size_t n, uint64_t *number_r)
{
	if (rest->len < n) {
		return false;
	}
	*number_r = 0;
	for (size_t i = 0; i < n; i++) {
		*number_r |= (uint64_t)(unsigned char)rest->data[i] << (8 * i);
	}
	rest->data += n;
	rest->len -= n;
	return true;
}

static bool get_bytes(struct slice *rest, struct slice *bytes_r)
{
	uint64_t n;
	if (!get(rest, 4, &n) || n > rest->len) {
		return false;
	}
	*bytes_r = (struct slice){rest->data, (size_t)n};
	rest->data += n;
	rest->len -= (size_t)n;
	return true;
}

static bool get_value(struct slice *rest, struct store_value *value_r)
{
	uint64_t type;
	uint64_t bits;
	*value_r = store_null();
	if (!get(rest, 1, &type) || type > STORE_BLOB) {
		return false;
	}
	value_r->type = (enum store_type)type;
	switch (value_r->type) {
	case STORE_NULL:
		return true;
	case STORE_INTEGER:
		if (!get(rest, 8, &bits)) {
			return false;
		}
		value_r->integer = (int64_t)bits;
		return true;
	case STORE_REAL:
		if (!get(rest, 8, &bits)) {
			return false;
		}
		memcpy(&value_r->real, &bits, sizeof bits);
		return true;
	case STORE_TEXT:
	case STORE_BLOB:
		return get_bytes(rest, &value_r->bytes);
	}
	return false;
}

static bool get_statement(struct slice *rest, struct arena *arena, struct store_statement *statement_r)
{
	struct slice sql;
	uint64_t count;
	if (!get_bytes(rest, &sql) || memchr(sql.data, '\0', sql.len) != NULL || !get(rest, 4, &count) ||
	    count > STORE_VALUES_MAX) {
		return false;
	}
	struct store_value *values = arena_alloc(arena, (size_t)count * sizeof *values);
	*statement_r = (struct store_statement){slice_dup(arena, sql), values, (size_t)count};
	for (size_t i = 0; i < count; i++) {
		if (!get_value(rest, &values[i])) {
			return false;
		}
	}
	return true;
}

struct store_statement *batch_decode(struct slice bytes, struct arena *arena, size_t *count_r)
{
	uint64_t count;
	if (!get(&bytes, 4, &count) || count > STORE_STATEMENTS_MAX) {
		return NULL;
	}
	struct store_statement *statements = arena_alloc(arena, (size_t)count * sizeof *statements);
	for (size_t i = 0; i < count; i++) {
		if (!get_statement(&bytes, arena, &statements[i])) {
			return NULL;
		}
	}
	*count_r = (size_t)count;
	return bytes.len == 0 ? statements : NULL;
}
