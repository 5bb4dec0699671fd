#include "lib/store/dump.h"

#include "lib/store/dump_code.h"
#include "lib/store/migrations.h"
#include "lib/store/schema.h"
#include "lib/store/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { PROGRESS_ROWS = 10000, IMPORT_ROWS = 200, IMPORT_BYTES = 4 << 20 };

/* ---- which tables ---- */

struct names {
	struct arena *arena;
	const char **items;
	size_t count;
};

enum { NAMES_MAX = 256 };

static void names_init(struct names *names, struct arena *arena)
{
	*names = (struct names){.arena = arena, .items = arena_alloc(arena, NAMES_MAX * sizeof *names->items)};
}

static bool names_add(struct names *names, struct slice name)
{
	if (names->count == NAMES_MAX) {
		return false;
	}
	names->items[names->count++] = slice_dup(names->arena, name);
	return true;
}

static bool names_have(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->items[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static bool on_name(void *context, const struct store_value *columns, size_t count)
{
	return count == 1 && names_add(context, columns[0].bytes);
}

/* Those that our migrations made and that are there, parents before children: others may share the database with us. */
static bool find_tables(const struct driver_ops *ops, struct transaction *transaction, struct arena *arena,
                        struct names *tables_r, char **error_r)
{
	static const char create[] = "CREATE TABLE ";
	const struct store_statement list = {ops->list_tables, NULL, 0};
	struct names there;
	names_init(&there, arena);
	names_init(tables_r, arena);
	if (!ops->run(transaction, &list, on_name, &there, error_r)) {
		return false;
	}
	for (size_t i = 0; i < store_migrations_count; i++) {
		for (const char *at = store_migrations[i].sql; (at = strstr(at, create)) != NULL;) {
			at += sizeof create - 1;
			struct slice name = {at, strcspn(at, " (")};
			const char *text = slice_dup(arena, name);
			if (names_have(&there, text) && !names_have(tables_r, text)) {
				names_add(tables_r, name);
			}
		}
	}
	return true;
}

static bool find_columns(const struct driver_ops *ops, struct transaction *transaction, const char *table,
                         struct arena *arena, struct names *columns_r, char **error_r)
{
	struct store_value value = store_text(table);
	const struct store_statement list = {ops->list_columns, &value, 1};
	names_init(columns_r, arena);
	return ops->run(transaction, &list, on_name, columns_r, error_r) &&
	       ((columns_r->count > 0 && columns_r->count <= STORE_VALUES_MAX) ||
	        driver_fail(error_r, "%s: no columns", table));
}

/* "a, b" */
static const char *join(const struct names *names)
{
	struct strbuf text;
	strbuf_init(&text, names->arena);
	for (size_t i = 0; i < names->count; i++) {
		strbuf_printf(&text, "%s%s", i == 0 ? "" : ", ", names->items[i]);
	}
	return text.data;
}

/* ---- export ---- */

struct export
{
	FILE *out; /* NULL: the rows are only read */
	const char *table;
	int64_t rows;
	dump_progress *progress;
	void *context;
};

static bool on_export_row(void *context, const struct store_value *columns, size_t count)
{
	struct export *export = context;
	if (export->out != NULL) {
		dump_row(columns, count, export->out);
	}
	if (++export->rows % PROGRESS_ROWS == 0) {
		export->progress(export->context, export->table, export->rows);
	}
	return export->out == NULL || !ferror(export->out);
}

static bool export_table(const struct driver_ops *ops, struct transaction *transaction, const char *table,
                         struct arena *arena, struct export *export, char **error_r)
{
	struct names columns;
	if (!find_columns(ops, transaction, table, arena, &columns, error_r)) {
		return false;
	}
	export->table = table;
	if (export->out != NULL) {
		fprintf(export->out, "table\t%s", table);
		for (size_t i = 0; i < columns.count; i++) {
			fprintf(export->out, "\t%s", columns.items[i]);
		}
		fputc('\n', export->out);
	}
	const struct store_statement all = {arena_printf(arena, "SELECT %s FROM %s", join(&columns), table), NULL, 0};
	char *error = NULL;
	if (!ops->run(transaction, &all, on_export_row, export, &error)) {
		driver_fail(error_r, "table %s, after row %" PRId64 " of all: %s", table, export->rows, error);
		free(error);
		return false;
	}
	return true;
}

static bool export_tables(struct store *store, struct transaction *transaction, struct export *export, char **error_r)
{
	struct names tables;
	struct arena *arena = arena_create(16384);
	bool good = find_tables(store->ops, transaction, arena, &tables, error_r);
	for (size_t i = 0; good && i < tables.count; i++) {
		good = export_table(store->ops, transaction, tables.items[i], arena, export, error_r);
	}
	arena_destroy(arena);
	return good;
}

static bool export_run(struct store *store, struct export *export, char **error_r)
{
	int64_t version;
	char *ignored = NULL;
	struct transaction *transaction = store->ops->begin(store->driver, DRIVER_SNAPSHOT, error_r);
	if (transaction == NULL) {
		return false;
	}
	bool good = schema_read(store->ops, transaction, &version, error_r) &&
	            ((version > 0 && version <= (int64_t)store_migrations_count) || schema_refuse(version, error_r));
	if (good && export->out != NULL) {
		fprintf(export->out, "mailreeve-store\t%d\nschema\t%" PRId64 "\n", DUMP_VERSION, version);
	}
	good = good && export_tables(store, transaction, export, error_r);
	store->ops->finish(transaction, false, &ignored);
	return good;
}

bool store_export(struct store *store, FILE *out, dump_progress *progress, void *context, char **error_r)
{
	struct export export = {.out = out, .progress = progress, .context = context};
	if (!export_run(store, &export, error_r)) {
		return false;
	}
	fprintf(out, "end\t%" PRId64 "\n", export.rows);
	progress(context, NULL, export.rows);
	return (fflush(out) == 0 && !ferror(out)) || driver_fail(error_r, "%s", strerror(errno));
}

/* ---- import ---- */

struct import {
	struct store *store;
	const struct driver_ops *ops;
	struct transaction *transaction;
	dump_progress *progress;
	void *context;
	struct arena *arena; /* of the import */
	struct names tables; /* those that there are, empty when it began */
	const char *table, *sql;
	size_t columns;
	int64_t version, rows;
	bool header, ended;
	struct arena *pending_arena; /* rows that are not in the store yet */
	struct store_statement pending[IMPORT_ROWS];
	size_t pending_count;
};

static bool import_write(struct import *import, char **error_r)
{
	bool good = import->ops->run_batch(import->transaction, import->pending, import->pending_count, error_r);
	import->pending_count = 0;
	arena_reset(import->pending_arena);
	return good;
}

static bool on_any(void *context, const struct store_value *columns, size_t count)
{
	(void)columns;
	(void)count;
	*(bool *)context = true;
	return false;
}

/* Those of a daemon that has run and remembered nothing: numbers and turns only. */
static bool is_bookkeeping(const char *table)
{
	return strncmp(table, "store_", strlen("store_")) == 0;
}

static bool import_empty(struct import *import, char **error_r)
{
	for (size_t i = 0; i < import->tables.count; i++) {
		const char *table = import->tables.items[i];
		bool any = false;
		const char *sql =
		    arena_printf(import->arena, is_bookkeeping(table) ? "DELETE FROM %s" : "SELECT 1 FROM %s LIMIT 1", table);
		const struct store_statement statement = {sql, NULL, 0};
		if (!import->ops->run(import->transaction, &statement, on_any, &any, error_r)) {
			return false;
		}
		if (any) {
			return driver_fail(error_r, "the store has rows already (table %s): import into a new one", table);
		}
	}
	return true;
}

/* The tables as they were when the export was made. */
static bool import_schema(struct import *import, int64_t version, char **error_r)
{
	int64_t now;
	if (version < 1 || version > (int64_t)store_migrations_count) {
		return schema_refuse(version, error_r);
	}
	if (!schema_read(import->ops, import->transaction, &now, error_r)) {
		return false;
	}
	if (now != 0 && now != version) {
		return driver_fail(error_r,
		                   "the store's tables are of version %" PRId64 ", the export's of %" PRId64
		                   ": import into a new store",
		                   now, version);
	}
	import->version = version;
	return (now == version || schema_steps(import->ops, import->transaction, 0, version, error_r)) &&
	       find_tables(import->ops, import->transaction, import->arena, &import->tables, error_r) &&
	       import_empty(import, error_r);
}

static bool import_table(struct import *import, const struct dump_line *line, char **error_r)
{
	struct names there;
	struct names given;
	struct strbuf sql;
	if (import->version == 0 || !names_have(&import->tables, line->name)) {
		return driver_fail(error_r, "there is no table \"%s\"", line->name);
	}
	if (!find_columns(import->ops, import->transaction, line->name, import->arena, &there, error_r)) {
		return false;
	}
	names_init(&given, import->arena);
	for (size_t i = 0; i < line->count; i++) {
		if (!names_have(&there, line->columns[i]) || names_have(&given, line->columns[i])) {
			return driver_fail(error_r, "%s: column \"%s\" is not there, or named twice", line->name, line->columns[i]);
		}
		names_add(&given, slice_from(line->columns[i]));
	}
	strbuf_init(&sql, import->arena);
	strbuf_printf(&sql, "INSERT INTO %s (%s) VALUES (", line->name, join(&given));
	for (size_t i = 1; i <= line->count; i++) {
		strbuf_printf(&sql, "%s$%zu", i == 1 ? "" : ", ", i);
	}
	strbuf_add_text(&sql, ")");
	import->table = slice_dup(import->arena, slice_from(line->name));
	import->sql = sql.data;
	import->columns = line->count;
	return true;
}

static bool import_row(struct import *import, const struct dump_line *line, char **error_r)
{
	if (import->table == NULL || line->count != import->columns) {
		return driver_fail(error_r, "%zu values where the table has %zu columns", line->count, import->columns);
	}
	struct store_value *values = arena_alloc(import->pending_arena, line->count * sizeof *values);
	memcpy(values, line->values, line->count * sizeof *values);
	import->pending[import->pending_count++] = (struct store_statement){import->sql, values, line->count};
	if (++import->rows % PROGRESS_ROWS == 0) {
		import->progress(import->context, import->table, import->rows);
	}
	bool full = import->pending_count == IMPORT_ROWS || arena_used(import->pending_arena) > IMPORT_BYTES;
	return !full || import_write(import, error_r);
}

static bool import_line(struct import *import, const struct dump_line *line, char **error_r)
{
	switch (line->kind) {
	case DUMP_HEADER:
		import->header = line->number == DUMP_VERSION;
		return import->header || driver_fail(error_r, "the format is of version %" PRId64 ", this program knows %d",
		                                     line->number, DUMP_VERSION);
	case DUMP_SCHEMA:
		return import->header && import->version == 0 ? import_schema(import, line->number, error_r)
		                                              : driver_fail(error_r, "a schema line where none is expected");
	case DUMP_TABLE:
		return import_table(import, line, error_r) && import_write(import, error_r);
	case DUMP_ROW:
		return import_row(import, line, error_r);
	case DUMP_END:
		import->ended = line->number == import->rows;
		return import->ended ||
		       driver_fail(error_r, "%" PRId64 " rows were read, %" PRId64 " were written", import->rows, line->number);
	}
	return false;
}

/* Lines up to the end; its values live in the pending arena. */
static bool import_lines(struct import *import, FILE *in, char **error_r)
{
	char *text = NULL;
	size_t size = 0;
	uint64_t number = 0;
	char *error = NULL;
	bool good = true;
	ssize_t n;
	struct dump_line *line = arena_alloc(import->arena, sizeof *line);
	while (good && !import->ended && (n = getline(&text, &size, in)) >= 0) {
		const char *problem;
		struct slice bytes = {text, (size_t)n};
		number++;
		bytes.len -= n > 0 && text[n - 1] == '\n';
		good = bytes.len <= DUMP_LINE_MAX && dump_parse(bytes, import->pending_arena, line, &problem);
		if (!good) {
			driver_fail(&error, "%s", bytes.len > DUMP_LINE_MAX ? "too long" : problem);
		}
		good = good && import_line(import, line, &error);
	}
	free(text);
	if (!good) {
		driver_fail(error_r, "line %" PRIu64 ": %s", number, error);
		free(error);
		return false;
	}
	return import->ended || driver_fail(error_r, "line %" PRIu64 ": the file is cut off: no line \"end\"", number);
}

static bool import_restart_ids(struct import *import, char **error_r)
{
	for (size_t i = 0; i < import->tables.count && import->ops->restart_ids != NULL; i++) {
		const char *table = import->tables.items[i];
		if (!schema_numbers_itself(table)) {
			continue;
		}
		struct strbuf sql;
		strbuf_init(&sql, import->arena);
		struct slice rest = slice_from(import->ops->restart_ids);
		struct slice piece;
		for (bool first = true; slice_split(&rest, '%', &piece); first = false) {
			strbuf_add_text(&sql, first ? "" : table);
			strbuf_add_slice(&sql, piece);
		}
		const struct store_statement statement = {sql.data, NULL, 0};
		if (!import->ops->run(import->transaction, &statement, NULL, NULL, error_r)) {
			return false;
		}
	}
	return true;
}

bool store_import(struct store *store, FILE *in, dump_progress *progress, void *context, char **error_r)
{
	char *ignored = NULL;
	struct import *import = calloc(1, sizeof *import);
	if (import == NULL) {
		abort();
	}
	*import = (struct import){.store = store, .ops = store->ops, .progress = progress, .context = context};
	import->transaction = store->ops->begin(store->driver, DRIVER_EXCLUSIVE, error_r);
	if (import->transaction == NULL) {
		free(import);
		return false;
	}
	import->arena = arena_create(65536);
	import->pending_arena = arena_create(1 << 20);
	bool good =
	    import_lines(import, in, error_r) && import_write(import, error_r) && import_restart_ids(import, error_r) &&
	    schema_steps(store->ops, import->transaction, import->version, (int64_t)store_migrations_count, error_r);
	if (good) {
		good = store->ops->finish(import->transaction, true, error_r);
	} else {
		store->ops->finish(import->transaction, false, &ignored);
	}
	if (good) {
		progress(context, NULL, import->rows);
	}
	arena_destroy(import->arena);
	arena_destroy(import->pending_arena);
	free(import);
	return good;
}

/* ---- check, migrate, backup ---- */

struct check {
	store_problem *problem;
	void *context;
};

static bool on_check_row(void *context, const struct store_value *columns, size_t count)
{
	const struct check *check = context;
	char *text = count == 1 ? strndup(columns[0].bytes.data, columns[0].bytes.len) : NULL;
	check->problem(check->context, text == NULL ? "damage" : text);
	free(text);
	return true;
}

bool store_check(struct store *store, store_problem *problem, dump_progress *progress, void *context, char **error_r)
{
	struct check check = {problem, context};
	struct export export = {.progress = progress, .context = context};
	if (!store->ops->check(store->driver, on_check_row, &check, error_r) || !export_run(store, &export, error_r)) {
		return false;
	}
	progress(context, NULL, export.rows);
	return true;
}

bool store_migrate(struct store *store, int64_t *from_r, int64_t *to_r, char **error_r)
{
	*to_r = (int64_t)store_migrations_count;
	return schema_migrate(store->ops, store->driver, from_r, error_r);
}

bool store_backup(struct store *store, int fd, char **error_r)
{
	return store->ops->backup == NULL
	           ? driver_fail(error_r, "pg_dump makes backups of PostgreSQL; mailreeve store export works, too")
	           : store->ops->backup(store->driver, fd, error_r);
}
