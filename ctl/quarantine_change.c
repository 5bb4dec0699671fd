/* mailreeve quarantine release, release-and-allow, delete, expire. */
#include "ctl/command.h"
#include "ctl/quarantine.h"
#include "lib/base/clock.h"
#include "lib/report/release.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ADDRESS_MAX = 320 };

/* "ID/N <recipient>" */
static const char *name_of(struct quarantine_command *command, const struct quarantine_found *found)
{
	return arena_printf(command->arena, "%s/%u <%s>", found->message.id, found->copy.n,
	                    quarantine_safe(command, found->copy.recipient, ADDRESS_MAX));
}

/* ---- release ---- */

/* What an outcome comes to, in words. */
static bool tell(struct quarantine_command *command, const char *name, enum release_outcome outcome, const char *reply,
                 bool shown)
{
	switch (outcome) {
	case RELEASE_DONE:
		printf("%s: released: %s\n", name, reply);
		if (!shown) {
			quarantine_refuse("warning: %s has not shown the message to the daemon, so that its token went out with it; "
			                  "see quarantine.relay",
			                  command->settings->relay);
		}
		return true;
	case RELEASE_REFUSED:
	case RELEASE_FAILED:
		return quarantine_refuse("%s: not released, it is held as before: %s", name, reply);
	case RELEASE_OPEN:
		return quarantine_refuse(
		    "%s: it is not known whether the relay has it: %s. It will be once the token has expired, "
		    "in %llu seconds: held or released",
		    name, reply, (unsigned long long)(command->settings->release_time / CLOCK_NS_PER_S));
	case RELEASE_NOT_HELD:
		return quarantine_refuse("%s: %s", name, quarantine_result_text(QUARANTINE_NONE));
	case RELEASE_GONE:
		return quarantine_refuse("%s: the message is gone, or damaged", name);
	case RELEASE_DOWN:
		return quarantine_refuse("%s: %s", name, quarantine_result_text(QUARANTINE_DOWN));
	case RELEASE_NO_RELAY:
		return quarantine_refuse("quarantine.relay: \"%s\" is not allowed; expected %s", command->settings->relay, reply);
	}
	return false;
}

/* Copies that are not held are passed over, unless one of them was named alone. */
static bool for_each_held(struct quarantine_command *command,
                          bool (*act)(struct quarantine_command *command, const struct quarantine_found *found))
{
	bool good = true;
	for (int i = 0; i < command->word_count; i++) {
		struct quarantine_found_list list;
		size_t held = 0;
		if (!quarantine_find_word(command, command->words[i], &list)) {
			good = false;
			continue;
		}
		for (size_t k = 0; k < list.count; k++) {
			enum quarantine_state state = list.items[k].copy.state;
			if (state == QUARANTINE_HELD || state == QUARANTINE_RELEASING) {
				held++;
				good = act(command, &list.items[k]) && good;
			}
		}
		if (held == 0) {
			good = quarantine_refuse("%s: nothing of it is held: it is %s", name_of(command, &list.items[0]),
			                         quarantine_state_name(list.items[0].copy.state));
		}
	}
	return good;
}

/* That it could not be learnt does not undo the release. */
static void learn_released(struct quarantine_command *command, const struct quarantine_found *found)
{
	struct slice content;
	if (quarantine_content(command->store, found->message.id, &content) == QUARANTINE_OK) {
		quarantine_learn(command, found, false, content);
		free((char *)(uintptr_t)content.data);
	}
}

static bool release_one(struct quarantine_command *command, const struct quarantine_found *found)
{
	const char *reply;
	bool shown;
	command->now = (uint64_t)time(NULL); /* the ones before may have taken long */
	const struct release release = {.store = command->store,
	                                .relay = command->settings->relay,
	                                .helo = command->helo,
	                                .seconds = command->settings->release_time / CLOCK_NS_PER_S,
	                                .by = command->by,
	                                .forced = command->force,
	                                .now = command->now};
	enum release_outcome outcome =
	    release_copy(&release, command->arena, found->message.id, found->copy.n, &reply, &shown);
	bool good = tell(command, name_of(command, found), outcome, reply, shown);
	/* What is forced has a finding that no release lifts. */
	if (outcome == RELEASE_DONE && !command->force) {
		learn_released(command, found);
	}
	return good;
}

bool quarantine_do_release(struct quarantine_command *command)
{
	return for_each_held(command, release_one);
}

/* The author is whom the recipient sees, and an allow entry acts only with an aligned pass. */
static bool allow_sender(struct quarantine_command *command, const struct quarantine_found *found)
{
	const char *author = found->message.author;
	char words[][24] = {"list", "add", "allow", "--owner", "--note", "--config"};
	const char *note = arena_printf(command->arena, "released %s/%u", found->message.id, found->copy.n);
	char *arguments[12] = {words[0], words[1],
	                       words[2], arena_strdup(command->arena, author),
	                       words[3], arena_strdup(command->arena, found->copy.owner),
	                       words[4], arena_strdup(command->arena, note)};
	int count = 8;
	if (command->config_path != NULL) {
		arguments[count++] = words[5];
		arguments[count++] = arena_strdup(command->arena, command->config_path);
	}
	if (author[0] == '\0' || author[0] == '-') {
		return quarantine_refuse("%s: no author whom to allow", name_of(command, found));
	}
	fflush(stdout);
	return command_call(count, arguments) == EXIT_SUCCESS;
}

static bool release_and_allow_one(struct quarantine_command *command, const struct quarantine_found *found)
{
	return release_one(command, found) && allow_sender(command, found);
}

bool quarantine_do_release_and_allow(struct quarantine_command *command)
{
	return for_each_held(command, release_and_allow_one);
}

/* ---- delete, expire ---- */

/* Before it is deleted: its content may go with it. */
static bool learn_spam(struct quarantine_command *command, const struct quarantine_found *found)
{
	struct slice content;
	enum quarantine_result result = quarantine_content(command->store, found->message.id, &content);
	if (result != QUARANTINE_OK) {
		return quarantine_refuse("%s: not learnt: %s", name_of(command, found), quarantine_result_text(result));
	}
	bool good = quarantine_learn(command, found, true, content);
	free((char *)(uintptr_t)content.data);
	return good;
}

static bool delete_one(struct quarantine_command *command, const struct quarantine_found *found)
{
	if (command->spam && !learn_spam(command, found)) {
		return false;
	}
	enum quarantine_result result =
	    quarantine_delete(command->store, found->message.id, found->copy.n, command->by, command->now);
	if (result != QUARANTINE_OK) {
		return quarantine_refuse("%s: %s", name_of(command, found), quarantine_result_text(result));
	}
	printf("%s: deleted\n", name_of(command, found));
	return true;
}

bool quarantine_do_delete(struct quarantine_command *command)
{
	return for_each_held(command, delete_one);
}

bool quarantine_do_expire(struct quarantine_command *command)
{
	uint64_t expired;
	enum quarantine_result result =
	    quarantine_expire(command->store, command->now, command->settings->keep / CLOCK_NS_PER_S, &expired);
	if (result != QUARANTINE_OK) {
		return quarantine_refuse("%s", quarantine_result_text(result));
	}
	printf("%llu expired\n", (unsigned long long)expired);
	return true;
}
