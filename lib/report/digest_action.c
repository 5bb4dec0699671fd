#include "lib/report/digest_action.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/report/templates.h"

enum { LEASE = 1800, RETRY = 120, ATTEMPTS_MAX = 12 };

const char *digest_done_name(enum digest_done done)
{
	switch (done) {
	case DIGEST_DONE:
		return "done";
	case DIGEST_DONE_BEFORE:
		return "before";
	case DIGEST_EXPIRED:
		return "expired";
	case DIGEST_UNKNOWN:
		return "unknown";
	case DIGEST_FORBIDDEN:
		return "forbidden";
	case DIGEST_NOT_NOW:
		break;
	}
	return "later";
}

enum digest_done digest_action_look(struct store *store, struct arena *arena, const struct action_token *token,
                                    int64_t now, struct digest_link *link_r)
{
	unsigned char key[RELEASE_KEY_SIZE];
	bool found;
	*link_r = (struct digest_link){.owner = "", .message = "", .author = "", .language = ""};
	if (quarantine_key(store, key) != QUARANTINE_OK) {
		return DIGEST_NOT_NOW;
	}
	if (!action_token_verify(token, key)) {
		return DIGEST_UNKNOWN;
	}
	if (digests_link(store, arena, token->nonce, link_r, &found) != STORE_OK) {
		return DIGEST_NOT_NOW;
	}
	return !found ? DIGEST_UNKNOWN : link_r->expires <= now ? DIGEST_EXPIRED : DIGEST_DONE;
}

/* ---- what there is to do ---- */

static enum digest_done release_it(const struct digest_action *action, struct arena *arena,
                                   const struct digest_link *link, const char *by)
{
	struct release release = action->release;
	const char *reply;
	bool shown;
	release.by = by;
	release.now = (uint64_t)action->reporter->now;
	release.forced = false;
	if (link->message[0] == '\0') {
		return DIGEST_UNKNOWN;
	}
	enum release_outcome outcome = release_copy(&release, arena, link->message, link->copy, &reply, &shown);
	log_info("release of %s/%u by %s: %s", link->message, link->copy, by, reply);
	switch (outcome) {
	case RELEASE_DONE:
		return DIGEST_DONE;
	case RELEASE_REFUSED:
		return DIGEST_FORBIDDEN;
	case RELEASE_NOT_HELD:
	case RELEASE_GONE:
	case RELEASE_OPEN: /* it comes to an end by itself */
		return DIGEST_DONE_BEFORE;
	case RELEASE_FAILED:
	case RELEASE_DOWN:
	case RELEASE_NO_RELAY:
		break;
	}
	return DIGEST_NOT_NOW;
}

static enum digest_done list_it(const struct digest_action *action, struct arena *arena, const struct digest_link *link,
                                enum list_action what)
{
	struct list_entry entry = {
	    .owner = link->owner, .added = (uint64_t)action->reporter->now, .by = "digest", .note = ""};
	const char *problem;
	size_t where;
	if (link->author[0] == '\0' || !list_value_parse(arena, slice_from(link->author), &entry, &problem)) {
		return DIGEST_UNKNOWN;
	}
	entry.action = what;
	if (entry.kind != LIST_ADDRESS || list_entry_problem(&entry) != NULL) {
		return DIGEST_UNKNOWN;
	}
	switch (
	    store_lists_put(action->reporter->store, &entry, 1, &action->lists, (uint64_t)action->reporter->now, &where)) {
	case STORE_LISTS_DONE:
		return DIGEST_DONE;
	case STORE_LISTS_ENFORCED:
	case STORE_LISTS_TOO_MANY:
	case STORE_LISTS_FAILED:
		return DIGEST_FORBIDDEN;
	case STORE_LISTS_UNAVAILABLE:
		break;
	}
	return DIGEST_NOT_NOW;
}

static enum digest_done set_it(const struct digest_action *action, const struct digest_link *link,
                               const char *frequency, const char *language)
{
	return digests_set(action->reporter->store, link->owner, frequency, language) == STORE_OK ? DIGEST_DONE
	                                                                                          : DIGEST_NOT_NOW;
}

/* The entry first: when the release is put off, both come again, and an entry twice is one. */
static enum digest_done trust_it(const struct digest_action *action, struct arena *arena,
                                 const struct digest_link *link, const char *by)
{
	enum digest_done done = list_it(action, arena, link, LIST_ALLOW);
	return done == DIGEST_DONE ? release_it(action, arena, link, by) : done;
}

static enum digest_done do_it(const struct digest_action *action, struct arena *arena, enum action_verb verb,
                              const struct digest_link *link, const char *by)
{
	switch (verb) {
	case ACTION_RELEASE:
		return release_it(action, arena, link, by);
	case ACTION_ALLOW:
		return list_it(action, arena, link, LIST_ALLOW);
	case ACTION_TRUST:
		return trust_it(action, arena, link, by);
	case ACTION_BLOCK:
		return list_it(action, arena, link, LIST_BLOCK);
	case ACTION_OFF:
	case ACTION_DAILY:
	case ACTION_WEEKLY:
		return set_it(action, link, action_verb_name(verb), NULL);
	case ACTION_LANGUAGE:
		return link->language[0] == '\0' ? DIGEST_UNKNOWN : set_it(action, link, NULL, link->language);
	case ACTION_VERBS:
		break;
	}
	return DIGEST_UNKNOWN;
}

enum digest_done digest_action_run(const struct digest_action *action, struct arena *arena,
                                   const struct action_token *token, const char *by, struct digest_link *link_r)
{
	enum digest_done done = digest_action_look(action->reporter->store, arena, token, action->reporter->now, link_r);
	return done == DIGEST_DONE ? do_it(action, arena, token->verb, link_r, by) : done;
}

/* ---- replies ---- */

/* What the answer says: of a verb that was done its own words. */
static const char *answer_word(struct arena *arena, enum action_verb verb, enum digest_done done)
{
	const char *name = digest_done_name(done);
	return done == DIGEST_DONE ? arena_printf(arena, "%s.%s", name, action_verb_name(verb)) : name;
}

/* Rows that were asked about have the MAC checked already: the token is made anew. */
static enum digest_done run_request(const struct digest_action *action, struct arena *arena,
                                    const struct digest_request *request, struct digest_link *link_r)
{
	bool found;
	if (digests_link(action->reporter->store, arena, request->nonce, link_r, &found) != STORE_OK) {
		return DIGEST_NOT_NOW;
	}
	if (!found) {
		return DIGEST_UNKNOWN;
	}
	if (link_r->expires <= action->reporter->now && request->attempts <= 1) {
		return DIGEST_EXPIRED;
	}
	return do_it(action, arena, request->verb, link_r, link_r->owner);
}

enum store_result digest_action_step(const struct digest_action *action, bool *more_r)
{
	struct arena *arena = arena_create(16384);
	struct store *store = action->reporter->store;
	struct digest_request request;
	struct digest_link link = {.owner = "", .author = ""};
	struct digest_user user;
	enum store_result result = digests_take_request(store, arena, action->reporter->now, LEASE, &request, more_r);
	if (*more_r) {
		enum digest_done done = run_request(action, arena, &request, &link);
		bool answered = false;
		if (done != DIGEST_NOT_NOW || request.attempts >= ATTEMPTS_MAX) {
			answered = link.owner[0] == '\0' || digests_user(store, arena, link.owner, &user) != STORE_OK ||
			           digest_answer(action->reporter, arena, &user, answer_word(arena, request.verb, done),
			                         link.author, request.message_id);
		}
		if (answered || request.attempts >= ATTEMPTS_MAX) {
			result = digests_end_request(store, &request);
		} else {
			result = digests_later_request(store, &request, action->reporter->now + RETRY * request.attempts);
		}
	}
	arena_destroy(arena);
	return result;
}
