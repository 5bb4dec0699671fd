/* mailreeve greylist show|remove: who waits, who has passed. */
#include "ctl/command.h"
#include "ctl/limits.h"
#include "lib/store/greylist.h"

#include <jansson.h>

static const char usage[] =
    "usage: mailreeve greylist show [TEXT] [--limit N] [--json]\n"
    "       mailreeve greylist remove KEY\n"
    "show: who waits and who has passed, newest first; with TEXT those whose key has it in it.\n"
    "remove: forget a key, as show prints it, or a network. All take --config FILE.\n";

struct listing {
	struct limits_command *command;
	json_t *array;
	size_t count;
};

static const char *state_name(enum greylist_state state)
{
	switch (state) {
	case GREYLIST_WAITING:
		return "waiting";
	case GREYLIST_PASSED:
		return "passed";
	case GREYLIST_NETWORK:
		return "network";
	}
	return NULL;
}

static bool show_row(void *context, const struct greylist_row *row)
{
	struct listing *listing = context;
	struct limits_command *command = listing->command;
	const char *key = limits_text(command->arena, row->key);
	listing->count++;
	if (command->json) {
		json_array_append_new(listing->array,
		                      json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "key", key, "state", state_name(row->state),
		                                "first", (json_int_t)row->first, "until", (json_int_t)row->until, "tries",
		                                (json_int_t)row->tries, "good", (json_int_t)row->good));
		return true;
	}
	if (listing->count == 1) {
		printf("%-8s %-19s %6s %6s  %-12s %s\n", "state", "first seen (UTC)", "tries", "good", "forgotten in", "key");
	}
	printf("%-8s %-19s %6llu %6llu  %-12s %s\n", state_name(row->state), limits_time(command->arena, row->first),
	       (unsigned long long)row->tries, (unsigned long long)row->good,
	       limits_span(command->arena, row->until - command->now), key);
	return true;
}

static bool greylist_show(struct limits_command *command)
{
	struct listing listing = {.command = command, .array = json_array()};
	bool good = limits_worked(
	    command, greylist_list(command->store, command->word, command->now, command->rows, show_row, &listing));
	if (good && command->json) {
		json_dumpf(listing.array, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (good && listing.count == 0) {
		puts("nobody waits or has passed");
	}
	json_decref(listing.array);
	return good;
}

static bool greylist_forget(struct limits_command *command)
{
	uint64_t count;
	bool good = limits_worked(command, greylist_remove(command->store, command->word, &count));
	if (good && count == 0) {
		fprintf(stderr, "mailreeve greylist: \"%s\" is not there: see mailreeve greylist show\n", command->word);
		return false;
	}
	if (good) {
		printf("%s: forgotten\n", command->word);
	}
	return good;
}

int cmd_greylist(int argc, char **argv)
{
	static const struct limits_subcommand subcommands[] = {
	    {"show", greylist_show, false, false},
	    {"remove", greylist_forget, true, true},
	    {.name = NULL},
	};
	struct limits_command command = {.name = "greylist", .usage = usage};
	return limits_main(&command, subcommands, argc, argv);
}
