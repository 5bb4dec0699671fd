/* mailreeve learn spam|ham|forget|import: teaches Bayes. */
#include "ctl/command.h"
#include "ctl/learn.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/stage_learn.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/store/store.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, FAILURES_SHOWN = 20 };

static const char usage[] =
    "usage: mailreeve learn spam|ham|forget [--config FILE] [--user ADDRESS] [--attached] [--quiet] "
    "[FILE|FOLDER|-]...\n"
    "       mailreeve learn spam|ham|forget --socket PATH ... as a member of control_group\n"
    "       mailreeve learn import bogofilter [--config FILE] [--user ADDRESS] FILE|-\n"
    "Teaches Bayes that messages are spam or ham (good mail), or has it forget them, exactly as if they had never "
    "been\n"
    "learnt. A FILE is one message or a mailbox (mbox); of a FOLDER that is a maildir what is in cur and new, of "
    "another\n"
    "all files in it, however deep; - is standard input, as is no FILE at all. A message that is known is learnt once, "
    "and\n"
    "moves to the other class where it was there.\n"
    "import takes over what `bogoutil -d wordlist.db` says, once.\n"
    "  --user ADDRESS  for that recipient alone (or @domain), not for everybody\n"
    "  --attached      what is attached to the messages (forwarded as attachment), not they themselves\n"
    "  --socket PATH   by the running daemon's control socket; so it is done too where the store is not one's own\n"
    "  --quiet         no summary where all is well\n";

bool learn_refuse(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("mailreeve learn: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return false;
}

void learn_failed(struct learn_command *command, const char *name, const char *why)
{
	if (command->failed++ < FAILURES_SHOWN) {
		learn_refuse("%s: %s", name, why);
	}
}

void learn_progress(struct learn_command *command, bool last)
{
	static uint64_t start, shown;
	uint64_t now = clock_now();
	start = start == 0 ? now : start;
	if (command->quiet || !isatty(STDERR_FILENO) || (!last && now - shown < CLOCK_NS_PER_S / 5)) {
		return;
	}
	shown = now;
	double seconds = (double)(now - start) / (double)CLOCK_NS_PER_S;
	fprintf(stderr, "\r%llu messages, %.0f a second ", (unsigned long long)command->messages,
	        seconds > 0 ? (double)command->messages / seconds : 0.0);
	if (last) {
		fputs("\r                                        \r", stderr);
	}
}

static bool parse_class(struct learn_command *command, const char *word)
{
	command->class_name = word;
	command->forget = strcmp(word, "forget") == 0;
	command->class = strcmp(word, "ham") == 0 ? BAYES_HAM : BAYES_SPAM;
	return command->forget || strcmp(word, "spam") == 0 || strcmp(word, "ham") == 0;
}

/* Is the store another's? Only then, and where nothing says otherwise, the daemon is asked. */
static bool needs_socket(const struct learn_command *command)
{
	static const char sqlite[] = "sqlite:";
	const struct store_options *store = config_settings(command->config, SECTION_STORE);
	if (geteuid() == 0 || strncmp(store->location, sqlite, sizeof sqlite - 1) != 0) {
		return false;
	}
	return access(store->location + sizeof sqlite - 1, W_OK) != 0;
}

static bool learn_configure(struct learn_command *command)
{
	const char *config_path = command->config_path;
	command->message_max = LEARN_BODY_MAX;
	if (command->socket != NULL && config_path == NULL) {
		return true; /* whoever runs this may not read it */
	}
	command->config = command_load_config(config_path);
	if (command->config == NULL) {
		return false;
	}
	const struct learn_settings *learn = config_settings(command->config, stages_section(&stage_learn));
	command->message_max = learn->message_max;
	if (command->user != NULL && learner_owner(command->config, command->user, command->arena) == NULL) {
		return learn_refuse("--user: \"%s\" is neither an address nor @domain", command->user);
	}
	if (command->socket == NULL && needs_socket(command)) {
		command->socket = globals_control_socket(config_settings(command->config, SECTION_GLOBALS), command->arena);
	}
	return true;
}

static bool learn_messages(struct learn_command *command)
{
	struct learn_reader *reader = learn_reader_start(command);
	if (reader == NULL) {
		return false;
	}
	bool good = command->socket != NULL ? learn_by_socket(command, reader) : learn_by_store(command, reader);
	bool read = learn_reader_close(reader);
	if (good && !read) {
		good = learn_refuse("not all was read: its reader ended too early");
	}
	learn_progress(command, true);
	if (command->failed > FAILURES_SHOWN) {
		learn_refuse("and %llu others", (unsigned long long)(command->failed - FAILURES_SHOWN));
	}
	if (!command->quiet || command->failed > 0) {
		printf("%s", learner_counts_text(&command->counts, command->arena));
		printf(command->failed > 0 ? ", %llu failed\n" : "\n", (unsigned long long)command->failed);
	}
	return good && command->failed == 0;
}

static bool parse_options(struct learn_command *command, int argc, char **argv, int *status_r)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"user", required_argument, NULL, 'u'},
	    {"socket", required_argument, NULL, 's'},
	    {"attached", no_argument, NULL, 'a'},
	    {"quiet", no_argument, NULL, 'q'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int option;
	*status_r = EXIT_USAGE;
	while ((option = getopt_long(argc, argv, "c:u:s:aqh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			command->config_path = optarg;
			break;
		case 'u':
			command->user = optarg;
			break;
		case 's':
			command->socket = optarg;
			break;
		case 'a':
			command->attached = true;
			break;
		case 'q':
			command->quiet = true;
			break;
		default:
			*status_r = option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
			fputs(usage, option == 'h' ? stdout : stderr);
			return false;
		}
	}
	return true;
}

int cmd_learn(int argc, char **argv)
{
	static char input[] = "-";
	char *standard[] = {input, NULL};
	struct learn_command command = {.arena = arena_create(4096)};
	int status;
	if (!parse_options(&command, argc, argv, &status)) {
		arena_destroy(command.arena);
		return status;
	}
	bool import = optind < argc && strcmp(argv[optind], "import") == 0;
	if (optind == argc || (import ? optind + 3 != argc : !parse_class(&command, argv[optind]))) {
		fputs(usage, stderr);
		arena_destroy(command.arena);
		return EXIT_USAGE;
	}
	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	command.words = optind + 1 < argc ? argv + optind + 1 : standard;
	bool good = learn_configure(&command);
	if (good) {
		good = import ? learn_import(&command, argv[optind + 1], argv[optind + 2]) : learn_messages(&command);
	}
	if (command.config != NULL) {
		config_release(command.config);
	}
	arena_destroy(command.arena);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
