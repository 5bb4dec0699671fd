#include "lib/store/sqlite_file.h"

#include "lib/base/clock.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/store/driver.h"
#include "lib/store/sqlite_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* As SQLite waits in a check; the longest that a start takes for looking at a large file. */
#define BUSY_NS (5 * CLOCK_NS_PER_S)
#define QUICK_CHECK_NS (5 * CLOCK_NS_PER_S)

static const char damaged[] =
    "; the file is damaged: stop the daemon, keep a copy, and restore the last backup (mailreeve store backup), or "
    "save what can be "
    "read: mailreeve store export FILE, move the damaged file away, mailreeve store import FILE";

const char *sqlite_advice(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return damaged;
	case SQLITE_FULL:
		return "; make room on the disk";
	case SQLITE_BUSY:
		return "; another process holds it (store.timeout)";
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return "; file and folder must be the daemon's user's to write";
	default:
		return "";
	}
}

const char *sqlite_file_path(const char *location)
{
	static const char scheme[] = "sqlite:";
	bool is = strncmp(location, scheme, sizeof scheme - 1) == 0 && location[sizeof scheme - 1] == '/';
	return is ? location + sizeof scheme - 1 : NULL;
}

static const char run_without[] = "or run without a store: store { location = \"\" }";

/* SQLite makes files by the umask; ours are for their owner alone. -wal and -shm take after the file. A file that is
 * there is not opened here: to close it would drop the locks that this process may hold on it. */
bool sqlite_file_prepare(const char *path, bool read_only, char **error_r)
{
	int fd = read_only ? -1 : open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		close(fd);
		return true;
	}
	if (!read_only && errno != EEXIST) {
		return driver_fail(
		    error_r,
		    "store.location: %s: %s; make its folder for the daemon's user (install -d -o mailreeve -m 0750 "
		    "FOLDER), %s",
		    path, strerror(errno), run_without);
	}
	if (access(path, read_only ? R_OK : R_OK | W_OK) != 0) {
		return driver_fail(error_r, "store.location: %s: %s; it must belong to the daemon's user, %s", path,
		                   strerror(errno), run_without);
	}
	return true;
}

static bool check_is_good(const struct store_value *columns, size_t count)
{
	return count == 1 && columns[0].type == STORE_TEXT && slice_equal(columns[0].bytes, SLICE_LITERAL("ok"));
}

struct check {
	store_row *row;
	void *context;
};

static bool on_check_row(void *context, const struct store_value *columns, size_t count)
{
	const struct check *check = context;
	return check_is_good(columns, count) || check->row(check->context, columns, count);
}

static bool check_run(const char *path, bool read_only, const char *sql, uint64_t limit_ns, struct check *check,
                      char **error_r)
{
	struct connection *connection =
	    connection_open(path, read_only ? CONNECTION_READ_ONLY : CONNECTION_READ, BUSY_NS, error_r);
	if (connection == NULL) {
		return false;
	}
	connection->deadline = limit_ns == 0 ? 0 : clock_now() + limit_ns;
	int code = connection_run(connection, &(struct store_statement){.sql = sql}, on_check_row, check);
	bool good = code == SQLITE_OK;
	if (code == SQLITE_INTERRUPT) {
		log_info("store: %s is large: looked through for %d s only; mailreeve store check does all of it", path,
		         (int)(limit_ns / CLOCK_NS_PER_S));
		good = true;
	} else if (!good) {
		driver_fail(error_r, "%s: %s%s", path, sqlite3_errmsg(connection->db), sqlite_advice(code));
	}
	connection_close(connection);
	return good;
}

bool sqlite_file_check(const char *path, bool read_only, uint64_t limit_ns, store_row *row, void *context,
                       char **error_r)
{
	struct check check = {row, context};
	return check_run(path, read_only, "PRAGMA integrity_check", limit_ns, &check, error_r);
}

static bool on_first_damage(void *context, const struct store_value *columns, size_t count)
{
	char **error_r = context;
	if (count == 1 && *error_r == NULL) {
		struct slice line = columns[0].bytes;
		line.len = slice_find(line, '\n', 0);
		driver_fail(error_r, "%.*s%s", SLICE_ARGS(line), damaged);
	}
	return false;
}

bool sqlite_file_quick_check(const char *path, bool read_only, char **error_r)
{
	char *found = NULL;
	struct check check = {on_first_damage, &found};
	bool good = check_run(path, read_only, "PRAGMA quick_check(1)", QUICK_CHECK_NS, &check, error_r);
	if (good && found != NULL) {
		driver_fail(error_r, "store.location: %s: %s", path, found);
		good = false;
	}
	free(found);
	return good;
}

/* ---- copies ---- */

/* A read transaction holds the moment: without it each commit of another connection makes SQLite begin again. */
static bool copy_pages(struct connection *from, const char *to, char **error_r)
{
	sqlite3 *copy = NULL;
	int code = sqlite3_open_v2(to, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	if (code == SQLITE_OK) {
		code = connection_script(from, "BEGIN; SELECT COUNT(*) FROM sqlite_schema");
	}
	sqlite3_backup *backup = code == SQLITE_OK ? sqlite3_backup_init(copy, "main", from->db, "main") : NULL;
	if (backup != NULL) {
		sqlite3_backup_step(backup, -1);
		code = sqlite3_backup_finish(backup);
	}
	/* One file, that needs no log beside it. */
	if (code == SQLITE_OK) {
		code = sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	}
	bool good = code == SQLITE_OK || driver_fail(error_r, "%s: %s%s", to, sqlite3_errstr(code), sqlite_advice(code));
	sqlite3_close(copy);
	return good;
}

static bool copy_bytes(int from, int to, char **error_r)
{
	enum { BUFFER_SIZE = 1 << 20 };
	char *buffer = malloc(BUFFER_SIZE);
	ssize_t n = -1;
	bool good = buffer != NULL;
	while (good && (n = read(from, buffer, BUFFER_SIZE)) > 0) {
		good = io_write_all(to, buffer, (size_t)n);
	}
	good = good && n == 0 && (fsync(to) == 0 || errno == EINVAL || errno == EROFS); /* a pipe has no disk */
	free(buffer);
	return good || driver_fail(error_r, "%s", strerror(errno));
}

bool sqlite_file_backup(const char *path, int fd, char **error_r)
{
	char *name;
	if (asprintf(&name, "%s.backup-XXXXXX", path) < 0) {
		abort();
	}
	struct connection *from = connection_open(path, CONNECTION_READ, BUSY_NS, error_r);
	int copy = from == NULL ? -1 : mkostemp(name, O_CLOEXEC);
	bool good = copy >= 0 && copy_pages(from, name, error_r) && copy_bytes(copy, fd, error_r);
	if (from != NULL && copy < 0) {
		driver_fail(error_r, "%s: %s", name, strerror(errno));
	}
	if (copy >= 0) {
		unlink(name);
		close(copy);
	}
	connection_close(from);
	free(name);
	return good;
}
