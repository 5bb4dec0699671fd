/* mailreeved: the daemon. */
#include "config.h"
#include "lib/base/log.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"
#include "lib/store/store.h"
#include "milter/callbacks.h"
#include "milter/daemonize.h"
#include "milter/notify.h"
#include "milter/privileges.h"
#include "milter/signals.h"
#include "milter/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, OPT_ZONE = 256 };

static const char usage[] =
    "usage: mailreeved [-c FILE] [-f] [--dns-zone FILE]\n"
    "  -c, --config FILE    configuration; by default " MR_SYSCONFDIR "/mailreeve.conf where it\n"
    "                       exists, else the built-in defaults\n"
    "  -f, --foreground     do not go into the background; log to standard error\n"
    "      --dns-zone FILE  DNS answers from a master file, for tests\n"
    "  -V, --version        print the version\n"
    "  -h, --help           print this\n"
    "See mailreeved(8).\n";

struct main_options {
	char *config; /* absolute, or NULL */
	char *dns_zone;
	bool foreground;
};

/* The daemon changes its folder: names given on the command line must not change with it. */
static char *absolute(const char *path)
{
	char *real = realpath(path, NULL);
	return real != NULL ? real : strdup(path);
}

/* False with the exit status in *status_r. */
static bool parse(int argc, char **argv, struct main_options *options_r, int *status_r)
{
	static const char default_path[] = MR_SYSCONFDIR "/mailreeve.conf";
	static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
	                                             {"foreground", no_argument, NULL, 'f'},
	                                             {"dns-zone", required_argument, NULL, OPT_ZONE},
	                                             {"version", no_argument, NULL, 'V'},
	                                             {"help", no_argument, NULL, 'h'},
	                                             {NULL, 0, NULL, 0}};
	int option;
	*status_r = EXIT_SUCCESS;
	while ((option = getopt_long(argc, argv, "c:fVh", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			free(options_r->config);
			options_r->config = absolute(optarg);
			break;
		case 'f':
			options_r->foreground = true;
			break;
		case OPT_ZONE:
			free(options_r->dns_zone);
			options_r->dns_zone = absolute(optarg);
			break;
		case 'V':
			puts(PACKAGE_STRING);
			return false;
		case 'h':
			fputs(usage, stdout);
			return false;
		default:
			fputs(usage, stderr);
			*status_r = EXIT_USAGE;
			return false;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		*status_r = EXIT_USAGE;
		return false;
	}
	if (options_r->config == NULL && (access(default_path, F_OK) == 0 || errno != ENOENT)) {
		options_r->config = strdup(default_path);
	}
	return true;
}

static void open_log(const struct globals *globals, bool foreground)
{
	bool syslog = globals->log_target == GLOBALS_LOG_SYSLOG || (globals->log_target == GLOBALS_LOG_AUTO && !foreground);
	log_set_level((enum log_level)globals->log_level);
	log_open(syslog ? LOG_TARGET_SYSLOG : LOG_TARGET_STDERR, "mailreeved");
}

static bool write_pid(const char *path, char **error_r)
{
	int fd = path[0] == '\0' ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (path[0] == '\0') {
		return true;
	}
	/* Readable in spite of our umask, and root's: who stops the daemon by this file must not be made to stop another
	 * process. */
	bool good = fd >= 0 && fchmod(fd, 0644) == 0 && dprintf(fd, "%ld\n", (long)getpid()) > 0;
	if (!good && asprintf(error_r, "pid_file %s: %s", path, strerror(errno)) < 0) {
		abort();
	}
	if (fd >= 0) {
		close(fd);
	}
	return good;
}

/* Only while it names this process: the next daemon may have started while we drained. */
static void remove_pid(const char *path)
{
	char text[32] = "";
	int fd = path[0] == '\0' ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strtol(text, NULL, 10) == (long)getpid()) {
		unlink(path);
	}
	if (fd >= 0) {
		close(fd);
	}
}

/* Socket, privileges, store, resolver and workers, in this order. NULL with *error_r. */
static struct engine *start(struct config *config, const struct main_options *options, struct listener **listener_r,
                            char **error_r)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	struct privileges privileges;
	if (!privileges_find(globals, &privileges, error_r)) {
		return NULL;
	}
	*listener_r = listener_create(globals, privileges.user, privileges.group, error_r);
	if (*listener_r == NULL || !callbacks_open(*listener_r, error_r) || !listener_publish(*listener_r, error_r) ||
	    !write_pid(globals->pid_file, error_r) ||
	    !store_make_folders(config_settings(config, SECTION_STORE), privileges.user, privileges.group, error_r) ||
	    !privileges_drop(&privileges, error_r)) {
		return NULL;
	}
	struct engine *engine = engine_open(config, &(struct engine_options){.dns_zone = options->dns_zone, .daemon = true}, error_r);
	if (engine != NULL && (!signals_start(engine, options->config) || !watchdog_start(engine, *listener_r))) {
		*error_r = strdup("no thread for signals or the watchdog");
		engine_close(engine);
		return NULL;
	}
	return engine;
}

static int serve(struct config *config, const struct main_options *options, int report)
{
	char *error = NULL;
	struct listener *listener = NULL;
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	struct engine *engine = start(config, options, &listener, &error);
	if (engine == NULL) {
		log_error("%s", error);
		if (report >= 0) {
			daemonize_failed(report, error);
		}
		remove_pid(globals->pid_file);
		listener_destroy(listener);
		free(error);
		return EXIT_FAILURE;
	}
	log_info("%s is ready on %s", PACKAGE_STRING, globals->socket);
	daemonize_ready(report);
	notify_ready("Serving");
	bool good = callbacks_run(engine);
	engine_log_counters(engine);
	engine_stop_store(engine);
	log_info("stopped");
	remove_pid(globals->pid_file);
	/* libmilter's threads live on, maybe in a callback of a transaction that was cut off: engine and listener are
	 * theirs until the end, and exit() would clear away the libraries' data beneath them. */
	listener_remove(listener);
	if (callbacks_running() > 0) {
		_exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct main_options options = {.foreground = false};
	size_t count;
	int status;
	char *error = NULL;
	if (!parse(argc, argv, &options, &status)) {
		return status;
	}
	const struct section *const *sections = stages_sections(&count);
	struct config *config = config_load(options.config, sections, count, &error);
	if (config == NULL) {
		fprintf(stderr, "%s\n", error);
		return EXIT_FAILURE;
	}
	umask(027);
	notify_open();
	signals_block();
	int report = options.foreground ? -1 : daemonize_start();
	open_log(config_settings(config, SECTION_GLOBALS), options.foreground);
	status = serve(config, &options, report);
	config_release(config);
	free(options.config);
	free(options.dns_zone);
	return status;
}
