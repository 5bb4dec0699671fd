/* reload: has the daemon check its configuration, and take it when it is good. */
#include "ctl/command.h"
#include "ctl/control.h"
#include "lib/base/clock.h"
#include "lib/policy/config.h"

#include <getopt.h>
#include <stdio.h>

static const char usage[] = "usage: mailreeve reload [--config FILE]\n"
                            "  -c, --config FILE    the daemon's configuration file, which names its control socket\n"
                            "The daemon checks its own file; what is wrong with it is printed, and nothing changes.\n";

static int ask(const struct config *config)
{
	struct arena *arena = arena_create(4096);
	const struct control_ask reload = {.method = "POST", .path = "/reload", .timeout_ns = 120 * CLOCK_NS_PER_S};
	unsigned status;
	struct slice body;
	int result = 1;
	if (control_ask(config, &reload, arena, &status, &body)) {
		result = status == 200 ? 0 : 1;
		fprintf(result == 0 ? stdout : stderr, "%.*s", SLICE_ARGS(body));
	}
	arena_destroy(arena);
	return result;
}

int cmd_reload(int argc, char **argv)
{
	static const struct option long_options[] = {
	    {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *path = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	struct config *config = command_load_config(path);
	if (config == NULL) {
		fputs("mailreeve: the daemon was not asked: its configuration stays as it was\n", stderr);
		return 1;
	}
	int result = ask(config);
	config_release(config);
	return result;
}
