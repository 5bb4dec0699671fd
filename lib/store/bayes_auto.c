#include "lib/store/bayes_auto.h"

enum { DAY_S = 86400 };

/* $1: day  $2, $3: names  $4, $5: how many each may have. Behind the counter's row only one is here at a time. */
static const char sql_take[] =
    "INSERT INTO bayes_auto (day, name, learnt) SELECT $1, v.name, 1 FROM (SELECT $2 AS name UNION SELECT $3) v"
    " WHERE NOT EXISTS (SELECT 1 FROM bayes_auto a WHERE a.day = $1"
    " AND ((a.name = $2 AND a.learnt >= $4) OR (a.name = $3 AND a.learnt >= $5)))"
    " ON CONFLICT (day, name) DO UPDATE SET learnt = bayes_auto.learnt + 1 RETURNING learnt";

static bool take_row(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	*(bool *)context = true;
	return true;
}

enum store_result bayes_auto_take(struct store *store, enum bayes_class class, const char *network, uint64_t day_max,
                                  uint64_t network_max, int64_t now, bool *taken_r)
{
	const struct store_value subject = store_text("bayes_auto");
	const struct store_value values[] = {store_integer(now / DAY_S), store_text(class == BAYES_SPAM ? "spam" : "ham"),
	                                     store_text(network), store_integer((int64_t)day_max),
	                                     store_integer((int64_t)network_max)};
	const struct store_value before = store_integer(now / DAY_S - 1);
	const struct store_statement statements[] = {
	    store_bump(&subject),
	    {"DELETE FROM bayes_auto WHERE day < $1", &before, 1},
	    {sql_take, values, sizeof values / sizeof *values},
	};
	*taken_r = false;
	return store_write(store, statements, sizeof statements / sizeof *statements, STORE_DURABLE, take_row, taken_r);
}
