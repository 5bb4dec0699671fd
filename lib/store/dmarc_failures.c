#include "lib/store/dmarc_failures.h"

#include "lib/store/dmarc_rows.h"

bool dmarc_failures_add(struct store *store, const struct dmarc_failure *failure, int64_t due, int64_t max)
{
	static const char sql[] =
	    "INSERT INTO dmarc_failure (id, day, domain, address, parts, state, attempts, due)"
	    " SELECT $1, $2, $3, $4, $5, 0, 0, $6"
	    " WHERE (SELECT COUNT(*) FROM dmarc_failure WHERE domain = $3 AND day = $2) < $7 ON CONFLICT DO NOTHING";
	const struct store_value values[] = {store_integer(failure->id),
	                                     store_integer(failure->day),
	                                     store_text(failure->domain),
	                                     store_text(failure->address),
	                                     store_text_slice(failure->parts),
	                                     store_integer(due),
	                                     store_integer(max)};
	return store_write_later(store, &(struct store_statement){sql, values, sizeof values / sizeof *values}, 1);
}

static struct dmarc_failure failure_of(struct arena *arena, const struct store_value *columns)
{
	struct slice parts = columns[4].bytes;
	return (struct dmarc_failure){.id = columns[0].integer,
	                              .day = columns[1].integer,
	                              .domain = slice_dup(arena, columns[2].bytes),
	                              .address = slice_dup(arena, columns[3].bytes),
	                              .parts = {slice_dup(arena, parts), parts.len},
	                              .attempts = columns[5].integer};
}

struct listing {
	dmarc_failure_visitor *visit;
	void *context;
	struct arena *arena;
};

static bool on_waiting(void *context, const struct store_value *columns, size_t count)
{
	struct listing *listing = context;
	(void)count;
	arena_reset(listing->arena);
	struct dmarc_failure failure = failure_of(listing->arena, columns);
	return listing->visit(listing->context, &failure);
}

enum store_result dmarc_failures_waiting(struct store *store, const char *domain, int64_t limit,
                                         dmarc_failure_visitor *visit, void *context)
{
	static const char sql[] = "SELECT id, day, domain, address, parts, attempts FROM dmarc_failure"
	                          " WHERE state = 0 AND ($1 = '' OR domain = $1) ORDER BY id, address LIMIT $2";
	const struct store_value values[] = {store_text(domain), store_integer(limit)};
	struct listing listing = {visit, context, arena_create(4096)};
	enum store_result result = store_query(store, sql, values, 2, on_waiting, &listing);
	arena_destroy(listing.arena);
	return result;
}

struct taking {
	struct arena *arena;
	struct dmarc_failure *failure_r;
	bool found;
};

static bool on_taken(void *context, const struct store_value *columns, size_t count)
{
	struct taking *taking = context;
	(void)count;
	*taking->failure_r = failure_of(taking->arena, columns);
	taking->found = true;
	return false;
}

/* One statement: of two daemons that ask at the same time the second finds a time that has not come. */
enum store_result dmarc_failures_take(struct store *store, struct arena *arena, int64_t now, int64_t lease,
                                      struct dmarc_failure *failure_r, bool *found_r)
{
	static const char sql[] =
	    "UPDATE dmarc_failure SET due = $2, attempts = attempts + 1 WHERE state = 0 AND"
	    " (due <= $1 OR due > $3) AND (id, address) IN (SELECT id, address FROM dmarc_failure WHERE state = 0 AND"
	    " (due <= $1 OR due > $3) ORDER BY due, id, address LIMIT 1)"
	    " RETURNING id, day, domain, address, parts, attempts";
	const struct store_value values[] = {store_integer(now), store_integer(now + lease),
	                                     store_integer(now + DMARC_ROWS_DUE_MAX)};
	struct taking taking = {arena, failure_r, false};
	enum store_result result = store_write(store, &(struct store_statement){sql, values, 3}, 1, 0, on_taken, &taking);
	*found_r = result == STORE_OK && taking.found;
	return result;
}

enum store_result dmarc_failures_done(struct store *store, int64_t id, const char *address)
{
	static const char sql[] = "UPDATE dmarc_failure SET state = 1, parts = '' WHERE id = $1 AND address = $2";
	const struct store_value values[] = {store_integer(id), store_text(address)};
	return store_write(store, &(struct store_statement){sql, values, 2}, 1, STORE_DURABLE, NULL, NULL);
}

enum store_result dmarc_failures_later(struct store *store, int64_t id, const char *address, int64_t due)
{
	static const char sql[] = "UPDATE dmarc_failure SET due = $3 WHERE id = $1 AND address = $2";
	const struct store_value values[] = {store_integer(id), store_text(address), store_integer(due)};
	return store_write(store, &(struct store_statement){sql, values, 3}, 1, 0, NULL, NULL);
}

enum store_result dmarc_failures_expire(struct store *store, int64_t day, int64_t limit)
{
	static const char sql[] = "DELETE FROM dmarc_failure WHERE (id, address) IN"
	                          " (SELECT id, address FROM dmarc_failure WHERE day < $1 ORDER BY day LIMIT $2)";
	const struct store_value values[] = {store_integer(day), store_integer(limit)};
	return store_write(store, &(struct store_statement){sql, values, 2}, 1, 0, NULL, NULL);
}
