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
