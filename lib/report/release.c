#include "lib/report/release.h"

#include "lib/base/clock.h"
#include "lib/report/submit.h"

#include <stdlib.h>
#include <sys/random.h>

/* What of the copy is needed once the listing has ended. */
struct found {
	struct arena *arena;
	const char *mail_from, *recipient;
	bool smtputf8, found;
};

static bool on_copy(void *context, const struct quarantine_message *message, const struct quarantine_copy *copy)
{
	struct found *found = context;
	found->mail_from = slice_dup(found->arena, message->mail_from);
	found->recipient = slice_dup(found->arena, copy->recipient);
	found->smtputf8 = message->smtputf8;
	found->found = true;
	return false;
}

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

static bool make_token(const struct release *release, const char *message, unsigned copy, const char *recipient,
                       struct slice content, struct release_token *token_r)
{
	unsigned char key[RELEASE_KEY_SIZE];
	unsigned char digest[RELEASE_DIGEST_SIZE];
	*token_r =
	    (struct release_token){.copy = copy, .expires = release->now + release->seconds, .forced = release->forced};
	snprintf(token_r->message, sizeof token_r->message, "%s", message);
	if (!make_nonce(token_r) || quarantine_key(release->store, key) != QUARANTINE_OK) {
		return false;
	}
	release_token_digest(content, digest);
	release_token_sign(token_r, key, slice_from(recipient), digest);
	return true;
}

static enum release_outcome outcome_of(enum quarantine_result result)
{
	switch (result) {
	case QUARANTINE_NONE:
		return RELEASE_NOT_HELD;
	case QUARANTINE_OK:
	case QUARANTINE_DOWN:
	case QUARANTINE_FULL:
	case QUARANTINE_TOO_LARGE:
		break;
	}
	return RELEASE_DOWN;
}

static enum release_outcome hand_over(const struct release *release, struct arena *arena,
                                      const struct submit_relay *relay, const struct found *found,
                                      const struct release_token *token, struct slice content, const char **reply_r,
                                      bool *shown_r)
{
	const char *field = arena_printf(arena, RELEASE_TOKEN_FIELD ": %s\r\n", release_token_print(arena, token));
	const struct submit_mail mail = {.helo = release->helo,
	                                 .from = found->mail_from,
	                                 .to = found->recipient,
	                                 .head = slice_from(field),
	                                 .message = content,
	                                 .smtputf8 = found->smtputf8,
	                                 .envid = RELEASE_ENVID};
	uint64_t deadline = clock_now() + release->seconds * CLOCK_NS_PER_S;
	enum submit_result sent = submit_send(relay, &mail, deadline, arena, reply_r);
	if (sent == SUBMIT_UNKNOWN) {
		return RELEASE_OPEN;
	}
	enum quarantine_result result = quarantine_settle(release->store, token, sent == SUBMIT_OK,
	                                                  sent == SUBMIT_OK ? "" : *reply_r, release->now, shown_r);
	/* sendmail(1) of Postfix takes mail in before it is shown to the daemon. */
	*shown_r = *shown_r || result != QUARANTINE_OK || relay->kind != SUBMIT_SMTP;
	return sent == SUBMIT_OK ? RELEASE_DONE : sent == SUBMIT_PERMANENT ? RELEASE_REFUSED : RELEASE_FAILED;
}

enum release_outcome release_copy(const struct release *release, struct arena *arena, const char *message,
                                  unsigned copy, const char **reply_r, bool *shown_r)
{
	struct submit_relay relay;
	struct slice content;
	struct release_token token;
	struct found found = {.arena = arena};
	const struct quarantine_filter filter = {.id = message, .copy = copy};
	*reply_r = "";
	*shown_r = false;
	if (!submit_relay_parse(arena, release->relay, &relay, reply_r)) {
		return RELEASE_NO_RELAY;
	}
	enum quarantine_result result = quarantine_list(release->store, &filter, on_copy, &found);
	if (result != QUARANTINE_OK || !found.found) {
		return result == QUARANTINE_OK ? RELEASE_NOT_HELD : outcome_of(result);
	}
	result = quarantine_content(release->store, message, &content);
	if (result != QUARANTINE_OK) {
		return result == QUARANTINE_NONE ? RELEASE_GONE : RELEASE_DOWN;
	}
	enum release_outcome outcome = RELEASE_DOWN;
	if (make_token(release, message, copy, found.recipient, content, &token)) {
		result = quarantine_claim(release->store, &token, release->by, release->now);
		outcome = result == QUARANTINE_OK ? hand_over(release, arena, &relay, &found, &token, content, reply_r, shown_r)
		                                  : outcome_of(result);
	}
	free((char *)(uintptr_t)content.data);
	return outcome;
}
