#include "lib/store/turn.h"

static bool on_turn(void *context, const struct store_value *columns, size_t count)
{
	bool *ours = context;
	(void)columns, (void)count;
	*ours = true;
	return true;
}

enum store_result turn_take(struct store *store, const char *task, int64_t now, int64_t seconds, bool *ours_r)
{
	const struct store_value values[] = {store_text(task), store_integer(now + seconds), store_integer(now),
	                                     store_integer(now + 2 * seconds)};
	const struct store_statement statement = {
	    "INSERT INTO store_turn (task, until) VALUES ($1, $2) ON CONFLICT (task) DO UPDATE SET until = EXCLUDED.until"
	    " WHERE store_turn.until <= $3 OR store_turn.until > $4 RETURNING task",
	    values, sizeof values / sizeof *values};
	*ours_r = false;
	return store_write(store, &statement, 1, 0, on_turn, ours_r);
}

/* A row of the table that is no task: a migration for one number would be too much. */
#define LOOKED "clock"

static bool on_last(void *context, const struct store_value *columns, size_t count)
{
	int64_t *last = context;
	*last = count == 1 ? columns[0].integer : 0;
	return false;
}

enum store_result turn_last(struct store *store, int64_t *last_r)
{
	*last_r = 0;
	return store_query(store, "SELECT until FROM store_turn WHERE task = '" LOOKED "'", NULL, 0, on_last, last_r);
}

enum store_result turn_looked(struct store *store, int64_t now)
{
	const struct store_value value = store_integer(now);
	const struct store_statement statement = {
	    "INSERT INTO store_turn (task, until) VALUES ('" LOOKED "', $1) ON CONFLICT (task) DO UPDATE SET until ="
	    " EXCLUDED.until",
	    &value, 1};
	return store_write(store, &statement, 1, 0, NULL, NULL);
}
