/* status: one screen on how the daemon and what it depends on does, and an exit status as plug-ins of Nagios have it.
 */
#include "ctl/command.h"
#include "ctl/status_read.h"
#include "lib/base/slice.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATE_OK, STATE_WARNING, STATE_CRITICAL, STATE_UNKNOWN };

static const char usage[] =
    "usage: mailreeve status [--config FILE] [--json]\n"
    "  -c, --config FILE    the daemon's configuration file, which names its control socket\n"
    "      --json           what the daemon answers, as it is\n"
    "Exit status: 0 all is well, 1 a warning, 2 something is critical, 3 the daemon does not answer.\n";

static int state_of(const char *name)
{
	return strcmp(name, "critical") == 0 ? STATE_CRITICAL : strcmp(name, "warning") == 0 ? STATE_WARNING : STATE_OK;
}

static void print_health(const json_t *root, struct arena *arena)
{
	size_t i;
	const json_t *check;
	json_array_foreach(status_member(root, "health"), i, check)
	{
		const char *state = status_text(check, "state", arena);
		printf("  %-9s %-14s %s\n", state, status_text(check, "name", arena), status_text(check, "text", arena));
	}
}

static void print_rates(const json_t *root, struct arena *arena)
{
	static const char *const names[] = {"accept",  "tag",    "quarantine",     "tempfail",
	                                    "discard", "reject", "refused_at_rcpt"};
	printf("\nmessages       a second:  1 min   5 min  15 min   since the start\n");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		printf("  %-21s %7.2f %7.2f %7.2f   %15.0f\n", names[i],
		       status_number(root, arena_printf(arena, "rates.1.%s", names[i])),
		       status_number(root, arena_printf(arena, "rates.5.%s", names[i])),
		       status_number(root, arena_printf(arena, "rates.15.%s", names[i])),
		       status_number(root, arena_printf(arena, "totals.%s", names[i])));
	}
	printf("a verdict took %s (median), %s (99 of 100) in the last minute\n",
	       status_seconds(status_number(root, "minute.message.p50"), arena),
	       status_seconds(status_number(root, "minute.message.p99"), arena));
}

static void print_databases(const json_t *root, struct arena *arena)
{
	const char *key;
	json_t *built;
	const char *oldest = NULL;
	double oldest_age = 0;
	double now = status_number(root, "now");
	json_object_foreach((json_t *)(uintptr_t)status_member(root, "databases"), key, built)
	{
		double age = now - json_number_value(built);
		if (!json_is_null(built) && (oldest == NULL || age > oldest_age)) {
			oldest = key;
			oldest_age = age;
		}
	}
	if (oldest != NULL) {
		printf("oldest database: %s, %s\n", oldest, status_age(oldest_age < 0 ? 0 : oldest_age, arena));
	}
	if (!json_is_null(status_member(root, "sizes")) && status_member(root, "sizes") != NULL) {
		printf("quarantine: %.0f held, %.0f KB; greylist: %.0f wait, %.0f have passed\n",
		       status_number(root, "sizes.quarantine_held"), status_number(root, "sizes.quarantine_bytes") / 1024,
		       status_number(root, "sizes.greylist_waiting"), status_number(root, "sizes.greylist_passed"));
		double sent = status_number(root, "sizes.digest_sent");
		printf("reports to users: %s%s, %.0f wait\n", sent > 0 ? "the last one " : "none yet",
		       sent > 0 ? arena_printf(arena, "%s ago", status_age(now > sent ? now - sent : 0, arena)) : "",
		       status_number(root, "sizes.digest_waiting"));
	}
}

static void print_tasks(const json_t *root, struct arena *arena)
{
	size_t i;
	const json_t *task;
	double now = status_number(root, "now");
	json_array_foreach(status_member(root, "tasks"), i, task)
	{
		double left = status_number(task, "next") - now;
		printf("%s%s in %s", i == 0 ? "next tasks: " : ", ", status_text(task, "name", arena),
		       status_age(left < 0 ? 0 : left, arena));
	}
	fputs(i == 0 ? "" : "\n", stdout);
}

static void print_screen(const json_t *root, struct arena *arena)
{
	char loaded[32] = "";
	time_t at = (time_t)status_number(root, "configuration.loaded");
	struct tm local;
	const char *path = status_text(root, "configuration.path", arena);
	if (localtime_r(&at, &local) != NULL) {
		strftime(loaded, sizeof loaded, "%Y-%m-%d %H:%M:%S", &local);
	}
	/* The first line alone is what monitoring shows. */
	printf("mailreeved %s: %s, up %s, pid %.0f\n", status_text(root, "version", arena),
	       status_text(root, "state", arena), status_age(status_number(root, "uptime"), arena),
	       status_number(root, "pid"));
	printf("configuration: %s, read %s\n\n", path[0] == '\0' ? "the defaults" : path, loaded);
	print_health(root, arena);
	print_rates(root, arena);
	print_databases(root, arena);
	print_tasks(root, arena);
}

static int show(const struct config *config, bool as_json)
{
	struct arena *arena = arena_create(16384);
	json_t *root = status_read(config, false, arena);
	int result = STATE_UNKNOWN;
	if (root != NULL && as_json) {
		json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9) | JSON_ENSURE_ASCII);
		puts("");
	} else if (root != NULL) {
		print_screen(root, arena);
	}
	if (root != NULL) {
		result = state_of(status_text(root, "state", arena));
	}
	json_decref(root);
	arena_destroy(arena);
	return result;
}

int cmd_status(int argc, char **argv)
{
	static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
	                                             {"json", no_argument, NULL, 'j'},
	                                             {"help", no_argument, NULL, 'h'},
	                                             {NULL, 0, NULL, 0}};
	const char *path = NULL;
	bool as_json = false;
	int option;
	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'j':
			as_json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return STATE_UNKNOWN;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return STATE_UNKNOWN;
	}
	struct config *config = command_load_config(path);
	if (config == NULL) {
		return STATE_UNKNOWN;
	}
	int result = show(config, as_json);
	config_release(config);
	return result;
}
