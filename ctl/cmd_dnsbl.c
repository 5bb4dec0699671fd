/* mailreeve dnsbl check|known|lookup: lists in the DNS. */
#include "ctl/command.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/dnsbl_check.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/stage_dnsbl.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <getopt.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2, OPT_CONFIG = 256, OPT_ZONE };

static const char usage[] =
    "usage: mailreeve dnsbl check [--config FILE] [--dns-zone FILE]\n"
    "       mailreeve dnsbl lookup ADDRESS|DOMAIN... [--config FILE] [--dns-zone FILE]\n"
    "       mailreeve dnsbl known\n"
    "check: ask each list of dnsbl.lists for its test entries (RFC 5782): is it in order? Exit status 1: one is not.\n"
    "lookup: ask the lists about an address or a domain. known: the ready lists, with their words.\n";

static const struct option long_options[] = {{"config", required_argument, NULL, OPT_CONFIG},
                                             {"dns-zone", required_argument, NULL, OPT_ZONE},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

struct dnsbl_command {
	const char *config_path, *zone;
	struct config *config;
	struct dns *dns;
	const struct dnsbl_settings *settings;
	struct arena *arena;
};

static bool command_open(struct dnsbl_command *command)
{
	size_t count;
	char *error = NULL;
	const struct section *const *sections = stages_sections(&count);
	command->config = config_load(command->config_path, sections, count, &error);
	if (command->config != NULL) {
		command->settings = config_settings(command->config, stages_section(&stage_dnsbl));
		command->dns = engine_open_dns(command->config, command->zone, &error);
	}
	if (command->dns == NULL) {
		fprintf(stderr, "mailreeve dnsbl: %s\n", error);
		free(error);
	}
	return command->dns != NULL;
}

static const char *safe(struct dnsbl_command *command, const char *text)
{
	return text_escape(command->arena, slice_from(text), "", true, 300);
}

/* ---- check ---- */

static int check(struct dnsbl_command *command)
{
	const struct dnsbl_lists *lists = &command->settings->lists;
	const struct dnsbl_list *all[DNSBL_LISTS_MAX];
	const char *problems[DNSBL_LISTS_MAX];
	size_t sick = 0;
	for (size_t i = 0; i < lists->count; i++) {
		all[i] = &lists->items[i];
	}
	dnsbl_health_test(command->dns, all, lists->count, command->settings->timeout, command->arena, problems);
	for (size_t i = 0; i < lists->count; i++) {
		printf("%-20s %-7s %-36s %s\n", lists->items[i].name, dnsbl_kind_name(lists->items[i].kind),
		       lists->items[i].public_zone, problems[i] == NULL ? "well" : "sick");
		if (problems[i] != NULL) {
			printf("%20s %s\n", "", safe(command, problems[i]));
			sick++;
		}
	}
	if (lists->count == 0) {
		printf("no lists: see dnsbl.lists in mailreeve.conf(5), and mailreeve dnsbl known\n");
	}
	return sick == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- known ---- */

static int known(void)
{
	for (const struct dnsbl_known *list = dnsbl_known; list->name != NULL; list++) {
		printf("%s: %s\n    %s\n", list->name, list->note, list->words);
	}
	return EXIT_SUCCESS;
}

/* ---- lookup ---- */

static struct dnsbl_check *questions_for(struct dnsbl_command *command, const char *subject)
{
	struct dnsbl_check *check = dnsbl_check_create(command->arena);
	const struct dnsbl_lists *lists = &command->settings->lists;
	const char *domain = domain_canonical(command->arena, slice_from(subject));
	struct ip ip;
	bool address = ip_parse(subject, &ip);
	for (size_t i = 0; i < lists->count; i++) {
		const struct dnsbl_list *list = &lists->items[i];
		if (address && (list->kind != DNSBL_DOMAIN || list->addresses)) {
			dnsbl_check_address(check, list, DNSBL_PLACE_CLIENT, &ip);
		} else if (!address && domain != NULL && list->kind == DNSBL_DOMAIN) {
			dnsbl_check_domain(check, list, DNSBL_FROM, domain);
		}
	}
	return check;
}

static void print_question(struct dnsbl_command *command, const struct dnsbl_question *question)
{
	const char *page = dnsbl_page(command->arena, question->list, question->subject);
	switch (question->result) {
	case DNSBL_UNLISTED:
		printf("%-20s %s: not listed\n", question->list->name, question->subject);
		break;
	case DNSBL_LISTED:
		printf("%-20s %s: listed (%s)%s%s%s%s\n", question->list->name, question->subject, question->match.names,
		       page == NULL ? "" : ", ", page == NULL ? "" : page, question->text == NULL ? "" : ": ",
		       question->text == NULL ? "" : safe(command, question->text));
		break;
	case DNSBL_ERROR:
		printf("%-20s %s: error: %s\n", question->list->name, question->subject,
		       safe(command, question->match.problem));
		break;
	}
}

static int lookup(struct dnsbl_command *command, char **subjects, int count)
{
	struct lookups *lookups = lookups_create(command->dns);
	for (int i = 0; i < count; i++) {
		struct dnsbl_check *check = questions_for(command, subjects[i]);
		uint64_t next;
		while (!dnsbl_check_advance(check, lookups, command->settings->timeout, &next)) {
			lookups_wait(lookups, next);
		}
		if (check->count == 0) {
			printf("%s: no list takes it\n", safe(command, subjects[i]));
		}
		for (size_t k = 0; k < check->count; k++) {
			print_question(command, &check->questions[k]);
		}
	}
	lookups_destroy(lookups);
	return EXIT_SUCCESS;
}

static int run(struct dnsbl_command *command, int argc, char **argv)
{
	bool checks = argc == 1 && strcmp(argv[0], "check") == 0;
	bool looks_up = argc > 1 && strcmp(argv[0], "lookup") == 0;
	if (argc == 1 && strcmp(argv[0], "known") == 0) {
		return known();
	}
	if (!checks && !looks_up) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (!command_open(command)) {
		return EXIT_FAILURE;
	}
	return checks ? check(command) : lookup(command, argv + 1, argc - 1);
}

int cmd_dnsbl(int argc, char **argv)
{
	struct dnsbl_command command = {.config_path = command_default_config(), .arena = arena_create(4096)};
	int option;
	int status = -1;
	log_set_level(LOG_LEVEL_ERROR);
	while (status < 0 && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == OPT_CONFIG) {
			command.config_path = optarg;
		} else if (option == OPT_ZONE) {
			command.zone = optarg;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			status = option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
		}
	}
	if (status < 0) {
		status = run(&command, argc - optind, argv + optind);
	}
	dns_close(command.dns);
	config_release(command.config);
	arena_destroy(command.arena);
	return status;
}
