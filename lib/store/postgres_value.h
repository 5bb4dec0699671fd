/* postgres_value: values as PostgreSQL's parameters, and its columns as values. */
#ifndef MAILREEVE_STORE_POSTGRES_VALUE_H
#define MAILREEVE_STORE_POSTGRES_VALUE_H

#include "lib/store/store.h"

#include <libpq-fe.h>

/* In libpq's form, binary. They point into the values, and into themselves. */
struct postgres_parameters {
	Oid types[STORE_VALUES_MAX];
	const char *values[STORE_VALUES_MAX];
	int lengths[STORE_VALUES_MAX];
	int formats[STORE_VALUES_MAX];
	char numbers[STORE_VALUES_MAX][8];
};
/* False: too many values, or one too large. */
bool postgres_parameters_set(struct postgres_parameters *parameters, const struct store_value *values, size_t count);

/* A row of a result (of text) as columns; memory from arena where one is needed. */
bool postgres_row(const PGresult *result, int row, struct arena *arena, struct store_value *columns_r, size_t *count_r);

#endif
