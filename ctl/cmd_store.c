/* mailreeve store status|migrate|check|backup|export|import: looks after the store. */
#include "ctl/command.h"
#include "lib/base/log.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/config.h"
#include "lib/store/dump.h"
#include "lib/store/migrations.h"
#include "lib/store/spill.h"
#include "lib/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, OPT_CONFIG = 256, OPT_QUIET };

static const char usage[] =
    "usage: mailreeve store status\n"
    "       mailreeve store migrate\n"
    "       mailreeve store check\n"
    "       mailreeve store backup FILE\n"
    "       mailreeve store export [FILE]\n"
    "       mailreeve store import [FILE]\n"
    "status: where it is, what state it is in. migrate: bring its tables up to date. check: look for damage, and\n"
    "read all of it. backup: a copy of an SQLite store, while the daemon runs. export: all of it as text, from\n"
    "SQLite and from PostgreSQL. import: such a text into a new store, all of it or nothing. FILE is made anew;\n"
    "without it, or with -, standard output or input. All take --config FILE and --quiet (no progress).\n";

struct store_command {
	const char *name, *config_path, *file;
	bool quiet;
	struct config *config;
	const struct store_options *options;
	int fd; /* of FILE, opened before root is given up */
};

static bool refuse(const char *what, const char *text)
{
	fprintf(stderr, "mailreeve store: %s%s%s\n", what, what[0] == '\0' ? "" : ": ", text);
	return false;
}

/* Prints the error and frees it. */
static bool failed(char *error)
{
	refuse("", error);
	free(error);
	return false;
}

static void on_progress(void *context, const char *table, int64_t rows)
{
	const struct store_command *command = context;
	if (!command->quiet && table != NULL) {
		fprintf(stderr, "%" PRId64 " rows, table %s\n", rows, table);
	} else if (!command->quiet) {
		fprintf(stderr, "%" PRId64 " rows in all\n", rows);
	}
}

/* ---- the subcommands ---- */

static bool store_status_command(struct store_command *command)
{
	struct store_status status;
	if (command->options->location[0] == '\0') {
		puts("there is no store: store.location is empty");
		return false;
	}
	char *location = store_location_text(command->options->location);
	printf("location: %s\n", location);
	free(location);
	if (!store_exists(command->options)) {
		puts("state: not made yet; the daemon makes it at its start, or mailreeve store migrate");
		return true;
	}
	struct store *store = command_open_store(command->config, STORE_READ_ONLY | STORE_ANY_SCHEMA);
	if (store == NULL) {
		return false;
	}
	store_get_status(store, &status);
	bool newest = status.schema == (int64_t)store_migrations_count;
	printf("state: reached by %s\nschema: %" PRId64 " of %zu%s\n", status.driver, status.schema, store_migrations_count,
	       newest                                            ? ""
	       : status.schema > (int64_t)store_migrations_count ? "; made by a newer Mailreeve"
	                                                         : "; see mailreeve store migrate");
	printf("waiting in %s: %llu bytes\n", command->options->spill_dir,
	       (unsigned long long)spill_folder_size(command->options->spill_dir));
	store_close(store);
	return newest;
}

static bool store_migrate_command(struct store_command *command)
{
	int64_t from;
	int64_t to;
	char *error = NULL;
	struct store *store = command_open_store(command->config, STORE_ANY_SCHEMA);
	if (store == NULL) {
		return false;
	}
	bool good = store_migrate(store, &from, &to, &error);
	store_close(store);
	if (!good) {
		return failed(error);
	}
	if (from == to) {
		printf("the tables are up to date: version %" PRId64 "\n", to);
	} else {
		printf("the tables were brought from version %" PRId64 " to %" PRId64 "\n", from, to);
	}
	return true;
}

struct checked {
	const struct store_command *command;
	int problems;
};

static void on_problem(void *context, const char *text)
{
	struct checked *checked = context;
	checked->problems++;
	printf("damage: %s\n", text);
}

static void on_check_progress(void *context, const char *table, int64_t rows)
{
	const struct checked *checked = context;
	if (table != NULL) {
		on_progress((void *)(uintptr_t)checked->command, table, rows);
	} else {
		printf("%" PRId64 " rows could be read\n", rows);
	}
}

static bool store_check_command(struct store_command *command)
{
	char *error = NULL;
	struct checked checked = {.command = command};
	struct store *store = command_open_store(command->config, STORE_READ_ONLY | STORE_ANY_SCHEMA);
	if (store == NULL) {
		return false;
	}
	bool good = store_check(store, on_problem, on_check_progress, &checked, &error);
	store_close(store);
	if (!good) {
		return failed(error);
	}
	puts(
	    checked.problems == 0
	        ? "no damage was found"
	        : "the store is damaged: restore the last backup, or export what can be read and import it into a new one");
	return checked.problems == 0;
}

static bool store_backup_command(struct store_command *command)
{
	char *error = NULL;
	struct store *store = command_open_store(command->config, STORE_READ_ONLY | STORE_ANY_SCHEMA);
	if (store == NULL) {
		return false;
	}
	bool good = store_backup(store, command->fd, &error);
	store_close(store);
	return good || failed(error);
}

static bool store_export_command(struct store_command *command)
{
	char *error = NULL;
	FILE *out = fdopen(command->fd, "w");
	struct store *store = out == NULL ? NULL : command_open_store(command->config, STORE_READ_ONLY | STORE_ANY_SCHEMA);
	if (store == NULL) {
		return false;
	}
	bool good = store_export(store, out, on_progress, command, &error);
	store_close(store);
	if (good && (fsync(command->fd) != 0 && errno != EINVAL && errno != EROFS)) {
		good = refuse(command->file, strerror(errno));
	} else if (!good) {
		failed(error);
	}
	return fclose(out) == 0 && good;
}

static bool store_import_command(struct store_command *command)
{
	char *error = NULL;
	FILE *in = fdopen(command->fd, "r");
	struct store *store = in == NULL ? NULL : command_open_store(command->config, STORE_ANY_SCHEMA);
	if (store == NULL) {
		return false;
	}
	bool good = store_import(store, in, on_progress, command, &error);
	store_close(store);
	fclose(in);
	return good || failed(error);
}

/* ---- the command ---- */

enum file_use { FILE_NONE, FILE_WRITTEN, FILE_READ };

static const struct {
	const char *name;
	bool (*run)(struct store_command *command);
	enum file_use file;
	bool needs_file;
} subcommands[] = {
    {"status", store_status_command, FILE_NONE, false},    {"migrate", store_migrate_command, FILE_NONE, false},
    {"check", store_check_command, FILE_NONE, false},      {"backup", store_backup_command, FILE_WRITTEN, true},
    {"export", store_export_command, FILE_WRITTEN, false}, {"import", store_import_command, FILE_READ, false},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static bool open_file(struct store_command *command, enum file_use use)
{
	bool standard = command->file == NULL || strcmp(command->file, "-") == 0;
	if (use == FILE_NONE) {
		return true;
	}
	if (standard) {
		command->file = use == FILE_READ ? "standard input" : "standard output";
		command->fd = use == FILE_READ ? STDIN_FILENO : STDOUT_FILENO;
		return true;
	}
	command->fd = use == FILE_READ ? open(command->file, O_RDONLY | O_CLOEXEC)
	                               : open(command->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return command->fd >= 0 || refuse(command->file, strerror(errno));
}

static bool parse(int argc, char **argv, struct store_command *command_r, int *status_r)
{
	static const struct option long_options[] = {{"config", required_argument, NULL, OPT_CONFIG},
	                                             {"quiet", no_argument, NULL, OPT_QUIET},
	                                             {"help", no_argument, NULL, 'h'},
	                                             {NULL, 0, NULL, 0}};
	int option;
	*status_r = EXIT_USAGE;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_CONFIG:
			command_r->config_path = optarg;
			break;
		case OPT_QUIET:
			command_r->quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			*status_r = EXIT_SUCCESS;
			return false;
		default:
			return false;
		}
	}
	command_r->name = optind < argc ? argv[optind] : "";
	command_r->file = optind + 1 < argc ? argv[optind + 1] : NULL;
	return optind + 2 >= argc;
}

static bool run(struct store_command *command, size_t i)
{
	command->config = command_load_config(command->config_path);
	if (command->config == NULL) {
		return false;
	}
	command->options = config_settings(command->config, SECTION_STORE);
	bool made = subcommands[i].file == FILE_WRITTEN && command->file != NULL && strcmp(command->file, "-") != 0;
	if (!open_file(command, subcommands[i].file)) {
		config_release(command->config);
		return false;
	}
	bool good = subcommands[i].run(command);
	if (!good && made) {
		fprintf(stderr, "mailreeve store: %s is not complete: remove it\n", command->file);
	}
	config_release(command->config);
	return good;
}

int cmd_store(int argc, char **argv)
{
	struct store_command command = {.fd = -1};
	int status;
	log_set_level(LOG_LEVEL_ERROR);
	if (!parse(argc, argv, &command, &status)) {
		if (status != EXIT_SUCCESS) {
			fputs(usage, stderr);
		}
		return status;
	}
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		bool file = command.file != NULL;
		if (strcmp(command.name, subcommands[i].name) == 0 && (subcommands[i].file != FILE_NONE || !file) &&
		    (!subcommands[i].needs_file || file)) {
			umask(077);
			return run(&command, i) ? EXIT_SUCCESS : EXIT_FAILURE;
		}
	}
	fputs(usage, stderr);
	return EXIT_USAGE;
}
