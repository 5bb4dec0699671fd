/* mailreeve bayes status|show|expire: what was learnt. */
#include "ctl/command.h"
#include "ctl/limits.h"
#include "lib/base/clock.h"
#include "lib/pipeline/stage_bayes.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/store/bayes.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

static const char usage[] =
    "usage: mailreeve bayes status [OWNER] [--json]\n"
    "       mailreeve bayes show TOKEN [--json]\n"
    "       mailreeve bayes expire\n"
    "status: what was learnt, of everybody and of each recipient. show: of one token, sixteen hexadecimal digits.\n"
    "expire: forget now what the daemon forgets once a day. All take --config FILE.\n";

enum { BYTES_OF_TOKEN = 60 /* with its index, in either database */ };

struct listing {
	struct limits_command *command;
	json_t *array;
	uint64_t owners;
};

static void status_row(void *context, const struct bayes_owner *owner)
{
	struct listing *listing = context;
	struct arena *arena = listing->command->arena;
	const char *name = owner->name.len == 0 ? "(all)" : limits_text(arena, owner->name);
	listing->owners++;
	if (listing->command->json) {
		json_array_append_new(listing->array,
		                      json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "owner",
		                                owner->name.len == 0 ? "" : name, "spam", (json_int_t)owner->learnt.spam, "ham",
		                                (json_int_t)owner->learnt.ham, "tokens", (json_int_t)owner->tokens, "once",
		                                (json_int_t)owner->once, "kept", (json_int_t)owner->kept, "oldest",
		                                (json_int_t)owner->oldest, "changed", (json_int_t)owner->changed));
		return;
	}
	if (listing->owners == 1) {
		printf("%8s %8s %9s %9s %8s  %-19s  %-19s  %s\n", "spam", "ham", "tokens", "in one", "about MB",
		       "last change (UTC)", "oldest kept (UTC)", "owner");
	}
	printf("%8u %8u %9llu %9llu %8.1f  %-19s  %-19s  %s\n", owner->learnt.spam, owner->learnt.ham,
	       (unsigned long long)owner->tokens, (unsigned long long)owner->once,
	       (double)(owner->tokens * BYTES_OF_TOKEN) / 1e6, limits_time(arena, (uint64_t)owner->changed),
	       owner->oldest == 0 ? "-" : limits_time(arena, (uint64_t)owner->oldest), name);
}

/* What is missing for a verdict. */
static void status_advice(const struct limits_command *command)
{
	const struct bayes_settings *settings = config_settings(command->config, stages_section(&stage_bayes));
	const char *all = "";
	struct bayes_counts total = {0, 0}, none[1];
	if (bayes_read(command->store, &all, 1, NULL, 0, &total, none) == STORE_OK &&
	    (total.spam < settings->min_learnt || total.ham < settings->min_learnt)) {
		printf("no verdict yet: %llu of each are needed (bayes.min_learnt), %u spam and %u ham are learnt\n",
		       (unsigned long long)settings->min_learnt, total.spam, total.ham);
	}
}

static bool bayes_status(struct limits_command *command)
{
	struct listing listing = {.command = command, .array = json_array()};
	bool good = limits_worked(command, bayes_list(command->store, command->word, status_row, &listing));
	if (good && command->json) {
		json_dumpf(listing.array, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (good) {
		if (listing.owners == 0) {
			puts("nothing is learnt: see mailreeve learn");
		}
		status_advice(command);
	}
	json_decref(listing.array);
	return good;
}

static bool bayes_show(struct limits_command *command)
{
	const char *all = "";
	char *end;
	errno = 0;
	uint64_t token = strtoull(command->word, &end, 16);
	struct bayes_counts totals, counts;
	if (*end != '\0' || end == command->word || errno != 0) {
		fprintf(stderr, "mailreeve bayes show: \"%s\" is no token: sixteen hexadecimal digits\n", command->word);
		return false;
	}
	if (!limits_worked(command, bayes_read(command->store, &all, 1, &token, 1, &totals, &counts))) {
		return false;
	}
	if (command->json) {
		printf("{\"token\":\"%016llx\",\"spam\":%u,\"ham\":%u}\n", (unsigned long long)token, counts.spam, counts.ham);
	} else {
		printf("%016llx: in %u of %u spam, in %u of %u ham\n", (unsigned long long)token, counts.spam, totals.spam,
		       counts.ham, totals.ham);
	}
	return true;
}

static bool bayes_expire_all(struct limits_command *command)
{
	const struct bayes_settings *settings = config_settings(command->config, stages_section(&stage_bayes));
	struct bayes_walk walk = {.done = false};
	int64_t now = (int64_t)command->now;
	uint64_t all = 0;
	bool more = true;
	enum store_result result = STORE_OK;
	while (result == STORE_OK && more) {
		result = bayes_forget(command->store, now - (int64_t)(settings->keep / CLOCK_NS_PER_S), now, &more);
	}
	while (result == STORE_OK && !walk.done) {
		uint64_t removed;
		result = bayes_expire(command->store, now - (int64_t)(settings->expire / CLOCK_NS_PER_S), now, &walk, &removed);
		all += removed;
	}
	if (limits_worked(command, result)) {
		printf("%llu tokens forgotten\n", (unsigned long long)all);
	}
	return result == STORE_OK;
}

int cmd_bayes(int argc, char **argv)
{
	static const struct limits_subcommand subcommands[] = {
	    {"status", bayes_status, false, false},
	    {"show", bayes_show, true, false},
	    {"expire", bayes_expire_all, false, true},
	    {.name = NULL},
	};
	struct limits_command command = {.name = "bayes", .usage = usage};
	return limits_main(&command, subcommands, argc, argv);
}
