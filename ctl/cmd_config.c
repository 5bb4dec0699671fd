/* mailreeve config check|show|sample */
#include "ctl/command.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/config.h"
#include "lib/policy/globals.h"
#include "lib/policy/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] = "usage: mailreeve config check [FILE]\n"
							"       mailreeve config show [FILE]\n"
							"       mailreeve config sample\n"
							"check: is FILE good, and is there something to know about it? show: every value in force.\n"
							"sample: a commented file with every option. FILE: " MR_SYSCONFDIR
							"/mailreeve.conf, or the\nbuilt-in defaults where that does not exist.\n";

static struct config *load(const char *path)
{
	size_t count;
	char *error = NULL;
	const struct section *const *sections = stages_sections(&count);
	struct config *config = config_load(path, sections, count, &error);
	if (config == NULL) {
		fprintf(stderr, "%s\n", error);
		free(error);
	}
	return config;
}

static void warn_directory(const char *option, const char *path, int mode)
{
	if (access(path, mode) != 0) {
		printf("warning: %s: %s: %s\n", option, path, strerror(errno));
	}
}

/* What only an operator may do, and should know that he did. */
static void warn_code(const struct config *config, const struct finding_code *code, size_t section)
{
	struct action action = config_action(config, DIRECTION_INBOUND, code);
	if (code->enforced && action.kind < code->fallback.kind) {
		printf("warning: policy.%s is \"%s\", milder than the default \"%s\"\n", code->code, action_kind_name(action.kind),
		       action_kind_name(code->fallback.kind));
	}
	if (code->enforced && code->fallback.kind > ACTION_TAG && config_mode(config, section) != MODE_ENFORCE) {
		printf("warning: %s cannot act: the mode of its stage is \"%s\"\n", code->code,
		       stage_mode_name(config_mode(config, section)));
	}
}

static void warn(const struct config *config)
{
	size_t count;
	const struct section *const *sections = stages_sections(&count);
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const struct content_options *content = config_settings(config, SECTION_CONTENT);
	warn_directory("spool_dir", globals->spool_dir, W_OK | X_OK);
	warn_directory("content.tmp_dir", content->tmp_dir, W_OK | X_OK);
	for (size_t i = 0; i < count; i++) {
		for (const struct finding_code *code = sections[i]->codes; code != NULL && code->code != NULL; code++) {
			warn_code(config, code, i);
		}
	}
}

static int check(const char *path)
{
	struct config *config = load(path);
	if (config == NULL) {
		return EXIT_FAILURE;
	}
	warn(config);
	printf("%s: OK\n", path == NULL ? "built-in defaults" : path);
	config_release(config);
	return EXIT_SUCCESS;
}

static int show(const char *path)
{
	struct config *config = load(path);
	if (config == NULL) {
		return EXIT_FAILURE;
	}
	config_print(config, stdout);
	config_release(config);
	return EXIT_SUCCESS;
}

static int sample(void)
{
	size_t count;
	const struct section *const *sections = stages_sections(&count);
	config_print_sample(sections, count, stdout);
	return EXIT_SUCCESS;
}

int cmd_config(int argc, char **argv)
{
	const char *path = argc == 3 ? argv[2] : command_default_config();
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if ((argc == 2 || argc == 3) && strcmp(argv[1], "check") == 0) {
		return check(path);
	}
	if ((argc == 2 || argc == 3) && strcmp(argv[1], "show") == 0) {
		return show(path);
	}
	if (argc == 2 && strcmp(argv[1], "sample") == 0) {
		return sample();
	}
	fputs(usage, stderr);
	return 2;
}
