#include "lib/store/rates.h"

#include "lib/base/clock.h"

#include <stdlib.h>

/* $1: which check  $2: rule  $3: name  $4: now  $5: cost  $6: capacity. A time beyond a full capacity comes from a
 * clock that was set back: it is an empty bucket, no more. */
#define BUCKET                                                                                                         \
	"(CASE WHEN rate_bucket.tat < $4 THEN $4 WHEN rate_bucket.tat > $4 + $6 THEN $4 + $6 ELSE rate_bucket.tat END)"
#define FITS BUCKET " + $5 <= $4 + $6"

static const char sql_take[] =
    "INSERT INTO rate_bucket (rule, name, tat, allowed, refused) VALUES ($2, $3, $4 + $5, 1, 0)"
    " ON CONFLICT (rule, name) DO UPDATE SET"
    " tat = CASE WHEN " FITS " THEN " BUCKET " + $5 ELSE " BUCKET " END,"
    " allowed = CASE WHEN " FITS " THEN 1 ELSE 0 END,"
    " refused = CASE WHEN rate_bucket.tat <= $4 THEN 0 WHEN " FITS " THEN rate_bucket.refused"
    " ELSE rate_bucket.refused + 1 END"
    " RETURNING $1, allowed, tat";

static const char sql_look[] =
    "SELECT $1, CASE WHEN " FITS " THEN 1 ELSE 0 END, " BUCKET " FROM rate_bucket WHERE rule = $2 AND name = $3";

static const char sql_refund[] = "UPDATE rate_bucket SET tat = tat - $3 WHERE rule = $1 AND name = $2";

/* $1 is not asked for: the numbers are as above. */
static const char sql_charge[] =
    "INSERT INTO rate_bucket (rule, name, tat, allowed, refused) VALUES ($2, $3, $4 + $5, $1, 0)"
    " ON CONFLICT (rule, name) DO UPDATE SET"
    " tat = CASE WHEN " FITS " THEN " BUCKET " + $5 ELSE $4 + $6 END";

/* $1: which check  $2: rule  $3: name  $4: value  $5: now  $6: until when it counts  $7: how many are allowed */
#define SEEN "SELECT count(*) FROM rate_seen WHERE rule = $2 AND name = $3 AND until > $5"
#define ROOM                                                                                                           \
	"(" SEEN ") < $7 OR EXISTS (SELECT 1 FROM rate_seen WHERE rule = $2 AND name = $3 AND value = $4 AND until > $5)"

static const char sql_see[] = "INSERT INTO rate_seen (rule, name, value, until) SELECT $2, $3, $4, $6 WHERE " ROOM
                              " ON CONFLICT (rule, name, value) DO UPDATE SET until = EXCLUDED.until"
                              " RETURNING $1, 1, 0";

static const char sql_look_seen[] = "SELECT $1, 1, CASE WHEN EXISTS (SELECT 1 FROM rate_seen WHERE rule = $2 AND name "
                                    "= $3 AND value = $4 AND until > $5)"
                                    " THEN 0 ELSE 1 END WHERE $6 > 0 AND (" ROOM ")";

enum { CHECK_VALUES = 7 };

struct statement {
	struct store_value values[CHECK_VALUES];
	struct store_statement statement;
};

static struct store_value name_value(const char *name)
{
	return store_text_slice((struct slice){name, strnlen(name, RATES_NAME_MAX)});
}

static uint64_t check_cost(const struct rates_check *check)
{
	uint64_t units = check->look || check->units < check->rule->burst ? check->units : check->rule->burst;
	return rate_cost(check->rule, units);
}

static void statement_make(const struct rates_check *check, size_t index, uint64_t now, struct statement *made_r)
{
	const struct rate_rule *rule = check->rule;
	struct store_value *values = made_r->values;
	bool window = rate_unit_is_window(rule->unit);
	values[0] = store_integer((int64_t)index);
	values[1] = store_text(check->key);
	values[2] = name_value(check->name);
	if (window) {
		values[3] = name_value(check->value);
		values[4] = store_integer((int64_t)now);
		values[5] = store_integer((int64_t)(now + rule->period / CLOCK_NS_PER_S));
		values[6] = store_integer((int64_t)rule->amount - (check->look ? (int64_t)check->units : 0));
	} else {
		values[3] = store_integer((int64_t)(now * CLOCK_NS_PER_S));
		values[4] = store_integer((int64_t)check_cost(check));
		values[5] = store_integer((int64_t)rate_capacity(rule));
	}
	made_r->statement = (struct store_statement){
	    .sql = window ? (check->look ? sql_look_seen : sql_see) : (check->look ? sql_look : sql_take),
	    .values = values,
	    .count = window ? 7 : 6,
	};
}

struct answers {
	struct rates_check *checks;
	size_t count;
	uint64_t now;
};

static void answer_bucket(struct rates_check *check, uint64_t full_at, uint64_t now)
{
	uint64_t capacity = rate_capacity(check->rule);
	uint64_t cost = check_cost(check);
	uint64_t start = now * CLOCK_NS_PER_S;
	uint64_t used = full_at > start ? full_at - start : 0;
	check->left = rate_units(check->rule, used < capacity ? capacity - used : 0);
	bool later = !check->allowed && cost <= capacity && used + cost > capacity;
	check->wait = later ? (used + cost - capacity + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S : 0;
}

static bool answer_row(void *context, const struct store_value *columns, size_t count)
{
	struct answers *answers = context;
	size_t index = (size_t)columns[0].integer;
	if (count == 3 && index < answers->count) {
		struct rates_check *check = &answers->checks[index];
		check->allowed = columns[1].integer != 0;
		check->fresh = rate_unit_is_window(check->rule->unit) && columns[2].integer != 0;
		if (!rate_unit_is_window(check->rule->unit)) {
			answer_bucket(check, (uint64_t)columns[2].integer, answers->now);
		}
	}
	return true;
}

/* A bucket without a row is full; a window gives a row for what it allows. */
static void answers_begin(struct answers *answers)
{
	for (size_t i = 0; i < answers->count; i++) {
		struct rates_check *check = &answers->checks[i];
		bool bucket = !rate_unit_is_window(check->rule->unit);
		check->allowed = bucket && check_cost(check) <= rate_capacity(check->rule);
		check->fresh = false;
		check->left = bucket ? check->rule->burst : 0;
		check->wait = 0;
	}
}

/* Rows are locked in one order by all, or two batches could wait for each other for ever. */
static int compare_checks(const void *a, const void *b, void *context)
{
	const struct rates_check *checks = context;
	const struct rates_check *left = &checks[*(const size_t *)a];
	const struct rates_check *right = &checks[*(const size_t *)b];
	int order = strcmp(left->key, right->key);
	return order != 0 ? order : strcmp(left->name, right->name);
}

static void order_make(struct rates_check *checks, size_t count, size_t *order_r)
{
	for (size_t i = 0; i < count; i++) {
		order_r[i] = i;
	}
	qsort_r(order_r, count, sizeof *order_r, compare_checks, checks);
}

enum store_result rates_check(struct store *store, struct rates_check *checks, size_t count, uint64_t now)
{
	struct statement made[RATES_CHECKS_MAX];
	struct store_statement statements[RATES_CHECKS_MAX];
	size_t order[RATES_CHECKS_MAX];
	struct answers answers = {
	    .checks = checks, .count = count < RATES_CHECKS_MAX ? count : RATES_CHECKS_MAX, .now = now};
	bool writes = false;
	answers_begin(&answers);
	order_make(checks, answers.count, order);
	for (size_t i = 0; i < answers.count; i++) {
		statement_make(&checks[order[i]], order[i], now, &made[i]);
		statements[i] = made[i].statement;
		writes = writes || !checks[i].look;
	}
	if (writes) {
		return store_write(store, statements, answers.count, 0, answer_row, &answers);
	}
	enum store_result result = STORE_OK;
	for (size_t i = 0; i < answers.count && result == STORE_OK; i++) {
		result = store_query(store, statements[i].sql, statements[i].values, statements[i].count, answer_row, &answers);
	}
	return result;
}

void rates_refund(struct store *store, const struct rates_check *checks, size_t count)
{
	struct store_value values[RATES_CHECKS_MAX][3];
	struct store_statement statements[RATES_CHECKS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < count && n < RATES_CHECKS_MAX; i++) {
		const struct rates_check *check = &checks[i];
		if (!check->allowed || check->look || rate_unit_is_window(check->rule->unit)) {
			continue;
		}
		values[n][0] = store_text(check->key);
		values[n][1] = name_value(check->name);
		values[n][2] = store_integer((int64_t)check_cost(check));
		statements[n] = (struct store_statement){.sql = sql_refund, .values = values[n], .count = 3};
		n++;
	}
	if (n > 0) {
		store_write_later(store, statements, n);
	}
}

void rates_charge(struct store *store, const struct rates_check *check, uint64_t now)
{
	struct statement made;
	statement_make(check, 0, now, &made);
	made.statement.sql = sql_charge;
	store_write_later(store, &made.statement, 1);
}

/* ---- locks ---- */

static void copy_text(const struct store_value *value, char *text_r, size_t size)
{
	size_t n = value->bytes.len < size - 1 ? value->bytes.len : size - 1;
	if (n > 0) {
		memcpy(text_r, value->bytes.data, n);
	}
	text_r[n] = '\0';
}

static void lock_read(const struct store_value *columns, struct rates_lock *lock_r)
{
	copy_text(&columns[0], lock_r->name, sizeof lock_r->name);
	copy_text(&columns[1], lock_r->reason, sizeof lock_r->reason);
	lock_r->since = (uint64_t)columns[2].integer;
	lock_r->until = (uint64_t)columns[3].integer;
}

static bool lock_row(void *context, const struct store_value *columns, size_t count)
{
	(void)count;
	lock_read(columns, context);
	return false;
}

enum store_result rates_lock_find(struct store *store, const char *name, uint64_t now, struct rates_lock *lock_r)
{
	const struct store_value values[] = {name_value(name), store_integer((int64_t)now)};
	*lock_r = (struct rates_lock){.until = 0};
	return store_query(store, "SELECT name, reason, since, until FROM rate_lock WHERE name = $1 AND until > $2", values,
	                   2, lock_row, lock_r);
}

enum store_result rates_lock(struct store *store, const char *name, const char *reason, uint64_t now, uint64_t until)
{
	const struct store_value values[] = {name_value(name), store_text(reason), store_integer((int64_t)now),
	                                     store_integer((int64_t)until)};
	const struct store_statement statement = {
	    .sql = "INSERT INTO rate_lock (name, reason, since, until) VALUES ($1, $2, $3, $4)"
	           " ON CONFLICT (name) DO UPDATE SET"
	           " reason = CASE WHEN rate_lock.until <= $3 THEN $2 ELSE rate_lock.reason END,"
	           " since = CASE WHEN rate_lock.until <= $3 THEN $3 ELSE rate_lock.since END,"
	           " until = CASE WHEN rate_lock.until < $4 THEN $4 ELSE rate_lock.until END",
	    .values = values,
	    .count = 4,
	};
	return store_write(store, &statement, 1, 0, NULL, NULL);
}

/* ---- for the operator ---- */

struct listing {
	rates_visit *visit;
	rates_lock_visit *visit_lock;
	void *context;
};

static bool list_row(void *context, const struct store_value *columns, size_t count)
{
	const struct listing *listing = context;
	(void)count;
	struct rates_row row = {.key = columns[0].bytes, .name = columns[1].bytes, .window = columns[2].integer != 0};
	if (row.window) {
		row.seen = (uint64_t)columns[3].integer;
	} else {
		row.full_at = (uint64_t)columns[3].integer;
		row.refused = (uint64_t)columns[4].integer;
	}
	return listing->visit(listing->context, &row);
}

enum store_result rates_list(struct store *store, const char *name, uint64_t now, uint64_t limit, rates_visit *visit,
                             void *context)
{
	static const char sql[] = "SELECT rule, name, 0 AS kind, tat, refused FROM rate_bucket WHERE tat > $2 AND (CAST($1 "
	                          "AS TEXT) IS NULL OR name = $1)"
	                          " UNION ALL"
	                          " SELECT rule, name, 1 AS kind, count(*), 0 FROM rate_seen WHERE until > $3 AND (CAST($1 "
	                          "AS TEXT) IS NULL OR name = $1)"
	                          " GROUP BY rule, name ORDER BY 5 DESC, 4 DESC, 2 LIMIT $4";
	const struct store_value values[] = {name == NULL ? store_null() : name_value(name),
	                                     store_integer((int64_t)(now * CLOCK_NS_PER_S)), store_integer((int64_t)now),
	                                     store_integer((int64_t)limit)};
	struct listing listing = {.visit = visit, .context = context};
	return store_query(store, sql, values, 4, list_row, &listing);
}

static bool list_lock_row(void *context, const struct store_value *columns, size_t count)
{
	const struct listing *listing = context;
	struct rates_lock lock;
	(void)count;
	lock_read(columns, &lock);
	return listing->visit_lock(listing->context, &lock);
}

enum store_result rates_list_locks(struct store *store, const char *name, uint64_t now, rates_lock_visit *visit,
                                   void *context)
{
	const struct store_value values[] = {name == NULL ? store_null() : name_value(name), store_integer((int64_t)now)};
	struct listing listing = {.visit_lock = visit, .context = context};
	return store_query(store,
	                   "SELECT name, reason, since, until FROM rate_lock WHERE until > $2"
	                   " AND (CAST($1 AS TEXT) IS NULL OR name = $1) ORDER BY since DESC",
	                   values, 2, list_lock_row, &listing);
}

static bool count_row(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	++*(uint64_t *)context;
	return true;
}

enum store_result rates_reset(struct store *store, const char *name, uint64_t *count_r)
{
	const struct store_value value = name_value(name);
	const struct store_statement statements[] = {
	    {.sql = "DELETE FROM rate_bucket WHERE name = $1 RETURNING 1", .values = &value, .count = 1},
	    {.sql = "DELETE FROM rate_seen WHERE name = $1 RETURNING 1", .values = &value, .count = 1},
	    {.sql = "DELETE FROM rate_lock WHERE name = $1 RETURNING 1", .values = &value, .count = 1},
	};
	*count_r = 0;
	return store_write(store, statements, 3, 0, count_row, count_r);
}

enum store_result rates_expire(struct store *store, uint64_t now, uint64_t max)
{
	const struct store_value ns = store_integer((int64_t)(now * CLOCK_NS_PER_S));
	const struct store_value seconds = store_integer((int64_t)now);
	const struct store_value most = store_integer((int64_t)max);
	const struct store_statement statements[] = {
	    {.sql = "DELETE FROM rate_bucket WHERE tat <= $1", .values = &ns, .count = 1},
	    {.sql = "DELETE FROM rate_seen WHERE until <= $1", .values = &seconds, .count = 1},
	    {.sql = "DELETE FROM rate_lock WHERE until <= $1", .values = &seconds, .count = 1},
	    {.sql =
	         "DELETE FROM rate_bucket WHERE tat <= (SELECT tat FROM rate_bucket ORDER BY tat DESC LIMIT 1 OFFSET $1)",
	     .values = &most,
	     .count = 1},
	    {.sql =
	         "DELETE FROM rate_seen WHERE until <= (SELECT until FROM rate_seen ORDER BY until DESC LIMIT 1 OFFSET $1)",
	     .values = &most,
	     .count = 1},
	};
	return store_write(store, statements, sizeof statements / sizeof *statements, 0, NULL, NULL);
}
