#include "lib/store/bayes_private.h"

#include <stdlib.h>

/* $1: tokens  $2: how many  $3 to $5: owners  $6: how many. CROSS JOIN keeps SQLite to that order. */
static const char sql_read[] =
    "WITH RECURSIVE n(i) AS (SELECT 0 WHERE $2 > 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2),"
    " o(k, owner) AS (SELECT 0, $3 UNION ALL SELECT 1, $4 WHERE $6 > 1 UNION ALL SELECT 2, $5 WHERE $6 > 2)"
    " SELECT o.k AS k, n.i AS i, t.spam AS spam, t.ham AS ham FROM o CROSS JOIN n CROSS JOIN bayes_token t"
    " WHERE t.owner = o.owner AND t.token = substr($1, n.i * 8 + 1, 8)"
    " UNION ALL SELECT o.k, -1, b.spam, b.ham FROM o CROSS JOIN bayes_owner b WHERE b.owner = o.owner";

struct reading {
	size_t owner_count, count;
	struct bayes_counts *totals, *counts;
};

static bool read_row(void *context, const struct store_value *columns, size_t count)
{
	struct reading *reading = context;
	size_t owner = (size_t)columns[0].integer;
	int64_t i = columns[1].integer;
	struct bayes_counts counts = {.spam = bayes_count(&columns[2]), .ham = bayes_count(&columns[3])};
	if (count == 4 && owner < reading->owner_count && i == -1) {
		reading->totals[owner] = counts;
	} else if (count == 4 && owner < reading->owner_count && i >= 0 && (size_t)i < reading->count) {
		reading->counts[owner * reading->count + (size_t)i] = counts;
	}
	return true;
}

enum store_result bayes_read(struct store *store, const char *const *owners, size_t owner_count, const uint64_t *tokens,
                             size_t count, struct bayes_counts *totals_r, struct bayes_counts *counts_r)
{
	struct reading reading = {.owner_count = owner_count, .count = count, .totals = totals_r, .counts = counts_r};
	struct store_value values[3 + BAYES_OWNERS_MAX];
	if (owner_count == 0 || owner_count > BAYES_OWNERS_MAX || count > BAYES_TOKENS_MAX) {
		return STORE_REFUSED;
	}
	char *bytes = malloc(count * 8 + 1);
	if (bytes == NULL) {
		abort();
	}
	bayes_put_tokens(tokens, count, bytes);
	memset(totals_r, 0, owner_count * sizeof *totals_r);
	memset(counts_r, 0, owner_count * count * sizeof *counts_r);
	values[0] = store_blob(bytes, count * 8);
	values[1] = store_integer((int64_t)count);
	for (size_t i = 0; i < BAYES_OWNERS_MAX; i++) {
		values[2 + i] = store_text(owners[i < owner_count ? i : 0]);
	}
	values[5] = store_integer((int64_t)owner_count);
	enum store_result result = store_query(store, sql_read, values, 6, read_row, &reading);
	free(bytes);
	return result;
}

struct finding_learnt {
	bool found;
	struct bayes_learnt learnt;
};

static bool find_row(void *context, const struct store_value *columns, size_t count)
{
	struct finding_learnt *found = context;
	if (count == 3) {
		found->found = true;
		found->learnt = (struct bayes_learnt){.class = (enum bayes_class)columns[0].integer,
		                                      .time = columns[1].integer,
		                                      .version = (uint32_t)columns[2].integer};
	}
	return false;
}

enum store_result bayes_find(struct store *store, const char *owner, const uint8_t *digest, bool *found_r,
                             struct bayes_learnt *learnt_r)
{
	struct finding_learnt found = {.found = false};
	const struct store_value values[] = {store_text(owner), store_blob(digest, BAYES_DIGEST_SIZE)};
	enum store_result result =
	    store_query(store, "SELECT class, time, version FROM bayes_learnt WHERE owner = $1 AND digest = $2", values, 2,
	                find_row, &found);
	*found_r = found.found;
	*learnt_r = found.learnt;
	return result;
}
