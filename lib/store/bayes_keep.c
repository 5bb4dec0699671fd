/* What is known for caches and operators, and what goes with time. */
#include "lib/store/bayes_private.h"

enum { CHANGES_AT_A_TIME = 128, WALK_STEP = 20000, GONE_MAX = 8192, FORGET_STEP = 500 };

/* ---- for a cache ---- */

struct loading {
	bayes_token_visit *visit;
	void *context;
};

static bool load_row(void *context, const struct store_value *columns, size_t count)
{
	const struct loading *loading = context;
	if (count == 3 && columns[0].bytes.len == 8) {
		loading->visit(loading->context, bayes_take_token(columns[0].bytes.data),
		               (struct bayes_counts){.spam = bayes_count(&columns[1]), .ham = bayes_count(&columns[2])});
	}
	return true;
}

enum store_result bayes_load(struct store *store, const char *owner, const uint64_t *after, size_t limit,
                             bayes_token_visit *visit, void *context)
{
	struct loading loading = {.visit = visit, .context = context};
	char bytes[8];
	if (after != NULL) {
		bayes_put_token(*after, bytes);
	}
	const struct store_value values[] = {store_text(owner), store_blob(bytes, after == NULL ? 0 : sizeof bytes),
	                                     store_integer((int64_t)limit)};
	return store_query(
	    store, "SELECT token, spam, ham FROM bayes_token WHERE owner = $1 AND token > $2 ORDER BY token LIMIT $3",
	    values, 3, load_row, &loading);
}

struct changes {
	bayes_change_visit *visit;
	void *context;
	struct arena *arena;
};

static bool change_row(void *context, const struct store_value *columns, size_t count)
{
	const struct changes *changes = context;
	size_t n = count == 3 ? columns[2].bytes.len / 8 : 0;
	uint64_t *tokens = arena_alloc(changes->arena, n * sizeof *tokens);
	for (size_t i = 0; i < n; i++) {
		tokens[i] = bayes_take_token(columns[2].bytes.data + i * 8);
	}
	changes->visit(changes->context, columns[0].integer, columns[1].bytes, tokens, n);
	return true;
}

enum store_result bayes_changes(struct store *store, int64_t since, bayes_change_visit *visit, void *context)
{
	struct changes changes = {.visit = visit, .context = context, .arena = arena_create(65536)};
	const struct store_value values[] = {store_integer(since), store_integer(CHANGES_AT_A_TIME)};
	enum store_result result =
	    store_query(store, "SELECT change, owner, tokens FROM bayes_change WHERE change > $1 ORDER BY change LIMIT $2",
	                values, 2, change_row, &changes);
	arena_destroy(changes.arena);
	return result;
}

/* ---- what goes ---- */

/* Of one owner in one step. */
struct walking {
	struct bayes_walk *walk;
	int64_t before;
	size_t rows;
	char *gone;
	size_t gone_count;
	bool stopped; /* at another owner, or as there are enough */
};

static bool walk_row(void *context, const struct store_value *columns, size_t count)
{
	struct walking *walking = context;
	struct bayes_walk *walk = walking->walk;
	struct slice owner = columns[0].bytes;
	bool other = count != 5 || owner.len > BAYES_OWNER_MAX || columns[1].bytes.len != 8;
	if (other || walking->gone_count == GONE_MAX ||
	    (walking->rows > 0 && !slice_equal(owner, slice_from(walk->owner)))) {
		walking->stopped = true;
		return false;
	}
	walking->rows++;
	if (owner.len > 0) {
		memcpy(walk->owner, owner.data, owner.len);
	}
	walk->owner[owner.len] = '\0';
	walk->token = bayes_take_token(columns[1].bytes.data);
	walk->begun = true;
	if (columns[2].integer + columns[3].integer <= 1 && columns[4].integer < walking->before) {
		memcpy(walking->gone + walking->gone_count++ * 8, columns[1].bytes.data, 8);
	}
	return true;
}

static bool count_row(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	++*(uint64_t *)context;
	return true;
}

/* What another has learnt again meanwhile stays. */
static enum store_result remove_tokens(struct store *store, const struct walking *walking, int64_t now,
                                       uint64_t *removed)
{
	static const struct store_value subject = {.type = STORE_TEXT, .bytes = SLICE_LITERAL("bayes")};
	const struct store_value values[] = {store_text(walking->walk->owner),
	                                     store_blob(walking->gone, walking->gone_count * 8),
	                                     store_integer((int64_t)walking->gone_count), store_integer(walking->before)};
	const struct store_value told[] = {values[0], values[1], store_integer(now)};
	const struct store_statement statements[] = {
	    store_bump(&subject),
	    {.sql = "INSERT INTO bayes_change (change, owner, tokens, time) SELECT " BAYES_NOW_CHANGE ", $1, $2, $3",
	     .values = told,
	     .count = 3},
	    {.sql = BAYES_NUMBERS("$3") "DELETE FROM bayes_token WHERE owner = $1 AND spam + ham <= 1 AND seen < $4"
	                                " AND token IN (SELECT substr($2, n.i * 8 + 1, 8) FROM n) RETURNING 1",
	     .values = values,
	     .count = 4},
	};
	return store_write(store, statements, sizeof statements / sizeof *statements, 0, count_row, removed);
}

enum store_result bayes_expire(struct store *store, int64_t before, int64_t now, struct bayes_walk *walk,
                               uint64_t *removed_r)
{
	static const char sql_first[] =
	    "SELECT owner, token, spam, ham, seen FROM bayes_token ORDER BY owner, token LIMIT $1";
	static const char sql_next[] =
	    "SELECT owner, token, spam, ham, seen FROM bayes_token WHERE (owner, token) > ($2, $3)"
	    " ORDER BY owner, token LIMIT $1";
	struct arena *arena = arena_create(1024);
	struct walking walking = {.walk = walk, .before = before, .gone = arena_alloc(arena, (size_t)GONE_MAX * 8)};
	char *owner = arena_strdup(arena, walk->owner);
	char bytes[8];
	bayes_put_token(walk->token, bytes);
	const struct store_value values[] = {store_integer(WALK_STEP), store_text(owner), store_blob(bytes, 8)};
	*removed_r = 0;
	enum store_result result =
	    store_query(store, walk->begun ? sql_next : sql_first, values, walk->begun ? 3 : 1, walk_row, &walking);
	if (result == STORE_OK) {
		walk->done = !walking.stopped && walking.rows < WALK_STEP;
	}
	if (result == STORE_OK && walking.gone_count > 0) {
		result = remove_tokens(store, &walking, now, removed_r);
	}
	arena_destroy(arena);
	return result;
}

enum store_result bayes_forget(struct store *store, int64_t before, int64_t now, bool *more_r)
{
	static const struct store_value subject = {.type = STORE_TEXT, .bytes = SLICE_LITERAL("bayes")};
	const struct store_value values[] = {store_integer(before), store_integer(FORGET_STEP), store_blob("", 0)};
	const struct store_value old = store_integer(now - BAYES_CHANGES_S);
	const struct store_statement statements[] = {
	    store_bump(&subject), /* for its lock: learners change these rows, too */
	    {.sql = "DELETE FROM bayes_change WHERE time < $1", .values = &old, .count = 1},
	    {.sql = "UPDATE bayes_learnt SET version = 0, tokens = $3 WHERE (owner, digest) IN"
	            " (SELECT owner, digest FROM bayes_learnt WHERE version > 0 AND time < $1 LIMIT $2) RETURNING 1",
	     .values = values,
	     .count = 3},
	};
	uint64_t count = 0;
	enum store_result result =
	    store_write(store, statements, sizeof statements / sizeof *statements, 0, count_row, &count);
	*more_r = result == STORE_OK && count == FORGET_STEP;
	return result;
}

/* ---- for the operator ---- */

struct listing {
	bayes_owner_visit *visit;
	void *context;
};

static bool list_row(void *context, const struct store_value *columns, size_t count)
{
	const struct listing *listing = context;
	if (count == 8) {
		const struct bayes_owner owner = {
		    .name = columns[0].bytes,
		    .learnt = {.spam = bayes_count(&columns[1]), .ham = bayes_count(&columns[2])},
		    .changed = columns[3].integer,
		    .tokens = (uint64_t)columns[4].integer,
		    .once = (uint64_t)columns[5].integer,
		    .kept = (uint64_t)columns[6].integer,
		    .oldest = columns[7].integer,
		};
		listing->visit(listing->context, &owner);
	}
	return true;
}

enum store_result bayes_list(struct store *store, const char *name, bayes_owner_visit *visit, void *context)
{
	static const char sql[] =
	    "SELECT o.owner AS owner, o.spam AS spam, o.ham AS ham, o.changed AS changed,"
	    " (SELECT count(*) FROM bayes_token t WHERE t.owner = o.owner) AS tokens,"
	    " (SELECT count(*) FROM bayes_token t WHERE t.owner = o.owner AND t.spam + t.ham <= 1) AS once,"
	    " (SELECT count(*) FROM bayes_learnt l WHERE l.owner = o.owner AND l.version > 0) AS kept,"
	    " COALESCE((SELECT min(l.time) FROM bayes_learnt l WHERE l.owner = o.owner AND l.version > 0), 0) AS oldest"
	    " FROM bayes_owner o WHERE CAST($1 AS TEXT) IS NULL OR o.owner = $1 ORDER BY o.owner";
	struct listing listing = {.visit = visit, .context = context};
	const struct store_value value = store_text(name);
	return store_query(store, sql, &value, 1, list_row, &listing);
}
