/* mailreeved: the daemon. */
#include "config.h"
#include "lib/base/log.h"
#include "lib/pipeline/health.h"
#include "lib/pipeline/logging.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"
#include "lib/store/store.h"
#include "milter/callbacks.h"
#include "milter/control.h"
#include "milter/daemonize.h"
#include "milter/exporter.h"
#include "milter/handover.h"
#include "milter/notify.h"
#include "milter/privileges.h"
#include "milter/reload.h"
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

static void open_log(const struct config *config, bool foreground)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	static const enum log_target targets[] = {[GLOBALS_LOG_STDERR] = LOG_TARGET_STDERR,
	                                          [GLOBALS_LOG_SYSLOG] = LOG_TARGET_SYSLOG,
	                                          [GLOBALS_LOG_JOURNAL] = LOG_TARGET_JOURNAL};
	enum log_target target = foreground ? LOG_TARGET_STDERR : LOG_TARGET_SYSLOG;
	logging_apply(config);
	log_open(globals->log_target == GLOBALS_LOG_AUTO ? target : targets[globals->log_target], "mailreeved");
}

static bool pid_put(int fd)
{
	return ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 && dprintf(fd, "%ld\n", (long)getpid()) > 0;
}

/* An heir inherits the open file, and writes into it when it has taken over. */
static bool write_pid(const char *path, char **error_r)
{
	int fd = handover_take(HANDOVER_PID);
	bool good = true;
	if (fd < 0 && path[0] != '\0') {
		/* Readable in spite of our umask, and root's: who stops the daemon by this file must not be made to stop another
		 * process. */
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		good = fd >= 0 && fchmod(fd, 0644) == 0 && pid_put(fd);
	}
	if (!good && asprintf(error_r, "pid_file %s: %s", path, strerror(errno)) < 0) {
		abort();
	}
	handover_offer(HANDOVER_PID, fd, NULL, NULL);
	return good;
}

static void claim_pid(void)
{
	int fd = handover_offered(HANDOVER_PID);
	if (fd >= 0 && !pid_put(fd)) {
		log_warning("the pid file cannot be written: %s", strerror(errno));
	}
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

/* What the process has besides the engine. */
struct ends {
	struct listener *listener;
	struct control *control;
	struct exporter *exporter;
};

/* A control socket that nobody has asked for by name must not keep the daemon from its work. */
static bool open_control(const struct globals *globals, const struct privileges *privileges, struct control **control_r,
                         char **error_r)
{
	*control_r = control_open(globals, privileges->user, privileges->group, error_r);
	if (*error_r != NULL && strcmp(globals->control_socket, "auto") == 0 && globals->control_group[0] == '\0') {
		log_warning("there is no control socket: %s", *error_r);
		free(*error_r);
		*error_r = NULL;
	}
	return *error_r == NULL;
}

/* NULL, and true, where none is wanted. */
static bool open_exporter(const struct config *config, const struct privileges *privileges, struct exporter **exporter_r,
                          char **error_r)
{
	*exporter_r = exporter_open(config_settings(config, SECTION_METRICS), privileges->user, privileges->group, error_r);
	return *error_r == NULL;
}

/* Can the MTA reach us? */
static void listener_health(void *context, struct arena *arena, struct health_check *check_r)
{
	const char *problem = listener_problem(context);
	check_r->state = problem == NULL ? HEALTH_OK : HEALTH_CRITICAL;
	check_r->text = problem == NULL ? arena_printf(arena, "%zu transactions under way", callbacks_running()) : problem;
}

/* Those who answer, once there is an engine to ask. */
static bool start_ends(struct ends *ends, struct engine *engine, char **error_r)
{
	health_add("listener", listener_health, ends->listener);
	if ((ends->control != NULL && !control_start(ends->control, engine, error_r)) ||
	    (ends->exporter != NULL && !exporter_start(ends->exporter, engine, error_r))) {
		return false;
	}
	if (!signals_start(engine, ends->control, ends->exporter) || !watchdog_start(engine, ends->listener)) {
		*error_r = strdup("no thread for signals or the watchdog");
		return false;
	}
	return true;
}

static void close_ends(struct ends *ends)
{
	exporter_close(ends->exporter);
	control_close(ends->control);
	ends->exporter = NULL;
	ends->control = NULL;
}

/* Sockets, privileges, store, resolver and workers, in this order. NULL with *error_r. */
static struct engine *start(struct config *config, const struct main_options *options, struct ends *ends_r, char **error_r)
{
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	struct privileges privileges;
	if (!privileges_find(globals, &privileges, error_r)) {
		return NULL;
	}
	const struct listener_settings settings = {
	    .option = "socket", .spec = globals->socket, .mode = (mode_t)globals->socket_mode, .group = globals->socket_group,
	    .inherited = handover_take(HANDOVER_MILTER)};
	ends_r->listener = listener_create(&settings, privileges.user, privileges.group, error_r);
	if (ends_r->listener == NULL || !callbacks_open(ends_r->listener, error_r) ||
	    !listener_publish(ends_r->listener, error_r) || !open_control(globals, &privileges, &ends_r->control, error_r) ||
	    !open_exporter(config, &privileges, &ends_r->exporter, error_r) ||
	    !write_pid(globals->pid_file, error_r) ||
	    !store_make_folders(config_settings(config, SECTION_STORE), privileges.user, privileges.group, error_r) ||
	    !privileges_drop(&privileges, error_r)) {
		return NULL;
	}
	struct engine *engine = engine_open(config, &(struct engine_options){.dns_zone = options->dns_zone, .daemon = true}, error_r);
	if (engine == NULL) {
		return NULL;
	}
	reload_init(engine, options->config);
	if (!start_ends(ends_r, engine, error_r)) {
		close_ends(ends_r);
		engine_close(engine);
		return NULL;
	}
	return engine;
}

static int serve(struct config *config, const struct main_options *options, int report)
{
	char *error = NULL;
	struct ends ends = {NULL, NULL, NULL};
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	struct engine *engine = start(config, options, &ends, &error);
	if (engine == NULL) {
		log_error("%s", error);
		if (report >= 0) {
			daemonize_failed(report, error);
		}
		remove_pid(globals->pid_file);
		close_ends(&ends);
		listener_destroy(ends.listener);
		free(error);
		return EXIT_FAILURE;
	}
	log_info("%s is ready on %s", PACKAGE_STRING, globals->socket);
	daemonize_ready(report);
	handover_offer(HANDOVER_MILTER, listener_fd(ends.listener), callbacks_give_away, NULL);
	if (handover_is_heir()) {
		handover_ready();
		listener_claim(ends.listener);
		control_claim(ends.control);
		exporter_claim(ends.exporter);
		claim_pid();
	}
	notify_ready("Serving");
	bool good = callbacks_run(engine);
	close_ends(&ends);
	engine_log_counters(engine);
	engine_stop_store(engine);
	log_tell_repeats(true);
	log_info("stopped");
	remove_pid(globals->pid_file);
	/* libmilter's threads live on, maybe in a callback of a transaction that was cut off: engine and listener are
	 * theirs until the end, and exit() would clear away the libraries' data beneath them. */
	listener_remove(ends.listener);
	if (callbacks_running() > 0) {
		_exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	handover_init(argv);
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
	int report = options.foreground || handover_is_heir() ? -1 : daemonize_start();
	open_log(config, options.foreground);
	status = serve(config, &options, report);
	config_release(config);
	free(options.config);
	free(options.dns_zone);
	return status;
}
