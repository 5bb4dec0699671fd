#include "lib/store/postgres_value.h"

#include <limits.h>
#include <stdlib.h>

/* Of pg_type, which never change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_NUMERIC = 1700
};

static void put_number(char *at, uint64_t number)
{
	for (int i = 0; i < 8; i++) {
		at[i] = (char)(number >> (56 - 8 * i) & 0xff);
	}
}

static bool set_number(struct postgres_parameters *parameters, size_t i, Oid type, uint64_t bits)
{
	put_number(parameters->numbers[i], bits);
	parameters->types[i] = type;
	parameters->values[i] = parameters->numbers[i];
	parameters->lengths[i] = 8;
	return true;
}

static bool set_bytes(struct postgres_parameters *parameters, size_t i, Oid type, struct slice bytes)
{
	parameters->types[i] = type;
	parameters->values[i] = bytes.data == NULL ? "" : bytes.data; /* NULL would be a NULL */
	parameters->lengths[i] = (int)bytes.len;
	return bytes.len <= INT_MAX;
}

static bool set_value(struct postgres_parameters *parameters, size_t i, const struct store_value *value)
{
	uint64_t bits;
	parameters->formats[i] = 1;
	switch (value->type) {
	case STORE_NULL:
		parameters->types[i] = 0;
		parameters->values[i] = NULL;
		parameters->lengths[i] = 0;
		return true;
	case STORE_INTEGER:
		return set_number(parameters, i, OID_INT8, (uint64_t)value->integer);
	case STORE_REAL:
		memcpy(&bits, &value->real, sizeof bits);
		return set_number(parameters, i, OID_FLOAT8, bits);
	case STORE_TEXT:
		return set_bytes(parameters, i, OID_TEXT, value->bytes);
	case STORE_BLOB:
		return set_bytes(parameters, i, OID_BYTEA, value->bytes);
	}
	return false;
}

bool postgres_parameters_set(struct postgres_parameters *parameters, const struct store_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i == STORE_VALUES_MAX || !set_value(parameters, i, &values[i])) {
			return false;
		}
	}
	return true;
}

/* ---- columns ---- */

/* "\x0a0b" */
static struct store_value blob_value(struct slice text, struct arena *arena)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = text.len < 2 ? 0 : (text.len - 2) / 2;
	char *bytes = arena_alloc(arena, n);
	for (size_t i = 0; i < n; i++) {
		const char *high = memchr(digits, text.data[2 + 2 * i], sizeof digits - 1);
		const char *low = memchr(digits, text.data[3 + 2 * i], sizeof digits - 1);
		bytes[i] = (char)((high == NULL ? 0 : high - digits) << 4 | (low == NULL ? 0 : low - digits));
	}
	return store_blob(bytes, n);
}

/* SUM() of a BIGINT is a NUMERIC; to SQLite it is an integer. */
static struct store_value numeric_value(const char *text)
{
	bool whole = strchr(text, '.') == NULL && strchr(text, 'N') == NULL;
	return whole ? store_integer(strtoll(text, NULL, 10)) : store_real(strtod(text, NULL));
}

static struct store_value column_value(const PGresult *result, int row, int column, struct arena *arena)
{
	const char *text = PQgetvalue(result, row, column);
	struct slice bytes = {text, (size_t)PQgetlength(result, row, column)};
	if (PQgetisnull(result, row, column)) {
		return store_null();
	}
	switch (PQftype(result, column)) {
	case OID_BOOL:
		return store_integer(text[0] == 't');
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
		return store_integer(strtoll(text, NULL, 10));
	case OID_FLOAT4:
	case OID_FLOAT8:
		return store_real(strtod(text, NULL));
	case OID_NUMERIC:
		return numeric_value(text);
	case OID_BYTEA:
		return blob_value(bytes, arena);
	default:
		return store_text_slice(bytes);
	}
}

bool postgres_row(const PGresult *result, int row, struct arena *arena, struct store_value *columns_r, size_t *count_r)
{
	int count = PQnfields(result);
	if (count > STORE_VALUES_MAX) {
		return false;
	}
	for (int i = 0; i < count; i++) {
		columns_r[i] = column_value(result, row, i, arena);
	}
	*count_r = (size_t)count;
	return true;
}
