/* mailreeve quarantine release, release-and-allow, delete, expire. */
#include "ctl/command.h"
#include "ctl/quarantine.h"
#include "lib/base/clock.h"
#include "lib/report/submit.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { ADDRESS_MAX = 320, REPLY_MAX = 300 };

/* "ID/N <recipient>" */
static const char *name_of(struct quarantine_command *command, const struct quarantine_found *found)
{
	return arena_printf(command->arena, "%s/%u <%s>", found->message.id, found->copy.n,
	                    quarantine_safe(command, found->copy.recipient, ADDRESS_MAX));
}

/* ---- release ---- */

static bool make_nonce(struct release_token *token)
{
	unsigned char random[(RELEASE_NONCE_SIZE - 1) / 2];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
		return false;
	}
	for (size_t i = 0; i < sizeof random; i++) {
		snprintf(token->nonce + 2 * i, 3, "%02x", random[i]);
	}
	return true;
}

static bool make_token(struct quarantine_command *command, const struct quarantine_found *found, struct slice content,
                       struct release_token *token_r)
{
	unsigned char key[RELEASE_KEY_SIZE];
	unsigned char digest[RELEASE_DIGEST_SIZE];
	*token_r = (struct release_token){.copy = found->copy.n,
	                                  .expires = command->now + command->settings->release_time / CLOCK_NS_PER_S,
	                                  .forced = command->force};
	snprintf(token_r->message, sizeof token_r->message, "%s", found->message.id);
	if (!make_nonce(token_r) || quarantine_key(command->store, key) != QUARANTINE_OK) {
		return false;
	}
	release_token_digest(content, digest);
	release_token_sign(token_r, key, found->copy.recipient, digest);
	return true;
}

static enum submit_result hand_over(struct quarantine_command *command, const struct submit_relay *relay,
                                    const struct quarantine_found *found, const struct release_token *token,
                                    struct slice content, const char **reply_r)
{
	struct arena *arena = command->arena;
	const char *field = arena_printf(arena, RELEASE_TOKEN_FIELD ": %s\r\n", release_token_print(arena, token));
	const struct submit_mail mail = {
	    .helo = command->helo,
	    .from = slice_dup(arena, found->message.mail_from),
	    .to = slice_dup(arena, found->copy.recipient),
	    .head = slice_from(field),
	    .message = content,
	    .smtputf8 = found->message.smtputf8,
	    .envid = RELEASE_ENVID,
	};
	return submit_send(relay, &mail, clock_now() + command->settings->release_time, arena, reply_r);
}

/* What the MTA's answer comes to. */
static bool settle(struct quarantine_command *command, const struct submit_relay *relay,
                   const struct quarantine_found *found, const struct release_token *token, enum submit_result sent,
                   const char *reply)
{
	const char *name = name_of(command, found);
	bool used = true;
	if (sent == SUBMIT_UNKNOWN) {
		return quarantine_refuse(
		    "%s: it is not known whether the relay has it: %s. It will be once the token has expired, "
		    "in %llu seconds: held or released",
		    name, reply, (unsigned long long)(command->settings->release_time / CLOCK_NS_PER_S));
	}
	enum quarantine_result result = quarantine_settle(command->store, token, sent == SUBMIT_OK,
	                                                  sent == SUBMIT_OK ? "" : reply, command->now, &used);
	if (sent != SUBMIT_OK) {
		return quarantine_refuse("%s: not released, it is held as before: %s", name, reply);
	}
	printf("%s: released: %s\n", name, reply);
	/* sendmail(1) of Postfix takes mail in before it is shown to the daemon. */
	if (result == QUARANTINE_OK && !used && relay->kind == SUBMIT_SMTP) {
		quarantine_refuse(
		    "warning: %s has not shown the message to the daemon, so that its token went out with it; see "
		    "quarantine.relay",
		    command->settings->relay);
	}
	return true;
}

static bool release_copy(struct quarantine_command *command, const struct submit_relay *relay,
                         const struct quarantine_found *found)
{
	struct slice content;
	struct release_token token;
	const char *reply;
	enum quarantine_result result = quarantine_content(command->store, found->message.id, &content);
	if (result != QUARANTINE_OK) {
		return quarantine_refuse("%s: %s", name_of(command, found),
		                         result == QUARANTINE_NONE ? "the message is gone, or damaged"
		                                                   : quarantine_result_text(result));
	}
	bool good = make_token(command, found, content, &token) ||
	            quarantine_refuse("%s: no token could be made: %s", name_of(command, found),
	                              quarantine_result_text(QUARANTINE_DOWN));
	if (good) {
		result = quarantine_claim(command->store, &token, command->by, command->now);
		good = result == QUARANTINE_OK ||
		       quarantine_refuse("%s: %s", name_of(command, found), quarantine_result_text(result));
	}
	if (good) {
		enum submit_result sent = hand_over(command, relay, found, &token, content, &reply);
		good = settle(command, relay, found, &token, sent, reply);
	}
	free((char *)(uintptr_t)content.data);
	return good;
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

static bool release_one(struct quarantine_command *command, const struct quarantine_found *found)
{
	command->now = (uint64_t)time(NULL); /* the ones before may have taken long */
	struct submit_relay relay;
	const char *expected;
	if (!submit_relay_parse(command->arena, command->settings->relay, &relay, &expected)) {
		return quarantine_refuse("quarantine.relay: \"%s\" is not allowed; expected %s", command->settings->relay,
		                         expected);
	}
	return release_copy(command, &relay, found);
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

static bool delete_one(struct quarantine_command *command, const struct quarantine_found *found)
{
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
