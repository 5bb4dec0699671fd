/* mailreeve config check|show|sample */
#include "ctl/check_limits.h"
#include "ctl/command.h"
#include "ctl/config_diff.h"
#include "ctl/key.h"
#include "lib/pipeline/arc_sealing.h"
#include "lib/pipeline/dmarc_override.h"
#include "lib/pipeline/stage_geo.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_quarantine.h"
#include "lib/pipeline/stage_sign.h"
#include "lib/pipeline/stage_virus.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/config.h"
#include "lib/policy/globals.h"
#include "lib/report/submit.h"
#include "lib/policy/verdict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: mailreeve config check [FILE]\n"
    "       mailreeve config show [FILE]\n"
    "       mailreeve config sample\n"
    "       mailreeve config diff [--last N] [--json] [--config OLD] NEW\n"
    "check: is FILE good, and is there something to know about it? show: every value in force.\n"
    "diff: what NEW has other than OLD, and whose outcome of late it would change.\n"
    "sample: a commented file with every option. FILE: " MR_SYSCONFDIR
    "/mailreeve.conf, or the\nbuilt-in defaults where that does not exist.\n";

static void warn_directory(const char *option, const char *path)
{
	struct stat status;
	int error = stat(path, &status) != 0 ? errno : !S_ISDIR(status.st_mode) ? ENOTDIR : 0;
	if (error == 0 && access(path, W_OK | X_OK) != 0) {
		error = errno;
	}
	if (error != 0) {
		printf("warning: %s: %s: %s\n", option, path, strerror(error));
	}
}

/* What only an operator may do, and should know that he did. */
static void warn_code(const struct config *config, const struct finding_code *code)
{
	for (enum direction direction = DIRECTION_INBOUND; (code->traits & FINDING_ENFORCED) != 0 && direction < DIRECTION_COUNT; direction++) {
		struct action action = config_action(config, direction, code);
		if (action.kind < code->fallback.kind) {
			printf("warning: %s is \"%s\" for %s mail, milder than the default \"%s\"\n", code->code,
			       action_kind_name(action.kind), direction_name(direction), action_kind_name(code->fallback.kind));
		}
	}
}

static void warn_stage(const struct config *config, const struct section *section, size_t index)
{
	enum stage_mode mode = config_mode(config, index);
	if (mode < section->mode) {
		printf("warning: %s.mode is \"%s\": %s\n", section->name, stage_mode_name(mode),
		       mode == MODE_OFF       ? "it does not run"
		       : mode == MODE_OBSERVE ? "its findings are logged and never acted on"
		                              : "its findings tag a message at most");
	}
	for (const struct finding_code *code = section->codes; code->code != NULL; code++) {
		warn_code(config, code);
	}
}

static bool any_exists(const char *const *paths)
{
	for (; *paths != NULL; paths++) {
		if (access(*paths, F_OK) == 0) {
			return true;
		}
	}
	return false;
}

static void warn_virus(const struct virus_settings *virus)
{
	if (virus->engine == VIRUS_LIBCLAMAV && !any_exists(virus->databases)) {
		printf("warning: virus.databases: none of them exists: no virus will be found\n");
	}
	if (virus->engine == VIRUS_CLAMD && access(virus->clamd_socket, F_OK) != 0) {
		printf("warning: virus.clamd_socket: %s does not exist: mail will be virus.not_scanned\n", virus->clamd_socket);
	}
	if (virus->engine == VIRUS_CLAMD && virus->ignore[0] != NULL) {
		printf("warning: virus.ignore does not hold with clamd: the daemon will not start\n");
	}
}

static void warn_databases(const struct config *config)
{
	for (size_t i = 0; i < stages_count; i++) {
		if (strcmp(stages[i]->section.name, "virus") == 0) {
			const struct virus_settings *virus = config_settings(config, SECTION_FIRST_STAGE + i);
			if (config_mode(config, SECTION_FIRST_STAGE + i) != MODE_OFF) {
				warn_virus(virus);
			}
		}
	}
}

static void warn_geo_file(const char *option, const char *path, enum geo_kind kind, bool expected)
{
	char *problem = path[0] == '\0' || (!expected && access(path, F_OK) != 0) ? NULL : geo_problem(path, kind);
	if (problem != NULL) {
		printf("warning: geo.%s: %s: %s\n", option, path, problem);
	}
	free(problem);
}

static void warn_geo(const struct config *config)
{
	const struct geo_options *geo = config_settings(config, stages_section(&stage_geo));
	struct geo_settings settings;
	if (config_mode(config, stages_section(&stage_geo)) == MODE_OFF) {
		return;
	}
	stage_geo_settings(geo, &settings);
	warn_geo_file("country_database", settings.paths[GEO_COUNTRY], GEO_COUNTRY, settings.expected[GEO_COUNTRY]);
	warn_geo_file("asn_database", settings.paths[GEO_ASN], GEO_ASN, settings.expected[GEO_ASN]);
	for (size_t i = 0; i < GEO_KINDS; i++) {
		if (stage_geo_needs(geo, (enum geo_kind)i) && access(settings.paths[i], F_OK) != 0) {
			printf("warning: geo has rules on %s, but no database of them: each message is geo.unavailable\n",
			       i == GEO_COUNTRY ? "countries" : "AS numbers");
		}
	}
}

static void warn_exempt(const struct config *config)
{
	for (size_t i = 0; i < stages_count; i++) {
		if (strcmp(stages[i]->section.name, "dmarc") == 0) {
			const struct dmarc_settings *dmarc = config_settings(config, SECTION_FIRST_STAGE + i);
			for (const char *const *domain = dmarc->exempt_domains; *domain != NULL; domain++) {
				printf("warning: dmarc.exempt_domains: anybody can write in the name of %s\n", *domain);
			}
		}
	}
}

static void warn_seal(const struct config *config)
{
	const struct arc_settings *arc = config_settings(config, stages_section(&stage_arc));
	const struct sign_settings *sign = config_settings(config, stages_section(&stage_sign));
	const char *problem = NULL;
	struct arena *arena = arena_create(4096);
	struct keys *keys = keys_load(sign->keys_dir, globals_user(config_settings(config, SECTION_GLOBALS), NULL), NULL);
	if (arc->seal && arc_sealing_key(arena, keys, arc, &problem) == NULL) {
		printf("warning: arc.seal: %s: nothing is sealed (arc.unsealed)\n", problem);
	}
	keys_release(keys);
	arena_destroy(arena);
}

static void warn_quarantine(const struct config *config)
{
	const struct quarantine_settings *settings = config_settings(config, stages_section(&stage_quarantine));
	const struct store_options *store = config_settings(config, SECTION_STORE);
	struct arena *arena = arena_create(4096);
	struct submit_relay relay;
	const char *expected;
	if (!submit_relay_parse(arena, settings->relay, &relay, &expected)) {
		printf("warning: quarantine.relay: \"%s\" takes no released mail; expected %s\n", settings->relay, expected);
	}
	if (settings->method == QUARANTINE_STORE && store->location[0] == '\0') {
		printf("warning: quarantine.method is \"store\", but store.location is empty: the MTA holds what is quarantined\n");
	}
	arena_destroy(arena);
}

static void warn(const struct config *config)
{
	size_t count;
	const struct section *const *sections = stages_sections(&count);
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	const struct content_options *content = config_settings(config, SECTION_CONTENT);
	warn_directory("spool_dir", globals->spool_dir);
	warn_directory("content.tmp_dir", content->tmp_dir);
	for (size_t i = SECTION_FIRST_STAGE; i < count; i++) {
		warn_stage(config, sections[i], i);
	}
	warn_databases(config);
	warn_geo(config);
	warn_exempt(config);
	key_warn(config);
	warn_seal(config);
	check_limits(config);
	warn_quarantine(config);
}

/* What nobody but the operator can change, by the configuration that is checked. */
static void show_enforced(const struct config *config)
{
	size_t count;
	size_t shown = 0;
	const struct section *const *sections = stages_sections(&count);
	for (size_t i = SECTION_FIRST_STAGE; i < count; i++) {
		for (const struct finding_code *code = sections[i]->codes; code->code != NULL; code++) {
			struct config_rule rule = config_rule(config, DIRECTION_INBOUND, code, NULL);
			if (rule.enforced && config_mode(config, i) == MODE_ENFORCE && rule.action.kind > ACTION_TAG) {
				printf("%s%s (%s)", shown++ == 0 ? "no list, score or block lifts: " : ", ", code->code,
				       action_kind_name(rule.action.kind));
			}
		}
	}
	fputs(shown == 0 ? "" : "\n", stdout);
}

static int check(const char *path)
{
	struct config *config = command_load_config(path);
	if (config == NULL) {
		return EXIT_FAILURE;
	}
	warn(config);
	show_enforced(config);
	printf("%s: OK\n", path == NULL ? "built-in defaults" : path);
	config_release(config);
	return EXIT_SUCCESS;
}

static int show(const char *path)
{
	struct config *config = command_load_config(path);
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
	if (argc > 1 && strcmp(argv[1], "diff") == 0) {
		return config_diff(argc - 1, argv + 1);
	}
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
