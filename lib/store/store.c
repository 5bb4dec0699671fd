#include "lib/store/store.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/store/later.h"
#include "lib/store/migrations.h"
#include "lib/store/schema.h"
#include "lib/store/sqlite_file.h"
#include "lib/store/store_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool driver_fail(char **error_r, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (vasprintf(error_r, format, args) < 0) {
		abort();
	}
	va_end(args);
	return false;
}

/* ---- text ---- */

/* Bytes that PostgreSQL would refuse in a text: what the one driver takes, the other takes. */
static size_t well_formed(struct slice text)
{
	size_t at = 0;
	while (at < text.len) {
		unsigned char c = (unsigned char)text.data[at];
		size_t n = c == 0 ? 0 : c < 0x80 ? 1 : text_utf8_length((struct slice){text.data + at, text.len - at});
		if (n == 0) {
			break;
		}
		at += n;
	}
	return at;
}

static struct slice text_clean(struct slice text, struct arena *arena)
{
	struct strbuf clean;
	strbuf_init(&clean, arena);
	while (text.len > 0) {
		size_t n = well_formed(text);
		strbuf_add(&clean, text.data, n);
		if (n < text.len) {
			strbuf_add_text(&clean, "\xef\xbf\xbd");
			n++;
		}
		text.data += n;
		text.len -= n;
	}
	return (struct slice){clean.data, clean.len};
}

static bool statements_are_clean(const struct store_statement *statements, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < statements[i].count; j++) {
			const struct store_value *value = &statements[i].values[j];
			if (value->type == STORE_TEXT && well_formed(value->bytes) < value->bytes.len) {
				return false;
			}
		}
	}
	return true;
}

const struct store_statement *statements_clean(const struct store_statement *statements, size_t count,
                                               struct arena **arena_r)
{
	*arena_r = NULL;
	if (statements_are_clean(statements, count)) {
		return statements;
	}
	struct arena *arena = *arena_r = arena_create(4096);
	struct store_statement *copies = arena_alloc(arena, count * sizeof *copies);
	for (size_t i = 0; i < count; i++) {
		struct store_value *values = arena_alloc(arena, statements[i].count * sizeof *values);
		for (size_t j = 0; j < statements[i].count; j++) {
			values[j] = statements[i].values[j];
			if (values[j].type == STORE_TEXT) {
				values[j].bytes = text_clean(values[j].bytes, arena);
			}
		}
		copies[i] = (struct store_statement){statements[i].sql, values, statements[i].count};
	}
	return copies;
}

/* ---- use ---- */

void store_note(struct store *store, enum store_result result)
{
	bool available = result != STORE_UNAVAILABLE;
	if (!available) {
		atomic_fetch_add_explicit(&store->failed, 1, memory_order_relaxed);
	}
	if (atomic_exchange_explicit(&store->available, available, memory_order_relaxed) != available) {
		if (available) {
			log_info("store: back again");
		} else {
			log_error("store: unavailable; mail goes on without it");
		}
	}
}

enum store_result store_query(struct store *store, const char *sql, const struct store_value *values, size_t count,
                              store_row *row, void *context)
{
	const struct store_statement statement = {sql, values, count};
	struct arena *arena;
	const struct store_statement *clean = statements_clean(&statement, 1, &arena);
	uint64_t start = clock_now();
	enum store_result result = store->ops->query(store->driver, clean, start + store->timeout_ns, row, context);
	metrics_observe(store->times, 0, clock_now() - start);
	arena_destroy(arena);
	atomic_fetch_add_explicit(&store->queries, 1, memory_order_relaxed);
	store_note(store, result);
	return result;
}

enum store_result store_write(struct store *store, const struct store_statement *statements, size_t count,
                              unsigned flags, store_row *row, void *context)
{
	struct arena *arena;
	if (store->read_only || count > STORE_STATEMENTS_MAX) {
		return STORE_REFUSED;
	}
	struct store_batch batch = {.statements = statements_clean(statements, count, &arena),
	                            .count = count,
	                            .flags = flags,
	                            .rows = row == NULL ? NULL : rows_create()};
	uint64_t start = clock_now();
	store->ops->write(store->driver, &batch, 1, start + store->timeout_ns);
	metrics_observe(store->times, HISTOGRAM_CELLS, clock_now() - start);
	atomic_fetch_add_explicit(&store->writes, 1, memory_order_relaxed);
	store_note(store, batch.result);
	if (batch.result == STORE_OK && row != NULL) {
		rows_deliver(batch.rows, row, context);
	}
	rows_destroy(batch.rows);
	arena_destroy(arena);
	return batch.result;
}

bool store_write_later(struct store *store, const struct store_statement *statements, size_t count)
{
	struct arena *arena;
	if (store->later == NULL || count > STORE_STATEMENTS_MAX) {
		return false;
	}
	const struct store_statement *clean = statements_clean(statements, count, &arena);
	bool good = later_add(store->later, clean, count);
	arena_destroy(arena);
	return good;
}

bool store_flush(struct store *store, uint64_t timeout_ns)
{
	return store->later == NULL || later_flush(store->later, timeout_ns);
}

static bool on_counter(void *context, const struct store_value *columns, size_t count)
{
	int64_t *value = context;
	*value = count == 1 ? columns[0].integer : 0;
	return false;
}

enum store_result store_counter(struct store *store, const char *subject, int64_t *value_r)
{
	struct store_value values[] = {store_text(subject)};
	*value_r = 0;
	return store_query(store, "SELECT value FROM store_counter WHERE subject = $1", values, 1, on_counter, value_r);
}

struct store_statement store_bump(const struct store_value *subject)
{
	return (struct store_statement){"INSERT INTO store_counter (subject, value) VALUES ($1, 1) "
	                                "ON CONFLICT (subject) DO UPDATE SET value = store_counter.value + 1",
	                                subject, 1};
}

bool store_alive(struct store *store, uint64_t deadline)
{
	return store->ops->alive(store->driver, deadline) && (store->later == NULL || later_alive(store->later, deadline));
}

void store_get_status(struct store *store, struct store_status *status_r)
{
	*status_r = (struct store_status){
	    .driver = store->ops->name,
	    .available = atomic_load_explicit(&store->available, memory_order_relaxed),
	    .schema = store->schema,
	    .queries = atomic_load_explicit(&store->queries, memory_order_relaxed),
	    .writes = atomic_load_explicit(&store->writes, memory_order_relaxed),
	    .failed = atomic_load_explicit(&store->failed, memory_order_relaxed),
	};
	uint64_t times[2 * HISTOGRAM_CELLS];
	metrics_read(store->times, times);
	memcpy(status_r->query_times, times, sizeof status_r->query_times);
	memcpy(status_r->write_times, times + HISTOGRAM_CELLS, sizeof status_r->write_times);
	if (store->later != NULL) {
		later_get_status(store->later, status_r);
	}
}

/* ---- life ---- */

static const struct driver_ops *driver_of(const char *location)
{
	if (sqlite_file_path(location) != NULL) {
		return &sqlite_driver;
	}
	bool postgres = strncmp(location, "postgresql://", 13) == 0 || strncmp(location, "postgres://", 11) == 0;
	return postgres ? &postgres_driver : NULL;
}

/* The folder that path lies in, and those above it: for everybody to pass through, the last one for the daemon's user.
 */
static bool make_folder(const char *path, uid_t user, gid_t group, char **error_r)
{
	char *folder = strdup(path);
	char *last = folder == NULL ? NULL : strrchr(folder, '/');
	bool good = true;
	if (last == NULL || last == folder) {
		free(folder);
		return true;
	}
	*last = '\0';
	for (char *slash = strchr(folder + 1, '/'); slash != NULL && good; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		good = mkdir(folder, 0755) == 0 ? chmod(folder, 0755) == 0 : errno == EEXIST; /* in spite of the umask */
		*slash = '/';
	}
	bool made = good && mkdir(folder, 0750) == 0;
	good =
	    good && (made || errno == EEXIST) && (!made || (chmod(folder, 0750) == 0 && chown(folder, user, group) == 0));
	if (!good) {
		driver_fail(error_r, "%s: %s", folder, strerror(errno));
	}
	free(folder);
	return good;
}

bool store_make_folders(const struct store_options *options, uid_t user, gid_t group, char **error_r)
{
	const char *path = sqlite_file_path(options->location);
	if (geteuid() != 0 || user == 0 || options->location[0] == '\0') {
		return true;
	}
	return (path == NULL || make_folder(path, user, group, error_r)) &&
	       make_folder(options->spill_dir, user, group, error_r);
}

bool store_is_read_only(const struct store *store)
{
	return store->read_only;
}

bool store_exists(const struct store_options *options)
{
	const char *path = sqlite_file_path(options->location);
	return options->location[0] != '\0' && (path == NULL || access(path, F_OK) == 0);
}

/* Stars for what stands from `from` up to `to`. */
static void mask(char *text, size_t from, size_t to)
{
	memmove(text + from + 3, text + to, strlen(text + to) + 1);
	memcpy(text + from, "***", 3);
}

/* "//user:password@" and "?password=...": a password may hold "@", so the last one before the path counts. */
char *store_location_text(const char *location)
{
	static const char parameter[] = "password=";
	char *text = malloc(4 * strlen(location) + 16);
	if (text == NULL) {
		abort();
	}
	memcpy(text, location, strlen(location) + 1);
	char *start = strstr(text, "://");
	if (start == NULL) {
		return text;
	}
	start += 3;
	size_t authority = strcspn(start, "/?");
	char *at = memrchr(start, '@', authority);
	char *colon = at == NULL ? NULL : memchr(start, ':', (size_t)(at - start));
	if (colon != NULL) {
		mask(text, (size_t)(colon + 1 - text), (size_t)(at - text));
	}
	char *query = strchr(start, '?');
	for (char *found = query; found != NULL && (found = strstr(found, parameter)) != NULL;) {
		found += sizeof parameter - 1;
		mask(text, (size_t)(found - text), (size_t)(found - text) + strcspn(found, "&"));
	}
	return text;
}

static bool store_schema(struct store *store, unsigned flags, char **error_r)
{
	int64_t newest = (int64_t)store_migrations_count;
	if ((flags & STORE_ANY_SCHEMA) != 0) {
		char *ignored = NULL; /* what is damaged will be told by who reads more */
		schema_version(store->ops, store->driver, &store->schema, &ignored);
		free(ignored);
		return true;
	}
	if (!schema_version(store->ops, store->driver, &store->schema, error_r)) {
		return false;
	}
	if (store->schema == newest) {
		return true;
	}
	if (store->read_only || store->schema > newest || (store->schema > 0 && (flags & STORE_MIGRATE) == 0)) {
		return schema_refuse(store->schema, error_r);
	}
	int64_t from;
	if (!schema_migrate(store->ops, store->driver, &from, error_r)) {
		return false;
	}
	if (from != newest) {
		log_info("store: tables brought from version %lld to %lld", (long long)from, (long long)newest);
	}
	store->schema = newest;
	return true;
}

static bool store_start(struct store *store, const struct store_options *options, unsigned flags, char **error_r)
{
	store->driver = store->ops->open(options, flags, error_r);
	if (store->driver == NULL || !store_schema(store, flags, error_r)) {
		return false;
	}
	if ((flags & STORE_LATER) != 0 && !store->read_only) {
		store->later = later_open(store, options, error_r);
		return store->later != NULL;
	}
	return true;
}

struct store *store_open(const struct store_options *options, unsigned flags, char **error_r)
{
	const struct driver_ops *ops = driver_of(options->location);
	if (ops == NULL) {
		driver_fail(error_r, "store.location: expected \"sqlite:/PATH\" or \"postgresql://...\", or \"\" for none");
		return NULL;
	}
	struct store *store = calloc(1, sizeof *store);
	if (store == NULL) {
		abort();
	}
	store->ops = ops;
	store->timeout_ns = options->timeout;
	store->read_only = (flags & STORE_READ_ONLY) != 0;
	store->available = true;
	store->times = metrics_create((size_t)2 * HISTOGRAM_CELLS);
	if (!store_start(store, options, flags, error_r)) {
		store_close(store);
		return NULL;
	}
	return store;
}

void store_stop(struct store *store)
{
	if (store->later != NULL) {
		later_stop(store->later);
	}
}

void store_close(struct store *store)
{
	if (store == NULL) {
		return;
	}
	later_close(store->later);
	store->ops->close(store->driver);
	metrics_destroy(store->times);
	free(store);
}

/* ---- options ---- */

static const char *location_shown(struct arena *arena, const char *location)
{
	char *text = store_location_text(location);
	const char *shown = arena_strdup(arena, text);
	free(text);
	return shown;
}

#define MIB (UINT64_C(1) << 20)
#define ROW(member, kind, default_text, least, most, help_text)                                                        \
	{                                                                                                                  \
		.name = #member, .type = (kind), .offset = offsetof(struct store_options, member), .fallback = (default_text), \
		.min = (least), .max = (most), .help = (help_text)                                                             \
	}

static const struct option_row store_rows[] = {
    {.name = "location",
     .type = OPTION_STRING,
     .offset = offsetof(struct store_options, location),
     .fallback = "sqlite:" MR_STATEDIR "/mailreeve.db",
     .max = 4000,
     .help = "sqlite:/PATH, or postgresql://... as libpq takes it (no password: passfile or service); empty: none",
     .shown = location_shown},
    ROW(timeout, OPTION_DURATION, "5s", 100 * CLOCK_NS_PER_MS, 120 * CLOCK_NS_PER_S,
        "what mail waits for the store at most"),
    ROW(migrate, OPTION_BOOL, "yes", 0, 0,
        "bring the tables up to date at the daemon's start; no: mailreeve store migrate does"),
    ROW(connections, OPTION_UINT, "8", 2, 64, "to the database at a time"),
    ROW(spill_dir, OPTION_STRING, MR_STATEDIR "/spill", 1, 4000,
        "what must be written waits here while the store is down"),
    ROW(spill_max, OPTION_SIZE, "256M", MIB, 1024 * 1024 * MIB, "at most so much of it"),
    {.name = NULL},
};

const struct section store_section = {
    .name = "store",
    .help = "What the daemon remembers: lists, greylist, rates, history, quarantine.",
    .options = store_rows,
    .settings_size = sizeof(struct store_options),
};
