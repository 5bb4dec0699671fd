#include "lib/store/schema.h"

#include "lib/base/log.h"
#include "lib/store/migrations.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char make_table[] = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, name "
                                 "TEXT NOT NULL, applied BIGINT NOT NULL);";

static bool on_integer(void *context, const struct store_value *columns, size_t count)
{
	int64_t *integer = context;
	*integer = count == 1 && columns[0].type == STORE_INTEGER ? columns[0].integer : 0;
	return false;
}

static bool on_table(void *context, const struct store_value *columns, size_t count)
{
	bool *found = context;
	*found = *found || (count == 1 && slice_equal(columns[0].bytes, SLICE_LITERAL("schema_version")));
	return true;
}

bool schema_read(const struct driver_ops *ops, struct transaction *transaction, int64_t *version_r, char **error_r)
{
	static const struct store_statement newest = {"SELECT MAX(version) FROM schema_version", NULL, 0};
	const struct store_statement tables = {ops->list_tables, NULL, 0};
	bool found = false;
	*version_r = 0;
	return ops->run(transaction, &tables, on_table, &found, error_r) &&
	       (!found || ops->run(transaction, &newest, on_integer, version_r, error_r));
}

bool schema_version(const struct driver_ops *ops, struct driver *driver, int64_t *version_r, char **error_r)
{
	struct transaction *transaction = ops->begin(driver, DRIVER_SNAPSHOT, error_r);
	if (transaction == NULL) {
		return false;
	}
	bool good = schema_read(ops, transaction, version_r, error_r);
	char *ignored = NULL;
	ops->finish(transaction, false, &ignored);
	return good;
}

bool schema_refuse(int64_t version, char **error_r)
{
	bool newer = version > (int64_t)store_migrations_count;
	return driver_fail(error_r, "the store's tables are of version %lld, this program needs %zu: %s",
	                   (long long)version, store_migrations_count,
	                   newer ? "a newer Mailreeve has changed them; install that, or restore a backup from before"
	                         : "mailreeve store migrate");
}

static const char *replace(const char *sql, const char *word, const char *meaning, struct arena *arena)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	for (const char *at; (at = strstr(sql, word)) != NULL; sql = at + strlen(word)) {
		strbuf_add(&text, sql, (size_t)(at - sql));
		strbuf_add_text(&text, meaning);
	}
	strbuf_add_text(&text, sql);
	return text.data;
}

/* The step's text with the driver's words in it. */
static const char *step_sql(const struct driver_ops *ops, const char *sql, struct arena *arena)
{
	return replace(replace(sql, "%ID%", ops->id_column, arena), "%KEYED%", ops->keyed_table, arena);
}

static bool make_step(const struct driver_ops *ops, struct transaction *transaction, size_t i, char **error_r)
{
	const struct store_migration *step = &store_migrations[i];
	struct store_value values[] = {store_integer((int64_t)i + 1), store_text(step->name), store_integer(time(NULL))};
	const struct store_statement record = {"INSERT INTO schema_version (version, name, applied) VALUES ($1, $2, $3)",
	                                       values, sizeof values / sizeof *values};
	struct arena *arena = arena_create(4096);
	char *error = NULL;
	bool good = ops->script(transaction, step_sql(ops, step->sql, arena), &error) &&
	            ops->run(transaction, &record, NULL, NULL, &error);
	arena_destroy(arena);
	if (!good) {
		driver_fail(error_r, "migration %zu (%s): %s", i + 1, step->name, error);
		free(error);
	}
	return good;
}

bool schema_steps(const struct driver_ops *ops, struct transaction *transaction, int64_t from, int64_t to,
                  char **error_r)
{
	bool good = ops->script(transaction, make_table, error_r);
	for (size_t i = (size_t)from; good && i < (size_t)to; i++) {
		good = make_step(ops, transaction, i, error_r);
	}
	return good;
}

static bool make_steps(const struct driver_ops *ops, struct transaction *transaction, int64_t *from_r, char **error_r)
{
	int64_t newest = (int64_t)store_migrations_count;
	return schema_read(ops, transaction, from_r, error_r) && (*from_r <= newest || schema_refuse(*from_r, error_r)) &&
	       schema_steps(ops, transaction, *from_r, newest, error_r);
}

bool schema_numbers_itself(const char *table)
{
	for (size_t i = 0; i < store_migrations_count; i++) {
		char create[128];
		snprintf(create, sizeof create, "CREATE TABLE %s (", table);
		const char *at = strstr(store_migrations[i].sql, create);
		const char *end = at == NULL ? NULL : strchr(at, ';');
		const char *word = at == NULL ? NULL : strstr(at, "%ID%");
		if (word != NULL && (end == NULL || word < end)) {
			return true;
		}
	}
	return false;
}

bool schema_migrate(const struct driver_ops *ops, struct driver *driver, int64_t *from_r, char **error_r)
{
	int64_t from = 0;
	char *ignored = NULL;
	struct transaction *transaction = ops->begin(driver, DRIVER_EXCLUSIVE, error_r);
	if (transaction == NULL) {
		return false;
	}
	if (!make_steps(ops, transaction, &from, error_r)) {
		ops->finish(transaction, false, &ignored);
		free(ignored);
		return false;
	}
	if (from_r != NULL) {
		*from_r = from;
	}
	return ops->finish(transaction, true, error_r);
}
