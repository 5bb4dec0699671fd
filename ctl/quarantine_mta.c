/* mailreeve quarantine --mta: what the MTA of this host holds, by the MTA's own programs: postqueue and postsuper where
 * they are, else sendmail. They know whom they obey. */
#include "ctl/quarantine.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <jansson.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ID_MAX = 40, ADDRESS_MAX = 320 };

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	struct slice rest = slice_from(path == NULL ? "/usr/sbin:/usr/bin" : path);
	struct slice folder;
	char name[4096];
	while (slice_split(&rest, ':', &folder)) {
		if (snprintf(name, sizeof name, "%.*s/%s", SLICE_ARGS(folder), program) < (int)sizeof name &&
		    access(name, X_OK) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_postfix(void)
{
	return in_path("postqueue");
}

/* Runs a program to its end; out >= 0: its output goes there. */
static bool run_program(char *const *arguments, int out)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status = -1;
	fflush(stdout);
	posix_spawn_file_actions_init(&actions);
	if (out >= 0) {
		posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	}
	int error = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0) {
		return quarantine_refuse("%s: %s", arguments[0], strerror(error));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return status == 0 || quarantine_refuse("%s has failed", arguments[0]);
}

static const char *member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

static void print_held(struct quarantine_command *command, const json_t *entry, const char *line)
{
	char time_text[32] = "";
	struct tm tm;
	time_t arrival = (time_t)json_integer_value(json_object_get(entry, "arrival_time"));
	if (command->json) {
		fputs(line, stdout);
		return;
	}
	if (localtime_r(&arrival, &tm) != NULL) {
		strftime(time_text, sizeof time_text, "%Y-%m-%d %H:%M:%S", &tm);
	}
	printf("%-19s %s %8lld  held by Postfix\n", quarantine_safe(command, slice_from(member(entry, "queue_id")), ID_MAX),
	       time_text, (long long)json_integer_value(json_object_get(entry, "message_size")));
	printf("    from <%s> to", quarantine_safe(command, slice_from(member(entry, "sender")), ADDRESS_MAX));
	const json_t *recipients = json_object_get(entry, "recipients");
	for (size_t i = 0; i < json_array_size(recipients); i++) {
		const char *address = member(json_array_get(recipients, i), "address");
		printf(" <%s>", quarantine_safe(command, slice_from(address), ADDRESS_MAX));
	}
	putchar('\n');
}

/* A message a line, as JSON (postqueue(1)). */
static void print_queue(struct quarantine_command *command, FILE *queue)
{
	char *line = NULL;
	size_t capacity = 0;
	while (getline(&line, &capacity, queue) > 0) {
		json_t *entry = json_loads(line, 0, NULL);
		if (strcmp(member(entry, "queue_name"), "hold") == 0) {
			print_held(command, entry, line);
		}
		json_decref(entry);
	}
	free(line);
}

static bool list_postfix(struct quarantine_command *command)
{
	char program[] = "postqueue";
	char format[] = "-j";
	char *arguments[] = {program, format, NULL};
	FILE *queue = tmpfile();
	bool good = queue != NULL && run_program(arguments, fileno(queue));
	if (good) {
		rewind(queue);
		print_queue(command, queue);
	}
	if (queue != NULL) {
		fclose(queue);
	}
	return good;
}

bool quarantine_mta_list(struct quarantine_command *command)
{
	char program[] = "sendmail";
	char mode[] = "-bp";
	char which[] = "-qQ";
	char *arguments[] = {program, mode, which, NULL};
	return is_postfix() ? list_postfix(command) : run_program(arguments, -1);
}

/* Only what can be a queue id: no option, no ALL. */
static bool is_queue_id(const char *word)
{
	size_t n = strlen(word);
	for (size_t i = 0; i < n; i++) {
		if (!ascii_is_alpha(word[i]) && !ascii_is_digit(word[i])) {
			return false;
		}
	}
	return n >= 6 && n <= ID_MAX;
}

static bool change_one(struct quarantine_command *command, const char *word, bool release)
{
	char postsuper[] = "postsuper";
	char hold[] = "-H";
	char drop[] = "-d";
	char queue[] = "hold";
	char sendmail[] = "sendmail";
	char unquarantine[] = "-Q";
	char which[] = "-qQ";
	char *id = arena_strdup(command->arena, word);
	if (!is_queue_id(word)) {
		return quarantine_refuse("\"%s\" is no queue id", quarantine_safe(command, slice_from(word), ID_MAX));
	}
	if (is_postfix()) {
		char *released[] = {postsuper, hold, id, queue, NULL};
		char *deleted[] = {postsuper, drop, id, queue, NULL};
		return run_program(release ? released : deleted, -1);
	}
	char *arguments[] = {sendmail, unquarantine, which, arena_printf(command->arena, "-qI%s", word), NULL};
	return release
	           ? run_program(arguments, -1)
	           : quarantine_refuse("sendmail deletes nothing from its queue: remove df%s and hf%s there", word, word);
}

bool quarantine_mta_change(struct quarantine_command *command, bool release)
{
	bool good = true;
	for (int i = 0; i < command->word_count; i++) {
		good = change_one(command, command->words[i], release) && good;
	}
	return good;
}
