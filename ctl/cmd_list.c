/* mailreeve list add|remove|show|import|export: the allow and block lists in the store. */
#include "ctl/command.h"
#include "ctl/list.h"
#include "lib/base/log.h"
#include "lib/pipeline/stages.h"

#include <getopt.h>
#include <pwd.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: mailreeve list add allow|block ENTRY... [--owner OWNER] [--expires TIME] [--note TEXT] [--enforced]\n"
    "                          [--force-unauthenticated]\n"
    "       mailreeve list remove ENTRY... [--owner OWNER] [--enforced]\n"
    "       mailreeve list show [ENTRY...] [--owner OWNER] [--search TEXT] [--expired] [--json]\n"
    "       mailreeve list show --check SENDER [--rcpt ADDRESS] [--client IP] [--ptr NAME] [--helo NAME]\n"
    "                          [--country CC] [--asn NUMBER] [--json]\n"
    "       mailreeve list import [allow|block] FILE [--owner OWNER] [--expires TIME] [--note TEXT] [--enforced]\n"
    "       mailreeve list export [--owner OWNER] [--json]\n"
    "ENTRY: an address, a domain, .domain (all below it), a network, ptr:NAME, helo:NAME, asn:NUMBER, country:CC or\n"
    "FIELD:/REGEX/i. OWNER: a recipient's address or domain; without it the entry is everybody's.\n"
    "All take --config FILE. A running daemon takes changes over within a second.\n";

enum {
	OPT_CONFIG = 256,
	OPT_OWNER,
	OPT_EXPIRES,
	OPT_NOTE,
	OPT_ENFORCED,
	OPT_FORCED,
	OPT_SEARCH,
	OPT_EXPIRED,
	OPT_JSON,
	OPT_CHECK,
	OPT_RCPT,
	OPT_CLIENT,
	OPT_PTR,
	OPT_HELO,
	OPT_COUNTRY,
	OPT_ASN
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"owner", required_argument, NULL, OPT_OWNER},
    {"user", required_argument, NULL, OPT_OWNER},
    {"domain", required_argument, NULL, OPT_OWNER},
    {"expires", required_argument, NULL, OPT_EXPIRES},
    {"note", required_argument, NULL, OPT_NOTE},
    {"enforced", no_argument, NULL, OPT_ENFORCED},
    {"force-unauthenticated", no_argument, NULL, OPT_FORCED},
    {"search", required_argument, NULL, OPT_SEARCH},
    {"expired", no_argument, NULL, OPT_EXPIRED},
    {"json", no_argument, NULL, OPT_JSON},
    {"check", required_argument, NULL, OPT_CHECK},
    {"rcpt", required_argument, NULL, OPT_RCPT},
    {"client", required_argument, NULL, OPT_CLIENT},
    {"ptr", required_argument, NULL, OPT_PTR},
    {"helo", required_argument, NULL, OPT_HELO},
    {"country", required_argument, NULL, OPT_COUNTRY},
    {"asn", required_argument, NULL, OPT_ASN},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

bool list_refuse(const char *format, ...)
{
	va_list args;
	fputs("mailreeve list: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return false;
}

/* Options with a value, and where it goes. */
static const char **list_place(struct list_command *command, int option)
{
	switch (option) {
	case OPT_CONFIG:
		return &command->config_path;
	case OPT_OWNER:
		return &command->owner;
	case OPT_EXPIRES:
		return &command->expires;
	case OPT_NOTE:
		return &command->note;
	case OPT_SEARCH:
		return &command->search;
	case OPT_CHECK:
		return &command->check;
	case OPT_RCPT:
		return &command->rcpt;
	case OPT_CLIENT:
		return &command->client;
	case OPT_PTR:
		return &command->ptr;
	case OPT_HELO:
		return &command->helo;
	case OPT_COUNTRY:
		return &command->country;
	case OPT_ASN:
		return &command->asn;
	default:
		return NULL;
	}
}

static bool list_option(struct list_command *command, int option, const char *value)
{
	const char **place = list_place(command, option);
	if (place != NULL) {
		*place = value;
		return true;
	}
	switch (option) {
	case OPT_ENFORCED:
		command->enforced = true;
		return true;
	case OPT_FORCED:
		command->forced = true;
		return true;
	case OPT_EXPIRED:
		command->expired = true;
		return true;
	case OPT_JSON:
		command->json = true;
		return true;
	default:
		fputs(usage, stderr);
		return false;
	}
}

/* ---- what every one of them needs ---- */

/* Whoever became root by sudo is named by his own name. */
static const char *who_calls(struct arena *arena)
{
	const char *name = getuid() == 0 ? getenv("SUDO_USER") : NULL;
	const struct passwd *user = name == NULL ? getpwuid(getuid()) : NULL;
	name = user != NULL ? user->pw_name : name == NULL ? "" : name;
	char *copy = arena_memdup(arena, name, strnlen(name, LIST_BY_MAX));
	for (char *c = copy; *c != '\0'; c++) {
		if (*c <= ' ' || *c == '#' || *c >= 0x7f) {
			*c = '_';
		}
	}
	return copy;
}

bool list_open_store(struct list_command *command, bool write)
{
	struct store_options options = *(const struct store_options *)config_settings(command->config, SECTION_STORE);
	char *error = NULL;
	if (options.location[0] == '\0') {
		return !write ||
		       list_refuse(
		           "there is no store: store.location is empty. Entries of the configuration stand in lists { }");
	}
	if (!command_become_daemon(command->config)) {
		return false;
	}
	if (!write && !store_exists(&options)) {
		return true;
	}
	/* A long list takes its time; nobody waits for us with a message. */
	options.timeout = 600 * UINT64_C(1000000000);
	command->store = store_open(&options, write ? STORE_MIGRATE : STORE_READ_ONLY, &error);
	if (command->store == NULL) {
		list_refuse("%s", error);
		free(error);
	}
	return command->store != NULL;
}

bool list_defaults(struct list_command *command, struct list_entry *defaults_r)
{
	const char *problem;
	*defaults_r = (struct list_entry){.owner = "",
	                                  .value = "",
	                                  .by = command->by,
	                                  .note = "",
	                                  .added = command->now,
	                                  .enforced = command->enforced,
	                                  .forced = command->forced};
	if (command->owner != NULL && !list_owner_parse(command->arena, slice_from(command->owner), defaults_r, &problem)) {
		return list_refuse("--owner: %s", problem);
	}
	if (command->expires != NULL && !list_expiry_parse(command->arena, slice_from(command->expires), command->now,
	                                                   &defaults_r->expires, &problem)) {
		return list_refuse("--expires: %s", problem);
	}
	if (command->note != NULL) {
		defaults_r->note = slice_dup(command->arena, slice_trim(slice_from(command->note)));
		if (!list_note_valid(slice_from(defaults_r->note))) {
			return list_refuse("--note: expected at most %d bytes of UTF-8 without control characters", LIST_NOTE_MAX);
		}
	}
	return true;
}

void list_entries_add(void *context, const struct list_entry *entry)
{
	struct list_entries *entries = context;
	entries->items =
	    arena_grow(entries->arena, entries->items, sizeof *entries->items, entries->count, &entries->capacity);
	struct list_entry *copy = &entries->items[entries->count++];
	*copy = *entry;
	copy->owner = arena_strdup(entries->arena, entry->owner);
	copy->value = arena_strdup(entries->arena, entry->value);
	copy->by = arena_strdup(entries->arena, entry->by);
	copy->note = arena_strdup(entries->arena, entry->note);
}

int list_compare(const void *a, const void *b)
{
	const struct list_entry *x = a;
	const struct list_entry *y = b;
	int order = strcmp(x->owner, y->owner);
	return order != 0 ? order : strcmp(x->value, y->value);
}

/* ---- the command line ---- */

static const struct {
	const char *name;
	bool (*run)(struct list_command *command);
	int words_min, words_max;
} subcommands[] = {
    {"add", list_add, 2, 1000},    {"remove", list_remove, 1, 1000}, {"show", list_show, 0, 1000},
    {"import", list_import, 1, 2}, {"export", list_export, 0, 0},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int list_run(struct list_command *command, size_t which, int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (!list_option(command, option, optarg)) {
			return EXIT_USAGE;
		}
	}
	command->words = argv + optind;
	command->word_count = argc - optind;
	if (command->word_count < subcommands[which].words_min || command->word_count > subcommands[which].words_max) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	command->config = command_load_config(command->config_path);
	bool good = command->config != NULL && subcommands[which].run(command);
	return fflush(stdout) == 0 && good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_list(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; argc >= 2 && i < SUBCOMMANDS; i++) {
		if (strcmp(argv[1], subcommands[i].name) == 0) {
			struct list_command command = {.arena = arena_create(65536), .now = (uint64_t)time(NULL)};
			command.by = who_calls(command.arena);
			int status = list_run(&command, i, argc - 1, argv + 1);
			store_close(command.store);
			config_release(command.config);
			arena_destroy(command.arena);
			return status;
		}
	}
	fputs(usage, stderr);
	return EXIT_USAGE;
}
