/* mailreeve quarantine list|show|release|release-and-allow|delete|expire|stats */
#include "ctl/command.h"
#include "ctl/quarantine.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/address.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, LIMIT_MAX = 1000000, FIND_MAX = 100000, PATIENCE = 60 };

static const char usage[] =
    "usage: mailreeve quarantine list [--rcpt ADDRESS|@DOMAIN] [--from ADDRESS] [--state STATE|all]\n"
    "                                 [--since TIME] [--before TIME] [--limit N] [--json]\n"
    "       mailreeve quarantine show ID [--raw] [--json]\n"
    "       mailreeve quarantine release ID... [--rcpt ADDRESS] [--force]\n"
    "       mailreeve quarantine release-and-allow ID... [--rcpt ADDRESS]\n"
    "       mailreeve quarantine delete ID... [--rcpt ADDRESS] [--spam]\n"
    "       mailreeve quarantine expire\n"
    "       mailreeve quarantine stats [--json]\n"
    "       mailreeve quarantine list|release|delete --mta [QUEUEID...]\n"
    "ID: that of a message or, with /N, of the copy of one recipient; a support id or queue id does too.\n"
    "STATE: held (unless said otherwise), releasing, released, deleted, expired. TIME: 2026-11-24, 2026-11-24T12:00,\n"
    "seconds since 1970, or 36h and 7d for so long ago. --force: release in spite of enforced findings, such as "
    "viruses.\n"
    "--spam: Bayes learns it as spam; what is released it learns as good mail (learn.release).\n"
    "All take --config FILE. --mta: of what the MTA of this host holds (quarantine.method = hold).\n";

enum {
	OPT_CONFIG = 256,
	OPT_RCPT,
	OPT_FROM,
	OPT_STATE,
	OPT_SINCE,
	OPT_BEFORE,
	OPT_LIMIT,
	OPT_JSON,
	OPT_RAW,
	OPT_FORCE,
	OPT_MTA,
	OPT_SPAM
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"rcpt", required_argument, NULL, OPT_RCPT},
    {"from", required_argument, NULL, OPT_FROM},
    {"state", required_argument, NULL, OPT_STATE},
    {"since", required_argument, NULL, OPT_SINCE},
    {"before", required_argument, NULL, OPT_BEFORE},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"json", no_argument, NULL, OPT_JSON},
    {"raw", no_argument, NULL, OPT_RAW},
    {"force", no_argument, NULL, OPT_FORCE},
    {"mta", no_argument, NULL, OPT_MTA},
    {"spam", no_argument, NULL, OPT_SPAM},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct {
	const char *name;
	bool (*run)(struct quarantine_command *command);
	bool writes;
	int least; /* words */
} subcommands[] = {
    {"list", quarantine_do_list, false, 0},      {"show", quarantine_do_show, false, 1},
    {"release", quarantine_do_release, true, 1}, {"release-and-allow", quarantine_do_release_and_allow, true, 1},
    {"delete", quarantine_do_delete, true, 1},   {"expire", quarantine_do_expire, true, 0},
    {"stats", quarantine_do_stats, false, 0},
};

bool quarantine_refuse(const char *format, ...)
{
	va_list args;
	fflush(stdout);
	fputs("mailreeve quarantine: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return false;
}

const char *quarantine_result_text(enum quarantine_result result)
{
	switch (result) {
	case QUARANTINE_OK:
		return "done";
	case QUARANTINE_DOWN:
		return "the store is not available";
	case QUARANTINE_FULL:
		return "the quarantine is full";
	case QUARANTINE_TOO_LARGE:
		return "the message is too large";
	case QUARANTINE_NONE:
		return "it is not held: somebody else was first, or it is gone";
	}
	return NULL;
}

const char *quarantine_safe(struct quarantine_command *command, struct slice text, size_t max)
{
	return text_escape(command->arena, text, "", true, max);
}

/* ---- options ---- */

static bool parse_ago(struct slice text, uint64_t now, uint64_t *time_r)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
	unsigned long long count;
	for (size_t i = 0; text.len > 1 && i < sizeof units / sizeof *units; i++) {
		if (text.data[text.len - 1] == units[i].unit &&
		    slice_to_uint((struct slice){text.data, text.len - 1}, 100000, &count)) {
			*time_r = count * units[i].seconds < now ? now - count * units[i].seconds : 1;
			return true;
		}
	}
	return false;
}

static bool parse_time(const char *text, uint64_t now, uint64_t *time_r)
{
	static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"};
	unsigned long long seconds;
	if (slice_to_uint(slice_from(text), UINT32_MAX, &seconds)) {
		*time_r = seconds;
		return true;
	}
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, formats[i], &tm);
		if (end != NULL && *end == '\0') {
			time_t value = mktime(&tm);
			*time_r = value > 0 ? (uint64_t)value : 1;
			return value != -1;
		}
	}
	return parse_ago(slice_from(text), now, time_r);
}

static bool take_time(const char *option, const char *value, struct quarantine_command *command, uint64_t *time_r)
{
	return parse_time(value, command->now, time_r) ||
	       quarantine_refuse("%s: \"%s\" is no time; expected 2026-11-24, 2026-11-24T12:00, 7d, or seconds since 1970",
	                         option, value);
}

/* As the store spells owners. */
static const char *owner_of(struct arena *arena, const char *text)
{
	struct address address;
	if (text[0] == '@') {
		return slice_dup_lower(arena, slice_from(text));
	}
	address_parse_path(arena, text, &address);
	const char *local = slice_dup_lower(arena, slice_from(address.local));
	return address.domain[0] == '\0' ? slice_dup_lower(arena, slice_from(address.text))
	                                 : arena_printf(arena, "%s@%s", local, address.domain);
}

static bool take_state(const char *value, struct quarantine_command *command)
{
	enum quarantine_state state;
	bool all = strcmp(value, "all") == 0;
	command->filter.state = all ? NULL : value;
	return all || quarantine_state_parse(value, &state) ||
	       quarantine_refuse("--state: \"%s\" is none of held, releasing, released, deleted, expired, all", value);
}

static bool take_option(struct quarantine_command *command, int option, const char *value)
{
	unsigned long long limit;
	switch (option) {
	case OPT_CONFIG:
		command->config_path = value;
		return true;
	case OPT_RCPT:
		command->filter.owner = owner_of(command->arena, value);
		return true;
	case OPT_FROM:
		command->filter.sender = value;
		return true;
	case OPT_STATE:
		return take_state(value, command);
	case OPT_SINCE:
		return take_time("--since", value, command, &command->filter.since);
	case OPT_BEFORE:
		return take_time("--before", value, command, &command->filter.before);
	case OPT_LIMIT:
		if (!slice_to_uint(slice_from(value), LIMIT_MAX, &limit) || limit == 0) {
			return quarantine_refuse("--limit: \"%s\" is no number from 1 to %d", value, LIMIT_MAX);
		}
		command->filter.limit = limit;
		return true;
	case OPT_JSON:
		return command->json = true;
	case OPT_RAW:
		return command->raw = true;
	case OPT_FORCE:
		return command->force = true;
	case OPT_MTA:
		return command->mta = true;
	case OPT_SPAM:
		return command->spam = true;
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
	name = user != NULL ? user->pw_name : name == NULL ? "unknown" : name;
	return text_escape(arena, slice_from(name), " ", false, 64);
}

static bool open_store(struct quarantine_command *command, bool writes)
{
	struct store_options options = *(const struct store_options *)config_settings(command->config, SECTION_STORE);
	char *error = NULL;
	options.timeout = PATIENCE * CLOCK_NS_PER_S; /* nobody waits for us with a message */
	if (options.location[0] == '\0') {
		return quarantine_refuse("there is no store: store.location is empty");
	}
	if (!command_become_daemon(command->config)) {
		return false;
	}
	if (!store_exists(&options)) {
		return quarantine_refuse("there is no store yet: the daemon makes it at its start");
	}
	command->store = store_open(&options, writes ? 0 : STORE_READ_ONLY, &error);
	if (command->store == NULL) {
		quarantine_refuse("%s", error);
		free(error);
	}
	return command->store != NULL;
}

static bool command_open(struct quarantine_command *command, bool writes)
{
	char host[256] = "localhost";
	command->config = command_load_config(command->config_path);
	if (command->config == NULL) {
		return false;
	}
	gethostname(host, sizeof host - 1);
	command->helo = arena_strdup(command->arena, host);
	command->settings = config_settings(command->config, stages_section(&stage_quarantine));
	return open_store(command, writes);
}

/* ---- finding copies ---- */

static struct slice keep_slice(struct arena *arena, struct slice text)
{
	return (struct slice){arena_memdup(arena, text.len == 0 ? "" : text.data, text.len), text.len};
}

static bool keep_found(void *context, const struct quarantine_message *message, const struct quarantine_copy *copy)
{
	struct quarantine_found_list *list = context;
	struct arena *arena = list->arena;
	list->items = arena_grow(arena, list->items, sizeof *list->items, list->count, &list->capacity);
	struct quarantine_found *found = &list->items[list->count++];
	*found = (struct quarantine_found){*message, *copy};
	const char **texts[] = {&found->message.id,
	                        &found->message.queue_id,
	                        &found->message.support_id,
	                        &found->message.client,
	                        &found->message.client_name,
	                        &found->message.helo,
	                        &found->message.auth_user,
	                        &found->message.author,
	                        &found->message.subject,
	                        &found->message.findings,
	                        &found->message.authres,
	                        &found->copy.owner,
	                        &found->copy.verdict,
	                        &found->copy.reason,
	                        &found->copy.text,
	                        &found->copy.changed_by,
	                        &found->copy.note};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		*texts[i] = arena_strdup(arena, *texts[i]);
	}
	found->message.mail_from = keep_slice(arena, message->mail_from);
	found->copy.recipient = keep_slice(arena, copy->recipient);
	return true;
}

bool quarantine_find(struct quarantine_command *command, const struct quarantine_filter *filter,
                     struct quarantine_found_list *found_r)
{
	*found_r = (struct quarantine_found_list){.arena = command->arena};
	enum quarantine_result result = quarantine_list(command->store, filter, keep_found, found_r);
	return result == QUARANTINE_OK || quarantine_refuse("%s", quarantine_result_text(result));
}

bool quarantine_find_word(struct quarantine_command *command, const char *word, struct quarantine_found_list *found_r)
{
	struct slice id = slice_from(word);
	unsigned long long copy = 0;
	struct quarantine_filter filter = {.owner = command->filter.owner, .limit = FIND_MAX};
	size_t slash = slice_find(id, '/', 0);
	if (slash < id.len && (!slice_to_uint(slice_from(word + slash + 1), RELEASE_COPY_MAX, &copy) || copy == 0)) {
		return quarantine_refuse("\"%s\": expected ID or ID/N", quarantine_safe(command, id, 60));
	}
	filter.id = slice_dup(command->arena, (struct slice){word, slash});
	filter.copy = (unsigned)copy;
	if (filter.id[0] == '\0' || !quarantine_find(command, &filter, found_r)) {
		return filter.id[0] != '\0' ? false : quarantine_refuse("an empty ID");
	}
	return found_r->count > 0 ||
	       quarantine_refuse("there is no \"%s\" in the quarantine%s", quarantine_safe(command, id, 60),
	                         filter.owner == NULL ? "" : " for that recipient");
}

/* ---- the command ---- */

static int run_mta(struct quarantine_command *command, const char *name)
{
	bool list = strcmp(name, "list") == 0;
	bool release = strcmp(name, "release") == 0;
	if ((!list && !release && strcmp(name, "delete") != 0) || (!list && command->word_count == 0)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	bool good = list ? quarantine_mta_list(command) : quarantine_mta_change(command, release);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(struct quarantine_command *command, const char *name)
{
	for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
		if (strcmp(name, subcommands[i].name) != 0) {
			continue;
		}
		if (command->word_count < subcommands[i].least) {
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
		bool good = command_open(command, subcommands[i].writes) && subcommands[i].run(command);
		keeper_close(command->keeper);
		store_close(command->store);
		config_release(command->config);
		return good ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	quarantine_refuse("unknown subcommand \"%s\"", name);
	fputs(usage, stderr);
	return EXIT_USAGE;
}

int cmd_quarantine(int argc, char **argv)
{
	struct quarantine_command command = {.filter = {.state = "held"}, .now = (uint64_t)time(NULL)};
	int option;
	int status = EXIT_SUCCESS;
	command.arena = arena_create(16384);
	command.by = who_calls(command.arena);
	while (status == EXIT_SUCCESS && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			arena_destroy(command.arena);
			return EXIT_SUCCESS;
		}
		status = take_option(&command, option, optarg) ? EXIT_SUCCESS : EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS && optind >= argc) {
		fputs(usage, stderr);
		status = EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS) {
		command.words = argv + optind + 1;
		command.word_count = argc - optind - 1;
		log_set_level(LOG_LEVEL_ERROR);
		signal(SIGPIPE, SIG_IGN);
		status = command.mta ? run_mta(&command, argv[optind]) : run(&command, argv[optind]);
	}
	arena_destroy(command.arena);
	return status;
}
