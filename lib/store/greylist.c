#include "lib/store/greylist.h"

#include <stdio.h>

/* $1: key  $2: now  $3: delay  $4: window  $5: lifetime. A first try in the future comes from a clock that was set
 * back. */
#define FORGOTTEN "(greylist.until <= $2 OR greylist.first > $2)"
#define PASSES "(greylist.passed = 1 OR greylist.first + $3 <= $2)"

static const char sql_try[] =
    "INSERT INTO greylist (name, first, until, passed, tries, good) VALUES ($1, $2, $2 + $4, 0, 1, 0)"
    " ON CONFLICT (name) DO UPDATE SET"
    " first = CASE WHEN " FORGOTTEN " THEN $2 ELSE greylist.first END,"
    " until = CASE WHEN " FORGOTTEN " THEN $2 + $4 WHEN " PASSES " THEN $2 + $5 ELSE greylist.until END,"
    " passed = CASE WHEN " FORGOTTEN " THEN 0 WHEN " PASSES " THEN 1 ELSE 0 END,"
    " tries = CASE WHEN " FORGOTTEN " THEN 1 ELSE greylist.tries + 1 END,"
    " good = CASE WHEN " FORGOTTEN " THEN 0 WHEN " PASSES " THEN greylist.good + 1 ELSE 0 END"
    " RETURNING passed, first, tries";

static const char sql_known[] =
    "SELECT passed, first, tries, good, until FROM greylist WHERE name = $1 AND until > $2 AND first <= $2";

/* $1: name  $2: now  $3: until */
static const char sql_network[] =
    "INSERT INTO greylist (name, first, until, passed, tries, good) VALUES ($1, $2, $3, 2, 0, 1)"
    " ON CONFLICT (name) DO UPDATE SET until = $3,"
    " good = CASE WHEN greylist.until <= $2 THEN 1 ELSE greylist.good + 1 END";

static const char sql_renew[] =
    "UPDATE greylist SET until = $3, good = good + CASE WHEN passed = 1 THEN 1 ELSE 0 END,"
    " tries = tries + CASE WHEN passed = 1 THEN 1 ELSE 0 END WHERE name = $1 AND until > $2";

enum { NAME_SIZE = GREYLIST_KEY_MAX + 16 };

struct known {
	bool found;
	uint64_t passed, first, tries, good, until;
};

static bool known_row(void *context, const struct store_value *columns, size_t count)
{
	struct known *known = context;
	*known = (struct known){.found = true,
	                        .passed = (uint64_t)columns[0].integer,
	                        .first = (uint64_t)columns[1].integer,
	                        .tries = (uint64_t)columns[2].integer,
	                        .good = count > 3 ? (uint64_t)columns[3].integer : 0,
	                        .until = count > 4 ? (uint64_t)columns[4].integer : 0};
	return false;
}

static struct store_value key_value(const char *key)
{
	return store_text_slice((struct slice){key, strnlen(key, GREYLIST_KEY_MAX)});
}

static enum store_result find(struct store *store, const char *name, uint64_t now, struct known *known_r)
{
	const struct store_value values[] = {key_value(name), store_integer((int64_t)now)};
	*known_r = (struct known){.found = false};
	return store_query(store, sql_known, values, 2, known_row, known_r);
}

/* Soon: it matters in some weeks. */
static void renew(struct store *store, const char *sql, const char *name, uint64_t now, uint64_t lifetime)
{
	const struct store_value values[] = {key_value(name), store_integer((int64_t)now),
	                                     store_integer((int64_t)(now + lifetime))};
	const struct store_statement statement = {.sql = sql, .values = values, .count = 3};
	store_write_later(store, &statement, 1);
}

static void answer_set(const struct greylist_terms *terms, const struct known *known, uint64_t now,
                       struct greylist_answer *answer_r)
{
	uint64_t due = known->first + terms->delay;
	*answer_r = (struct greylist_answer){
	    .pass = known->passed != 0,
	    .first = known->first,
	    .tries = known->tries,
	    .wait = known->passed != 0 || due <= now ? 0 : due - now,
	};
}

static enum store_result attempt(struct store *store, const struct greylist_terms *terms, const char *key, uint64_t now,
                                 struct known *known_r)
{
	const struct store_value values[] = {key_value(key), store_integer((int64_t)now),
	                                     store_integer((int64_t)terms->delay), store_integer((int64_t)terms->window),
	                                     store_integer((int64_t)terms->lifetime)};
	const struct store_statement statement = {.sql = sql_try, .values = values, .count = 5};
	*known_r = (struct known){.found = false};
	return store_write(store, &statement, 1, 0, known_row, known_r);
}

/* What attempt() would say. */
static void attempt_look(const struct greylist_terms *terms, uint64_t now, struct known *known)
{
	if (!known->found) {
		*known = (struct known){.first = now};
	}
	known->tries++;
	known->passed = known->found && known->first + terms->delay <= now;
}

enum store_result greylist_check(struct store *store, const struct greylist_terms *terms, const char *key,
                                 const char *network, uint64_t now, bool look, struct greylist_answer *answer_r)
{
	char network_name[NAME_SIZE];
	struct known known;
	struct known whole = {.found = false};
	snprintf(network_name, sizeof network_name, "network:%s", network);
	enum store_result result = find(store, key, now, &known);
	if (result == STORE_OK && network[0] != '\0' && terms->network_after > 0) {
		result = find(store, network_name, now, &whole);
	}
	if (result != STORE_OK) {
		return result;
	}
	bool by_network = whole.found && whole.good >= terms->network_after;
	if (by_network || (known.found && known.passed == 1)) {
		if (!look) {
			renew(store, sql_renew, by_network ? network_name : key, now, terms->lifetime);
		}
		*answer_r = (struct greylist_answer){.pass = true,
		                                     .network = by_network,
		                                     .first = by_network ? whole.first : known.first,
		                                     .tries = known.tries + 1};
		return STORE_OK;
	}
	if (look) {
		attempt_look(terms, now, &known);
	} else {
		result = attempt(store, terms, key, now, &known);
	}
	if (result == STORE_OK) {
		answer_set(terms, &known, now, answer_r);
	}
	if (result == STORE_OK && answer_r->pass && !look && network[0] != '\0') {
		renew(store, sql_network, network_name, now, terms->lifetime);
	}
	return result;
}

/* ---- for the operator ---- */

struct listing {
	greylist_visit *visit;
	void *context;
};

static bool list_row(void *context, const struct store_value *columns, size_t count)
{
	static const enum greylist_state states[] = {GREYLIST_WAITING, GREYLIST_PASSED, GREYLIST_NETWORK};
	const struct listing *listing = context;
	(void)count;
	struct greylist_row row = {.key = columns[0].bytes,
	                           .state = states[columns[1].integer % 3],
	                           .first = (uint64_t)columns[2].integer,
	                           .until = (uint64_t)columns[3].integer,
	                           .tries = (uint64_t)columns[4].integer,
	                           .good = (uint64_t)columns[5].integer};
	return listing->visit(listing->context, &row);
}

enum store_result greylist_list(struct store *store, const char *part, uint64_t now, uint64_t limit,
                                greylist_visit *visit, void *context)
{
	const struct store_value values[] = {part == NULL ? store_null() : key_value(part), store_integer((int64_t)now),
	                                     store_integer((int64_t)limit)};
	struct listing listing = {visit, context};
	return store_query(store,
	                   "SELECT name, passed, first, until, tries, good FROM greylist WHERE until > $2"
	                   " AND (CAST($1 AS TEXT) IS NULL OR REPLACE(name, CAST($1 AS TEXT), '') <> name)"
	                   " ORDER BY first DESC, name LIMIT $3",
	                   values, 3, list_row, &listing);
}

static bool count_row(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	++*(uint64_t *)context;
	return true;
}

enum store_result greylist_remove(struct store *store, const char *key, uint64_t *count_r)
{
	char network_name[NAME_SIZE];
	snprintf(network_name, sizeof network_name, "network:%s", key);
	const struct store_value values[] = {key_value(key), store_text(network_name)};
	const struct store_statement statement = {
	    .sql = "DELETE FROM greylist WHERE name = $1 OR name = $2 RETURNING 1", .values = values, .count = 2};
	*count_r = 0;
	return store_write(store, &statement, 1, 0, count_row, count_r);
}

static bool counts_row(void *context, const struct store_value *columns, size_t count)
{
	struct greylist_counts *counts = context;
	(void)count;
	counts->rows[columns[0].integer % 3] = (uint64_t)columns[1].integer;
	return true;
}

enum store_result greylist_count(struct store *store, uint64_t now, struct greylist_counts *counts_r)
{
	const struct store_value seconds = store_integer((int64_t)now);
	*counts_r = (struct greylist_counts){.rows = {0}};
	return store_query(store, "SELECT passed, COUNT(*) AS n FROM greylist WHERE until > $1 GROUP BY passed", &seconds, 1,
	                   counts_row, counts_r);
}

enum store_result greylist_expire(struct store *store, uint64_t now, uint64_t max)
{
	const struct store_value seconds = store_integer((int64_t)now);
	const struct store_value most = store_integer((int64_t)max);
	const struct store_statement statements[] = {
	    {.sql = "DELETE FROM greylist WHERE until <= $1", .values = &seconds, .count = 1},
	    {.sql = "DELETE FROM greylist WHERE passed = 0 AND first <="
	            " (SELECT first FROM greylist WHERE passed = 0 ORDER BY first DESC LIMIT 1 OFFSET $1)",
	     .values = &most,
	     .count = 1},
	};
	return store_write(store, statements, 2, 0, NULL, NULL);
}
