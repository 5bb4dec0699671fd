/* mailreeve key new|list|publish|activate|retire: the life of a key that signs. */
#include "ctl/command.h"
#include "ctl/key.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_sign.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, RSA_BITS_DEFAULT = 2048, RSA_BITS_MIN = 1024, RSA_BITS_MAX = 8192, SELECTOR_LETTERS = 26 };

static const char usage[] =
    "usage: mailreeve key new DOMAIN [--selector NAME] [--type rsa|ed25519|both] [--bits N]\n"
    "       mailreeve key list [DOMAIN] [--check] [--json]\n"
    "       mailreeve key publish DOMAIN [SELECTOR]\n"
    "       mailreeve key activate DOMAIN [SELECTOR] [--force]\n"
    "       mailreeve key retire DOMAIN SELECTOR [--force]\n"
    "new: make a key and print its DNS record. list: which keys there are; --check: ask the DNS for each.\n"
    "publish: print the record again and ask the DNS whether it is there. activate: sign with the key from\n"
    "now on, once its record is there, and retire the former one of its type. retire: sign with it no more.\n"
    "All take --config FILE and --keys-dir FOLDER; those that ask the DNS --dns-zone FILE.\n";

enum { OPT_CONFIG = 256, OPT_KEYS_DIR, OPT_ZONE, OPT_SELECTOR, OPT_TYPE, OPT_BITS, OPT_JSON, OPT_CHECK, OPT_FORCE };

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"keys-dir", required_argument, NULL, OPT_KEYS_DIR},
    {"dns-zone", required_argument, NULL, OPT_ZONE},
    {"selector", required_argument, NULL, OPT_SELECTOR},
    {"type", required_argument, NULL, OPT_TYPE},
    {"bits", required_argument, NULL, OPT_BITS},
    {"json", no_argument, NULL, OPT_JSON},
    {"check", no_argument, NULL, OPT_CHECK},
    {"force", no_argument, NULL, OPT_FORCE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool key_type(const char *text, struct key_command *command)
{
	command->rsa = strcmp(text, "rsa") == 0 || strcmp(text, "both") == 0;
	command->ed25519 = strcmp(text, "ed25519") == 0 || strcmp(text, "both") == 0;
	return command->rsa || command->ed25519 || key_refuse("--type: \"%s\" is none of rsa, ed25519, both", text);
}

static bool key_bits(const char *text, struct key_command *command)
{
	unsigned long long bits;
	if (!slice_to_uint(slice_from(text), RSA_BITS_MAX, &bits) || bits < RSA_BITS_MIN) {
		return key_refuse("--bits: \"%s\" is no number from %d to %d", text, RSA_BITS_MIN, RSA_BITS_MAX);
	}
	command->bits = (unsigned)bits;
	return true;
}

static bool key_option(struct key_command *command, int option, const char *value)
{
	switch (option) {
	case OPT_CONFIG:
		command->config_path = value;
		return true;
	case OPT_KEYS_DIR:
		command->folder.path = value;
		return true;
	case OPT_ZONE:
		command->dns_zone = value;
		return true;
	case OPT_SELECTOR:
		command->selector = value;
		return true;
	case OPT_TYPE:
		return key_type(value, command);
	case OPT_BITS:
		return key_bits(value, command);
	case OPT_JSON:
		command->json = true;
		return true;
	case OPT_CHECK:
		command->check = true;
		return true;
	case OPT_FORCE:
		command->force = true;
		return true;
	default:
		fputs(usage, stderr);
		return false;
	}
}

/* ---- what every one of them needs ---- */

static bool command_open(struct key_command *command)
{
	command->config = command_load_config(command->config_path);
	if (command->config == NULL) {
		return false;
	}
	const struct sign_settings *sign = config_settings(command->config, stages_section(&stage_sign));
	if (command->folder.path == NULL) {
		command->folder.path = sign->keys_dir;
	}
	command->folder.arena = command->arena;
	command->folder.user = globals_user(config_settings(command->config, SECTION_GLOBALS), &command->folder.group);
	return true;
}

static void command_close(struct key_command *command)
{
	keys_release(command->keys);
	key_folder_close(&command->folder);
	lookups_destroy(command->lookups);
	dns_close(command->dns);
	config_release(command->config);
	arena_destroy(command->arena);
}

/* Locks the folder and reads it. */
static bool command_read(struct key_command *command, bool make)
{
	if (!key_folder_open(&command->folder, make)) {
		return false;
	}
	command->keys = keys_load(command->folder.path, command->folder.user, NULL);
	return keys_problem(command->keys) == NULL || key_refuse("%s", keys_problem(command->keys));
}

static bool command_ask(struct key_command *command, const struct keystore_key *item,
                        struct key_publication *publication_r)
{
	const struct dns_options *options = config_settings(command->config, SECTION_DNS);
	char *error = NULL;
	if (command->dns == NULL) {
		command->dns = engine_open_dns(command->config, command->dns_zone, &error);
		if (command->dns == NULL) {
			key_refuse("%s", error);
			free(error);
			return false;
		}
		command->lookups = lookups_create(command->dns);
	}
	key_record_check(item, command->lookups, clock_now() + options->deadline, command->arena, publication_r);
	return true;
}

static const struct keystore_key *command_find(const struct key_command *command, const char *selector)
{
	const struct keystore_key *item = keys_find(command->keys, command->domain, selector);
	if (item == NULL) {
		key_refuse("%s has no key with selector %s; see mailreeve key list %s", command->domain, selector,
		           command->domain);
	}
	return item;
}

/* The keys meant: that of the selector given, else those in that state. */
static size_t command_choose(const struct key_command *command, enum key_state state,
                             const struct keystore_key ***chosen_r)
{
	size_t count;
	size_t n = 0;
	const struct keystore_key *items = keys_of(command->keys, command->domain, &count);
	const struct keystore_key **chosen = arena_alloc(command->arena, (count + 1) * sizeof *chosen);
	*chosen_r = chosen;
	if (command->selector != NULL) {
		chosen[0] = command_find(command, command->selector);
		return chosen[0] != NULL ? 1 : 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (items[i].name.state == state) {
			chosen[n++] = &items[i];
		}
	}
	return n;
}

/* ---- new ---- */

static bool selector_taken(const struct key_command *command, const char *selector)
{
	return keys_find(command->keys, command->domain, selector) != NULL;
}

/* r202611 for RSA and e202611 for Ed25519; a second one of the month is r202611b. NULL: none is left. */
static const char *selector_by_date(const struct key_command *command, enum dkim_algorithm algorithm)
{
	char month[16];
	time_t now = time(NULL);
	struct tm date;
	strftime(month, sizeof month, "%Y%m", gmtime_r(&now, &date));
	for (int i = 0; i < SELECTOR_LETTERS; i++) {
		const char letter[2] = {(char)(i == 0 ? '\0' : 'a' + i), '\0'};
		const char *selector =
		    arena_printf(command->arena, "%c%s%s", algorithm == DKIM_RSA_SHA256 ? 'r' : 'e', month, letter);
		if (!selector_taken(command, selector)) {
			return selector;
		}
	}
	return NULL;
}

static const char *selector_for(const struct key_command *command, enum dkim_algorithm algorithm)
{
	if (command->selector == NULL) {
		const char *selector = selector_by_date(command, algorithm);
		if (selector == NULL) {
			key_refuse("all selectors of this month are taken: choose one with --selector");
		}
		return selector;
	}
	const char *kind = !command->rsa || !command->ed25519 ? "" : algorithm == DKIM_RSA_SHA256 ? "-rsa" : "-ed25519";
	const char *text = arena_printf(command->arena, "%s%s", command->selector, kind);
	const char *selector = domain_canonical(command->arena, slice_from(text));
	if (selector == NULL || strstr(text, "_domainkey") != NULL) {
		key_refuse("\"%s\" is no selector; expected letters, digits and dashes", text);
		return NULL;
	}
	if (selector_taken(command, selector)) {
		key_refuse("%s has a key with selector %s already: choose another, verifiers may still need that one",
		           command->domain, selector);
		return NULL;
	}
	return selector;
}

static bool new_key(struct key_command *command, enum dkim_algorithm algorithm)
{
	struct key_name name = {command->domain, selector_for(command, algorithm), KEY_NEW};
	if (name.selector == NULL || !key_folder_make(&command->folder, &name, algorithm, command->bits)) {
		return false;
	}
	keys_release(command->keys);
	command->keys = keys_load(command->folder.path, command->folder.user, NULL);
	const struct keystore_key *item = keys_find(command->keys, name.domain, name.selector);
	if (item == NULL || item->key == NULL) {
		return key_refuse("%s", item == NULL ? "the new key is gone" : item->problem);
	}
	printf("made %s/%s (%s, %u bits)\n", command->folder.path, item->file, dkim_algorithm_name(algorithm),
	       dkim_private_key_bits(item->key));
	if (algorithm == DKIM_RSA_SHA256 && command->bits < RSA_BITS_DEFAULT) {
		printf("warning: %u bits are few; RFC 8301 asks for %d\n", command->bits, RSA_BITS_DEFAULT);
	}
	printf("\nPut this record into the DNS:\n\n");
	key_record_print(item, command->arena, stdout);
	printf("\nand then: mailreeve key activate %s %s\n", name.domain, name.selector);
	return true;
}

static bool key_new(struct key_command *command)
{
	if (!command_read(command, true)) {
		return false;
	}
	if (command->rsa && !new_key(command, DKIM_RSA_SHA256)) {
		return false;
	}
	if (command->rsa && command->ed25519) {
		putchar('\n');
	}
	return !command->ed25519 || new_key(command, DKIM_ED25519_SHA256);
}

/* ---- publish, activate, retire ---- */

static bool publish_one(struct key_command *command, const struct keystore_key *item)
{
	struct key_publication publication;
	if (item->key == NULL) {
		return key_refuse("%s", item->problem);
	}
	key_record_print(item, command->arena, stdout);
	fflush(stdout);
	if (!command_ask(command, item, &publication)) {
		return false;
	}
	printf("\nIn the DNS: %s\n", publication.text);
	return publication.published;
}

static bool key_publish(struct key_command *command)
{
	const struct keystore_key **chosen;
	bool good = command_read(command, false);
	size_t count = good ? command_choose(command, KEY_NEW, &chosen) : 0;
	if (good && count == 0 && command->selector == NULL) {
		count = command_choose(command, KEY_ACTIVE, &chosen);
	}
	if (good && count == 0 && command->selector == NULL) {
		return key_refuse("%s has no key; make one: mailreeve key new %s", command->domain, command->domain);
	}
	good = good && count > 0;
	for (size_t i = 0; i < count; i++) {
		good = publish_one(command, chosen[i]) && good;
	}
	return good;
}

static bool may_activate(struct key_command *command, const struct keystore_key *item)
{
	struct key_publication publication;
	const char *unreadable = key_unreadable(item, command->folder.user, command->folder.group, command->arena);
	if (item->key == NULL || item->problem != NULL || unreadable != NULL) {
		return key_refuse("%s", item->problem != NULL ? item->problem : unreadable);
	}
	if (command->force) {
		return true;
	}
	if (!command_ask(command, item, &publication)) {
		return false;
	}
	return publication.published ||
	       key_refuse("%s is not in the DNS as it must be: %s.\nNothing was changed. See the record: mailreeve key "
	                  "publish %s %s; --force if your DNS shows it to others only.",
	                  key_record_name(&item->name, command->arena), publication.text, item->name.domain,
	                  item->name.selector);
}

static void print_farewell(const struct key_command *command, const struct keystore_key *item)
{
	printf(
	    "retired %s. Leave %s in the DNS for 7 days (mail signed with it may be under way that long), then remove it "
	    "there, or leave it with an empty p=, and delete %s/%s.retired.pem\n",
	    item->name.selector, key_record_name(&item->name, command->arena), command->folder.path,
	    key_record_name(&item->name, command->arena));
}

/* The former keys of the same type, now that another one signs. */
static bool retire_former(struct key_command *command, const struct keystore_key *item)
{
	size_t count;
	const struct keystore_key *items = keys_of(command->keys, command->domain, &count);
	for (size_t i = 0; i < count; i++) {
		if (items[i].name.state != KEY_ACTIVE || items[i].key == NULL || &items[i] == item ||
		    dkim_private_key_algorithm(items[i].key) != dkim_private_key_algorithm(item->key)) {
			continue;
		}
		if (!key_folder_change(&command->folder, &items[i].name, KEY_RETIRED)) {
			return false;
		}
		print_farewell(command, &items[i]);
	}
	return true;
}

static bool key_activate(struct key_command *command)
{
	const struct keystore_key **chosen;
	if (!command_read(command, false)) {
		return false;
	}
	size_t count = command_choose(command, KEY_NEW, &chosen);
	if (count == 0 && command->selector == NULL) {
		return key_refuse("%s has no new key; make one: mailreeve key new %s", command->domain, command->domain);
	}
	bool good = count > 0;
	for (size_t i = 0; i < count; i++) {
		good = (chosen[i]->name.state == KEY_ACTIVE || may_activate(command, chosen[i])) && good;
	}
	for (size_t i = 0; good && i < count; i++) {
		if (chosen[i]->name.state == KEY_ACTIVE) {
			printf("%s is active already\n", chosen[i]->name.selector);
			continue;
		}
		good = key_folder_change(&command->folder, &chosen[i]->name, KEY_ACTIVE);
		if (good) {
			printf("%s signs mail of %s from now on\n", chosen[i]->name.selector, command->domain);
			good = retire_former(command, chosen[i]);
		}
	}
	return good;
}

static bool key_retire(struct key_command *command)
{
	if (!command_read(command, false)) {
		return false;
	}
	const struct keystore_key *item = command_find(command, command->selector);
	if (item == NULL) {
		return false;
	}
	size_t count;
	size_t active = 0;
	const struct keystore_key *items = keys_of(command->keys, command->domain, &count);
	for (size_t i = 0; i < count; i++) {
		active += items[i].name.state == KEY_ACTIVE && &items[i] != item;
	}
	switch (item->name.state) {
	case KEY_RETIRED:
		printf("%s is retired already\n", item->name.selector);
		return true;
	case KEY_ACTIVE:
		if (active == 0 && !command->force) {
			return key_refuse("%s is the last active key of %s: its mail would leave unsigned. Nothing was changed; "
			                  "--force if that is meant.",
			                  item->name.selector, command->domain);
		}
		break;
	case KEY_NEW:
		break;
	}
	if (!key_folder_change(&command->folder, &item->name, KEY_RETIRED)) {
		return false;
	}
	print_farewell(command, item);
	return true;
}

static bool key_list_all(struct key_command *command)
{
	if (access(command->folder.path, F_OK) != 0 && errno == ENOENT) {
		puts(command->json ? "[]" : arena_printf(command->arena, "no keys: %s is not there", command->folder.path));
		return true;
	}
	return command_read(command, false) && key_list(command, command_ask);
}

/* ---- the command line ---- */

static const struct {
	const char *name;
	bool (*run)(struct key_command *command);
	int words_min, words_max; /* DOMAIN, SELECTOR */
} subcommands[] = {
    {"new", key_new, 1, 1},           {"list", key_list_all, 0, 1}, {"publish", key_publish, 1, 2},
    {"activate", key_activate, 1, 2}, {"retire", key_retire, 2, 2},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static bool key_words(struct key_command *command, char **words, int count)
{
	if (count > 0) {
		command->domain = domain_canonical(command->arena, slice_from(words[0]));
		if (command->domain == NULL) {
			return key_refuse("\"%s\" is no domain name", words[0]);
		}
	}
	if (count > 1) {
		command->selector = slice_dup_lower(command->arena, slice_from(words[1]));
	}
	return true;
}

static int key_run(struct key_command *command, size_t which, int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (!key_option(command, option, optarg)) {
			return EXIT_USAGE;
		}
	}
	int count = argc - optind;
	if (count < subcommands[which].words_min || count > subcommands[which].words_max) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (!key_words(command, argv + optind, count)) {
		return EXIT_USAGE;
	}
	bool good = command_open(command) && subcommands[which].run(command);
	return fflush(stdout) == 0 && good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_key(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; argc >= 2 && i < SUBCOMMANDS; i++) {
		if (strcmp(argv[1], subcommands[i].name) == 0) {
			struct key_command command = {
			    .arena = arena_create(16384), .folder = {.fd = -1}, .rsa = true, .bits = RSA_BITS_DEFAULT};
			int status = key_run(&command, i, argc - 1, argv + 1);
			command_close(&command);
			return status;
		}
	}
	fputs(usage, stderr);
	return EXIT_USAGE;
}
