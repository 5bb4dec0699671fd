/* log: what the running daemon logs. */
#include "ctl/command.h"
#include "ctl/control.h"
#include "lib/base/clock.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: mailreeve log level [--config FILE] [[STAGE] LEVEL]\n"
    "  -c, --config FILE    the daemon's configuration file, which names its control socket\n"
    "LEVEL is error, warning, info or debug; of STAGE alone, or of all. The next reload sets what the\n"
    "configuration says. Without LEVEL: prints what is in force.\n";

/* Words go into a URL: what is not of these letters is no stage and no level. */
static bool is_word(const char *text)
{
	return text[0] != '\0' && strlen(text) < 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz_") == strlen(text);
}

static int ask(const struct config *config, const char *stage, const char *level)
{
	struct arena *arena = arena_create(4096);
	struct control_ask ask = {.method = "GET", .path = "/log/level", .timeout_ns = 10 * CLOCK_NS_PER_S};
	if (level != NULL) {
		ask.method = "POST";
		ask.path = stage == NULL ? arena_printf(arena, "/log/level?level=%s", level)
		                         : arena_printf(arena, "/log/level?level=%s&stage=%s", level, stage);
	}
	int result = control_print(config, &ask);
	arena_destroy(arena);
	return result;
}

int cmd_log(int argc, char **argv)
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
	int words = argc - optind;
	bool good = words >= 1 && words <= 3 && strcmp(argv[optind], "level") == 0;
	for (int i = 1; i < words && good; i++) {
		good = is_word(argv[optind + i]);
	}
	if (!good) {
		fputs(usage, stderr);
		return 2;
	}
	struct config *config = command_load_config(path);
	if (config == NULL) {
		return 1;
	}
	int result = ask(config, words == 3 ? argv[optind + 1] : NULL, words == 1 ? NULL : argv[argc - 1]);
	config_release(config);
	return result;
}
