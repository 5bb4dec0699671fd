#include "lib/store/lists.h"

#include "lib/base/log.h"

#include <stdlib.h>
#include <sys/random.h>

enum { COLUMNS = 10, BATCH = STORE_STATEMENTS_MAX - 8, IMPORT_COLUMNS = 13, IMPORT_KEPT_S = 86400 };

#define ENTRY_COLUMNS "owner, value, kind, action, enforced, forced, expires, added, added_by, note"
#define NEWEST "(SELECT value FROM store_counter WHERE subject = 'lists')"

enum store_result store_lists_newest(struct store *store, int64_t *change_r)
{
	return store_counter(store, "lists", change_r);
}

/* ---- reading ---- */

struct reading {
	store_lists_visit *visit;
	void *context;
	int64_t change;
	struct arena *arena; /* of one row */
};

static const char *column_text(struct reading *reading, const struct store_value *column)
{
	return column->bytes.len == 0 ? "" : slice_dup(reading->arena, column->bytes);
}

static bool kind_parse(const struct store_value *column, enum list_kind *kind_r)
{
	for (enum list_kind kind = 0; kind < LIST_KINDS; kind++) {
		if (slice_equal(column->bytes, slice_from(list_kind_name(kind)))) {
			*kind_r = kind;
			return true;
		}
	}
	return false;
}

static bool read_row(void *context, const struct store_value *columns, size_t count)
{
	struct reading *reading = context;
	struct list_entry entry;
	arena_reset(reading->arena);
	if (count > COLUMNS && columns[COLUMNS].integer > reading->change) {
		reading->change = columns[COLUMNS].integer;
	}
	/* Who wrote something else by hand gets nothing for it. */
	if (!kind_parse(&columns[2], &entry.kind) || columns[3].integer < LIST_REMOVED || columns[3].integer > LIST_BLOCK) {
		return true;
	}
	entry.owner = column_text(reading, &columns[0]);
	entry.value = column_text(reading, &columns[1]);
	entry.action = (enum list_action)columns[3].integer;
	entry.enforced = columns[4].integer != 0;
	entry.forced = columns[5].integer != 0;
	entry.expires = (uint64_t)columns[6].integer;
	entry.added = (uint64_t)columns[7].integer;
	entry.by = column_text(reading, &columns[8]);
	entry.note = column_text(reading, &columns[9]);
	reading->visit(reading->context, &entry);
	return true;
}

static enum store_result read_with(struct store *store, const char *sql, const struct store_value *value,
                                   struct reading *reading)
{
	reading->arena = arena_create(4096);
	enum store_result result = store_query(store, sql, value, 1, read_row, reading);
	arena_destroy(reading->arena);
	return result;
}

enum store_result store_lists_read(struct store *store, int64_t since, store_lists_visit *visit, void *context,
                                   int64_t *change_r)
{
	struct reading reading = {.visit = visit, .context = context};
	struct store_value from = store_integer(since);
	/* The number first: what is committed in between has a greater one. Commits are in the order of their numbers, as
	 * the counter's row is locked until then. */
	enum store_result result = store_lists_newest(store, &reading.change);
	if (result == STORE_OK) {
		result =
		    read_with(store,
		              since > 0 ? "SELECT " ENTRY_COLUMNS ", change FROM list_entry WHERE change > $1"
		                        : "SELECT " ENTRY_COLUMNS ", change FROM list_entry WHERE change > $1 AND action > 0",
		              &from, &reading);
	}
	*change_r = reading.change;
	return result;
}

enum store_result store_lists_read_owner(struct store *store, const char *owner, store_lists_visit *visit,
                                         void *context)
{
	struct reading reading = {.visit = visit, .context = context};
	struct store_value value = store_text(owner);
	return read_with(store, "SELECT " ENTRY_COLUMNS " FROM list_entry WHERE owner = $1 AND action > 0 ORDER BY value",
	                 &value, &reading);
}

/* ---- writing ---- */

/* Entries go to list_import first, in as many batches as it takes, and from there into the list in one. */
struct import {
	struct store *store;
	int64_t id;
	uint64_t now;
	struct store_statement *statements;
	struct store_value *values;
};

static enum store_lists_answer answer_of(enum store_result result)
{
	switch (result) {
	case STORE_OK:
		return STORE_LISTS_DONE;
	case STORE_UNAVAILABLE:
		return STORE_LISTS_UNAVAILABLE;
	case STORE_REFUSED:
		break;
	}
	return STORE_LISTS_FAILED;
}

static void import_row(const struct import *import, const struct list_entry *entry, size_t line,
                       struct store_value *values)
{
	size_t n = 0;
	values[n++] = store_integer(import->id);
	values[n++] = store_integer((int64_t)line);
	values[n++] = store_integer((int64_t)import->now);
	values[n++] = store_text(entry->owner);
	values[n++] = store_text(entry->value);
	values[n++] = store_text(list_kind_name(entry->kind));
	values[n++] = store_integer(entry->action);
	values[n++] = store_integer(entry->enforced);
	values[n++] = store_integer(entry->forced);
	values[n++] = store_integer((int64_t)entry->expires);
	values[n++] = store_integer((int64_t)entry->added);
	values[n++] = store_text(entry->by);
	values[n] = store_text(entry->note);
}

static enum store_result import_stage(struct import *import, const struct list_entry *entries, size_t count)
{
	static const char sql[] = "INSERT INTO list_import (import, line, begun, " ENTRY_COLUMNS
	                          ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
	enum store_result result = STORE_OK;
	for (size_t done = 0; done < count && result == STORE_OK;) {
		size_t n = count - done < BATCH ? count - done : BATCH;
		for (size_t i = 0; i < n; i++) {
			struct store_value *values = import->values + i * IMPORT_COLUMNS;
			import_row(import, &entries[done + i], done + i, values);
			import->statements[i] = (struct store_statement){sql, values, IMPORT_COLUMNS};
		}
		result = store_write(import->store, import->statements, n, 0, NULL, NULL);
		done += n;
	}
	return result;
}

static bool take_line(void *context, const struct store_value *columns, size_t count)
{
	int64_t *line = context;
	(void)count;
	*line = columns[0].integer;
	return false;
}

/* Does the query find a line? Then *where_r is it, and the answer `found`. */
static enum store_lists_answer import_ask(const struct import *import, const char *sql,
                                          const struct store_value *values, size_t count, enum store_lists_answer found,
                                          size_t *where_r)
{
	int64_t line = -1;
	enum store_result result = store_query(import->store, sql, values, count, take_line, &line);
	if (result != STORE_OK || line < 0) {
		return answer_of(result);
	}
	*where_r = (size_t)line;
	return found;
}

/* Users are told by their "@"; patterns by ":/", which stands in no value but an IPv6 network "::/0". */
static enum store_lists_answer import_check(const struct import *import, const struct store_lists_limits *limits,
                                            size_t *where_r)
{
	const struct store_value values[] = {
	    store_integer(import->id), store_integer((int64_t)import->now), store_integer((int64_t)limits->user_max),
	    store_integer((int64_t)limits->domain_max), store_integer((int64_t)limits->patterns_max)};
	enum store_lists_answer answer =
	    import_ask(import,
	               "SELECT i.line FROM list_import i JOIN list_entry e ON e.owner = i.owner AND e.value = i.value"
	               " WHERE i.import = $1 AND e.action > 0 AND e.enforced = 1 AND (e.expires = 0 OR e.expires > $2)"
	               " AND (i.action <> e.action OR i.enforced = 0) ORDER BY i.line LIMIT 1",
	               values, 2, STORE_LISTS_ENFORCED, where_r);
	if (answer != STORE_LISTS_DONE) {
		return answer;
	}
	return import_ask(
	    import,
	    "SELECT MAX(line) AS line FROM (SELECT owner, value, kind, CAST(-1 AS BIGINT) AS line FROM list_entry"
	    " WHERE action > 0 AND (expires = 0 OR expires > $2)"
	    " AND owner IN (SELECT owner FROM list_import WHERE import = $1)"
	    " AND NOT EXISTS (SELECT 1 FROM list_import i WHERE i.import = $1 AND i.owner = list_entry.owner"
	    " AND i.value = list_entry.value)"
	    " UNION ALL SELECT owner, value, kind, line FROM list_import WHERE import = $1) u GROUP BY owner"
	    " HAVING (owner LIKE '%@%' AND COUNT(*) > $3)"
	    " OR (owner <> '' AND owner NOT LIKE '%@%' AND COUNT(*) > $4)"
	    " OR SUM(CASE WHEN kind = 'pattern' THEN 1 ELSE 0 END) > $5 LIMIT 1",
	    values, 5, STORE_LISTS_TOO_MANY, where_r);
}

static struct store_statement prune_removed(const struct store_value *before)
{
	return (struct store_statement){"DELETE FROM list_entry WHERE action = 0 AND added < $1", before, 1};
}

/* An enforced entry that came in between stays. */
static enum store_result import_commit(const struct import *import)
{
	const struct store_value subject = store_text("lists");
	const struct store_value id[] = {store_integer(import->id), store_integer((int64_t)import->now)};
	const struct store_value clear[] = {id[0], store_integer((int64_t)import->now - IMPORT_KEPT_S)};
	const struct store_value tombs = store_integer((int64_t)import->now - STORE_LISTS_TOMBSTONE_S);
	const struct store_statement statements[] = {
	    store_bump(&subject),
	    {"INSERT INTO list_entry (" ENTRY_COLUMNS ", change) SELECT " ENTRY_COLUMNS ", " NEWEST
	     " FROM list_import WHERE import = $1 ON CONFLICT (owner, value) DO UPDATE SET kind = EXCLUDED.kind,"
	     " action = EXCLUDED.action, enforced = EXCLUDED.enforced, forced = EXCLUDED.forced, expires = "
	     "EXCLUDED.expires,"
	     " added = EXCLUDED.added, added_by = EXCLUDED.added_by, note = EXCLUDED.note, change = EXCLUDED.change"
	     " WHERE list_entry.enforced = 0 OR list_entry.action = 0 OR EXCLUDED.enforced = 1"
	     " OR (list_entry.expires > 0 AND list_entry.expires <= $2)",
	     id, 2},
	    {"DELETE FROM list_import WHERE import = $1 OR begun < $2", clear, 2},
	    prune_removed(&tombs),
	};
	return store_write(import->store, statements, sizeof statements / sizeof *statements, STORE_DURABLE, NULL, NULL);
}

static void import_drop(const struct import *import)
{
	const struct store_value id = store_integer(import->id);
	const struct store_statement drop = {"DELETE FROM list_import WHERE import = $1", &id, 1};
	store_write(import->store, &drop, 1, 0, NULL, NULL);
}

static bool import_open(struct import *import, struct store *store, size_t count, uint64_t now)
{
	size_t n = count < BATCH ? count : BATCH;
	*import = (struct import){.store = store, .now = now};
	import->statements = calloc(n + 1, sizeof *import->statements);
	import->values = calloc((n + 1) * IMPORT_COLUMNS, sizeof *import->values);
	if (import->statements == NULL || import->values == NULL) {
		abort();
	}
	bool good = getrandom(&import->id, sizeof import->id, 0) == (ssize_t)sizeof import->id;
	import->id &= INT64_MAX;
	return good;
}

enum store_lists_answer store_lists_put(struct store *store, const struct list_entry *entries, size_t count,
                                        const struct store_lists_limits *limits, uint64_t now, size_t *where_r)
{
	struct import import;
	enum store_lists_answer answer = STORE_LISTS_FAILED;
	if (import_open(&import, store, count, now)) {
		answer = answer_of(import_stage(&import, entries, count));
	}
	if (answer == STORE_LISTS_DONE) {
		answer = import_check(&import, limits, where_r);
	}
	if (answer == STORE_LISTS_DONE) {
		answer = answer_of(import_commit(&import));
	}
	if (answer != STORE_LISTS_DONE) {
		import_drop(&import);
	}
	free(import.statements);
	free(import.values);
	return answer;
}

struct removal {
	const struct list_entry *entries;
	size_t count;
	bool *removed;
};

static bool note_removed(void *context, const struct store_value *columns, size_t count)
{
	struct removal *removal = context;
	(void)count;
	for (size_t i = 0; i < removal->count; i++) {
		if (slice_equal(columns[0].bytes, slice_from(removal->entries[i].owner)) &&
		    slice_equal(columns[1].bytes, slice_from(removal->entries[i].value))) {
			removal->removed[i] = true;
		}
	}
	return true;
}

enum store_lists_answer store_lists_remove(struct store *store, const struct list_entry *entries, size_t count,
                                           bool enforced, uint64_t now, bool *removed_r)
{
	static const char sql[] = "UPDATE list_entry SET action = 0, added = $3, change = " NEWEST
	                          " WHERE owner = $1 AND value = $2 AND action > 0 AND (enforced = 0 OR $4 = 1)"
	                          " RETURNING owner, value";
	struct removal removal = {entries, count, removed_r};
	const struct store_value subject = store_text("lists");
	const struct store_value tombs = store_integer((int64_t)now - STORE_LISTS_TOMBSTONE_S);
	struct store_statement *statements = calloc(count + 2, sizeof *statements);
	struct store_value(*values)[4] = calloc(count + 1, sizeof *values);
	if (statements == NULL || values == NULL) {
		abort();
	}
	memset(removed_r, 0, count * sizeof *removed_r);
	statements[0] = store_bump(&subject);
	for (size_t i = 0; i < count; i++) {
		values[i][0] = store_text(entries[i].owner);
		values[i][1] = store_text(entries[i].value);
		values[i][2] = store_integer((int64_t)now);
		values[i][3] = store_integer(enforced);
		statements[i + 1] = (struct store_statement){sql, values[i], 4};
	}
	statements[count + 1] = prune_removed(&tombs);
	enum store_result result = count > BATCH
	                               ? STORE_REFUSED
	                               : store_write(store, statements, count + 2, STORE_DURABLE, note_removed, &removal);
	free(statements);
	free(values);
	return answer_of(result);
}
