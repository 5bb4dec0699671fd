#include "ctl/limits.h"

#include "ctl/command.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/option_value.h"

#include <getopt.h>
#include <stdlib.h>
#include <time.h>

enum { OPT_CONFIG = 256, OPT_JSON, OPT_FOR, OPT_REASON, OPT_LIMIT };

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"json", no_argument, NULL, OPT_JSON},
    {"for", required_argument, NULL, OPT_FOR},
    {"reason", required_argument, NULL, OPT_REASON},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool limits_option(struct limits_command *command, int option, const char *value)
{
	unsigned long long rows;
	switch (option) {
	case OPT_CONFIG:
		command->config_path = value;
		return true;
	case OPT_JSON:
		command->json = true;
		return true;
	case OPT_REASON:
		command->reason = value;
		return true;
	case OPT_FOR:
		if (!option_duration_parse(value, &command->duration) || command->duration < CLOCK_NS_PER_S ||
		    command->duration > 366 * 86400 * CLOCK_NS_PER_S) {
			fprintf(stderr, "mailreeve %s: --for: \"%s\" is no time from 1s to 366d, such as 4h\n", command->name,
			        value);
			return false;
		}
		return true;
	case OPT_LIMIT:
		if (!slice_to_uint(slice_from(value), 1000000, &rows) || rows == 0) {
			fprintf(stderr, "mailreeve %s: --limit: \"%s\" is no number from 1 to 1000000\n", command->name, value);
			return false;
		}
		command->rows = rows;
		return true;
	default:
		fputs(command->usage, stderr);
		return false;
	}
}

static bool limits_open(struct limits_command *command, bool writes)
{
	command->config = command_load_config(command->config_path);
	if (command->config == NULL) {
		return false;
	}
	const struct store_options *options = config_settings(command->config, SECTION_STORE);
	if (options->location[0] != '\0' && !store_exists(options)) {
		fprintf(stderr, "mailreeve %s: the store is not there: the daemon makes it when it starts\n", command->name);
		return false;
	}
	command->store = command_open_store(command->config, writes ? 0 : STORE_READ_ONLY);
	return command->store != NULL;
}

static int limits_run(struct limits_command *command, const struct limits_subcommand *subcommand, int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(command->usage, stdout);
			return EXIT_SUCCESS;
		}
		if (!limits_option(command, option, optarg)) {
			return LIMITS_EXIT_USAGE;
		}
	}
	int words = argc - optind;
	if (words > 1 || (words == 0 && subcommand->needs_word)) {
		fputs(command->usage, stderr);
		return LIMITS_EXIT_USAGE;
	}
	command->word = words == 1 ? argv[optind] : NULL;
	bool good = limits_open(command, subcommand->writes) && subcommand->run(command);
	return fflush(stdout) == 0 && good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int limits_main(struct limits_command *command, const struct limits_subcommand *subcommands, int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(command->usage, stdout);
		return EXIT_SUCCESS;
	}
	log_set_level(LOG_LEVEL_ERROR);
	for (; argc >= 2 && subcommands->name != NULL; subcommands++) {
		if (strcmp(argv[1], subcommands->name) != 0) {
			continue;
		}
		command->arena = arena_create(16384);
		command->now = (uint64_t)time(NULL);
		command->rows = LIMITS_ROWS;
		int status = limits_run(command, subcommands, argc - 1, argv + 1);
		store_close(command->store);
		config_release(command->config);
		arena_destroy(command->arena);
		return status;
	}
	fputs(command->usage, stderr);
	return LIMITS_EXIT_USAGE;
}

bool limits_worked(const struct limits_command *command, enum store_result result)
{
	if (result != STORE_OK) {
		fprintf(stderr, "mailreeve %s: the store does not answer now, or cannot be written\n", command->name);
	}
	return result == STORE_OK;
}

const char *limits_span(struct arena *arena, uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} spans[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;
	while (i < 3 && seconds < 2 * spans[i].seconds) {
		i++;
	}
	return arena_printf(arena, "%llu %s", (unsigned long long)(seconds / spans[i].seconds), spans[i].name);
}

const char *limits_time(struct arena *arena, uint64_t seconds)
{
	char text[32] = "?";
	time_t time = (time_t)seconds;
	struct tm utc;
	if (gmtime_r(&time, &utc) != NULL) {
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
	}
	return arena_strdup(arena, text);
}

const char *limits_text(struct arena *arena, struct slice text)
{
	return text_escape(arena, text, "", true, 600);
}
