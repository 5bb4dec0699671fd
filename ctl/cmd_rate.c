/* mailreeve rate show|reset|lock: who is near his limits, who is locked. */
#include "ctl/command.h"
#include "ctl/limits.h"
#include "lib/base/clock.h"
#include "lib/store/rates.h"

#include <jansson.h>

static const char usage[] =
    "usage: mailreeve rate show [NAME] [--limit N] [--json]\n"
    "       mailreeve rate reset NAME\n"
    "       mailreeve rate lock USER [--for TIME] [--reason TEXT]\n"
    "show: users that are locked, then what is counted by the limits of rate.limits, most refusals first; of one\n"
    "NAME: a user, an address, a client, as show prints it. reset: lift the lock of that name and count it anew.\n"
    "lock: an authenticated user may send nothing, for 4h unless --for says otherwise. All take --config FILE.\n";

struct listing {
	struct limits_command *command;
	json_t *locks, *buckets;
	size_t count;
};

/* How a bucket stands: the key is the direction and the rule. False: a rule of a later version. */
static bool bucket_left(struct limits_command *command, const struct rates_row *row, struct rate_rule *rule_r,
                        uint64_t *left_r)
{
	const char *expected;
	uint64_t now = command->now * CLOCK_NS_PER_S;
	if (!rate_rule_parse(command->arena, limits_text(command->arena, row->key), rule_r, &expected)) {
		return false;
	}
	uint64_t capacity = rate_capacity(rule_r);
	uint64_t used = row->full_at > now ? row->full_at - now : 0;
	*left_r = row->window ? (row->seen < rule_r->amount ? rule_r->amount - row->seen : 0)
	                      : rate_units(rule_r, used < capacity ? capacity - used : 0);
	return true;
}

static uint64_t full_in(const struct limits_command *command, const struct rates_row *row)
{
	uint64_t full = row->full_at / CLOCK_NS_PER_S;
	return full > command->now ? full - command->now : 0;
}

static bool show_row(void *context, const struct rates_row *row)
{
	struct listing *listing = context;
	struct limits_command *command = listing->command;
	const char *key = limits_text(command->arena, row->key);
	const char *name = limits_text(command->arena, row->name);
	struct rate_rule rule;
	uint64_t left = 0;
	bool known = bucket_left(command, row, &rule, &left);
	listing->count++;
	if (command->json) {
		json_t *object =
		    json_pack("{s:s, s:s, s:I, s:I}", "limit", key, "name", name, "refused", (json_int_t)row->refused,
		              "full_in", row->window ? (json_int_t)0 : (json_int_t)full_in(command, row));
		json_object_set_new(object, "left", known ? json_integer((json_int_t)left) : json_null());
		json_array_append_new(listing->buckets, object);
		return true;
	}
	if (listing->count == 1) {
		printf("%-42s %-40s %10s %10s  %s\n", "limit", "who", "left", "refused", "full again in");
	}
	printf("%-42s %-40s %10llu %10llu  %s\n", key, name, (unsigned long long)left, (unsigned long long)row->refused,
	       row->window ? "" : limits_span(command->arena, full_in(command, row)));
	return true;
}

static bool show_lock(void *context, const struct rates_lock *lock)
{
	struct listing *listing = context;
	struct limits_command *command = listing->command;
	const char *name = limits_text(command->arena, slice_from(lock->name));
	const char *reason = limits_text(command->arena, slice_from(lock->reason));
	if (command->json) {
		json_array_append_new(listing->locks, json_pack("{s:s, s:s, s:I, s:I}", "user", name, "reason", reason, "since",
		                                                (json_int_t)lock->since, "until", (json_int_t)lock->until));
		return true;
	}
	printf("LOCKED: user %s since %s UTC, for another %s: %s\n", name, limits_time(command->arena, lock->since),
	       limits_span(command->arena, lock->until - command->now), reason);
	return true;
}

static bool rate_show(struct limits_command *command)
{
	struct listing listing = {.command = command, .locks = json_array(), .buckets = json_array()};
	json_t *object = json_pack("{s:o, s:o}", "locks", listing.locks, "limits", listing.buckets);
	bool good =
	    limits_worked(command, rates_list_locks(command->store, command->word, command->now, show_lock, &listing)) &&
	    limits_worked(command,
	                  rates_list(command->store, command->word, command->now, command->rows, show_row, &listing));
	if (good && command->json) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (good && listing.count == 0) {
		puts("no limit is in use");
	}
	json_decref(object);
	return good;
}

/* Users are kept in small letters; what was not found as it stands may be one. */
static bool rate_reset(struct limits_command *command)
{
	uint64_t count = 0;
	bool good = limits_worked(command, rates_reset(command->store, command->word, &count));
	if (good && count == 0) {
		command->word = slice_dup_lower(command->arena, slice_from(command->word));
		good = limits_worked(command, rates_reset(command->store, command->word, &count));
	}
	if (good && count == 0) {
		fprintf(stderr, "mailreeve rate: nothing is counted for \"%s\", nor is it locked: see mailreeve rate show\n",
		        command->word);
		return false;
	}
	if (good) {
		printf("%s: counted anew\n", command->word);
	}
	return good;
}

static bool rate_lock(struct limits_command *command)
{
	uint64_t until = command->now + (command->duration > 0 ? command->duration / CLOCK_NS_PER_S : 4 * 3600);
	const char *name =
	    text_escape(command->arena, slice_from(slice_dup_lower(command->arena, slice_from(command->word))), "", false,
	                RATES_NAME_MAX);
	const char *reason =
	    command->reason != NULL ? limits_text(command->arena, slice_from(command->reason)) : "by mailreeve rate lock";
	bool good = limits_worked(command, rates_lock(command->store, name, reason, command->now, until));
	if (good) {
		printf("user %s is locked until %s UTC\n", name, limits_time(command->arena, until));
	}
	return good;
}

int cmd_rate(int argc, char **argv)
{
	static const struct limits_subcommand subcommands[] = {
	    {"show", rate_show, false, false},
	    {"reset", rate_reset, true, true},
	    {"lock", rate_lock, true, true},
	    {.name = NULL},
	};
	struct limits_command command = {.name = "rate", .usage = usage};
	return limits_main(&command, subcommands, argc, argv);
}
