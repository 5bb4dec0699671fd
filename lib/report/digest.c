/* When reports are made, and how they are sent: once, whatever happens meanwhile. */
#include "lib/report/digest.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/report/local_time.h"
#include "lib/report/mustache.h"
#include "lib/report/submit.h"
#include "lib/report/templates.h"
#include "lib/report/user_mail.h"

#include <jansson.h>

enum {
	MARGIN = 300, /* seconds behind the hour: by then all that began before it is in the history */
	HOUR = 3600,
	DAY = 86400,
	SCAN_DAYS = 8, /* at most that far back is looked for recipients */
	PAGE = 500,
	LEASE = 1800,
	SUBMIT_SECONDS = 60,
	RETRY_FIRST = 300, /* seconds; each later pause is twice as long ... */
	RETRY_MAX = 4 * HOUR,
	LINKS_KEEP = 30 * DAY, /* behind their end: to be told that they have expired */
	ADDRESSES_KEEP = 40 * DAY
};

/* ---- who ---- */

static bool is_ours(const struct digest_reporter *reporter, struct arena *arena, const char *owner)
{
	const char *reply = digest_owner(arena, reporter->settings->reply_address, reporter->delimiter);
	const char *from = digest_owner(arena, reporter->settings->from, reporter->delimiter);
	return (reply != NULL && strcmp(owner, reply) == 0) || (from != NULL && strcmp(owner, from) == 0);
}

/* Addresses that were seen, gathered: a visitor must not call the store. */
struct seen {
	struct arena *arena;
	const char *delimiter, *only; /* NULL: everybody */
	struct seen_address {
		const char *address, *owner;
		int64_t newest;
	} * items;
	size_t count, capacity;
};

static bool on_address(void *context, const char *address, const char *domain, int64_t newest)
{
	struct seen *seen = context;
	const char *owner = digest_owner(seen->arena, address, seen->delimiter);
	(void)domain;
	if (owner != NULL && (seen->only == NULL || strcmp(seen->only, owner) == 0)) {
		seen->items = arena_grow(seen->arena, seen->items, sizeof *seen->items, seen->count, &seen->capacity);
		seen->items[seen->count++] = (struct seen_address){arena_strdup(seen->arena, address), owner, newest};
	}
	return true;
}

static enum store_result scan(const struct digest_reporter *reporter, int64_t since, int64_t until, const char *only)
{
	struct arena *arena = arena_create(4096);
	struct seen seen = {.arena = arena, .delimiter = reporter->delimiter, .only = only};
	enum store_result result = digests_scan(reporter->store, since, until, on_address, &seen);
	for (size_t i = 0; i < seen.count && result == STORE_OK; i++) {
		const struct seen_address *item = &seen.items[i];
		if (!is_ours(reporter, arena, item->owner)) {
			result = digests_found(reporter->store, item->address, item->owner, item->newest);
		}
	}
	arena_destroy(arena);
	return result;
}

struct page {
	const struct digest_reporter *reporter;
	struct arena *arena;
	bool weekly_day;
	const char *owners[PAGE];
	size_t count;
	const char *last;
	size_t seen;
};

static bool on_news(void *context, const struct digest_user *user)
{
	struct page *page = context;
	enum digest_frequency frequency = digest_frequency_of(page->reporter, user);
	page->last = arena_strdup(page->arena, user->owner);
	page->seen++;
	if (frequency == DIGEST_DAILY || (frequency == DIGEST_WEEKLY && page->weekly_day)) {
		page->owners[page->count++] = page->last;
	}
	return true;
}

/* It is done again from its start where it is interrupted: who wants a report twice gets one. */
static enum store_result want_all(const struct digest_reporter *reporter, int64_t slot, bool weekly_day)
{
	struct page page = {.reporter = reporter, .arena = arena_create(4096), .weekly_day = weekly_day, .last = ""};
	enum store_result result;
	do {
		page.count = page.seen = 0;
		result = digests_news(reporter->store, page.last, PAGE, on_news, &page);
		for (size_t i = 0; i < page.count && result == STORE_OK; i++) {
			result = digests_want(reporter->store, page.owners[i], slot, reporter->now);
		}
	} while (result == STORE_OK && page.seen == PAGE);
	arena_destroy(page.arena);
	return result;
}

/* The next piece of the search for who is to get a report; *more_r: there was one. */
static enum store_result schedule(const struct digest_reporter *reporter, bool *more_r)
{
	const struct digest_settings *settings = reporter->settings;
	int64_t scanned;
	int64_t done;
	int weekday;
	int64_t slot = local_time_slot(settings->time_zone, reporter->now - MARGIN, (unsigned)settings->hour, &weekday);
	enum store_result result = digests_progress(reporter->store, &scanned, &done);
	if (result != STORE_OK || done >= slot) {
		return result;
	}
	if (scanned == 0) {
		scanned = slot - DAY;
	}
	if (scanned < slot - (int64_t)SCAN_DAYS * DAY) {
		scanned = slot - (int64_t)SCAN_DAYS * DAY;
	}
	*more_r = true;
	if (scanned < slot) {
		int64_t until = scanned + HOUR < slot ? scanned + HOUR : slot;
		result = scan(reporter, scanned, until, NULL);
		return result == STORE_OK ? digests_set_progress(reporter->store, until, done) : result;
	}
	result = want_all(reporter, slot, weekday == (int)settings->weekday);
	return result == STORE_OK ? digests_set_progress(reporter->store, scanned, slot) : result;
}

/* ---- sending ---- */

static enum submit_result submit(const struct digest_reporter *reporter, struct arena *arena,
                                 const struct user_mail *mail, const char **reply_r)
{
	struct submit_relay relay;
	struct submit_mail submitted = {.helo = reporter->helo,
	                                .from = "",
	                                .to = mail->to,
	                                .head = {"", 0},
	                                .message = user_mail_compose(arena, mail),
	                                .smtputf8 = !slice_is_ascii(slice_from(mail->to))};
	if (!submit_relay_parse(arena, reporter->settings->relay, &relay, reply_r)) {
		return SUBMIT_TEMPORARY;
	}
	return submit_send(&relay, &submitted, clock_now() + SUBMIT_SECONDS * CLOCK_NS_PER_S, arena, reply_r);
}

static const char *domain_of(const char *address)
{
	const char *at = strrchr(address, '@');
	return at == NULL ? address : at + 1;
}

static enum submit_result send_report(const struct digest_reporter *reporter, struct arena *arena,
                                      const struct digest_user *user, const struct digest_report *report,
                                      const char **reply_r)
{
	const char *fields = arena_printf(arena, "%s" DIGEST_FIELD ": %s\r\n", report->unsubscribe, user->nonce);
	const struct user_mail mail = {
	    .from_name = reporter->settings->name,
	    .from = reporter->settings->from,
	    .to = user->owner,
	    .subject = report->subject,
	    .id = arena_printf(arena, "digest.%s@%s", user->nonce, domain_of(reporter->settings->from)),
	    .in_reply_to = "",
	    .fields = fields,
	    .now = (uint64_t)reporter->now,
	    .text = report->text,
	    .html = report->html,
	};
	return submit(reporter, arena, &mail, reply_r);
}

static int64_t pause_of(int64_t attempts)
{
	int64_t pause = RETRY_FIRST;
	for (int64_t i = 1; i < attempts && pause < RETRY_MAX; i++) {
		pause *= 2;
	}
	return pause < RETRY_MAX ? pause : RETRY_MAX;
}

static enum digest_outcome later(const struct digest_reporter *reporter, const struct digest_user *user)
{
	digests_later(reporter->store, user, reporter->now + pause_of(user->attempts));
	return DIGEST_LATER;
}

/* The end of an attempt. What is not known (no answer after the whole message) stays open: whoever comes after the
 * lease looks whether the gate saw it. */
static enum digest_outcome conclude(const struct digest_reporter *reporter, const struct digest_user *user,
                                    enum submit_result sent)
{
	switch (sent) {
	case SUBMIT_OK:
		digests_settle(reporter->store, user, true, reporter->now);
		return DIGEST_SENT;
	case SUBMIT_PERMANENT:
		digests_settle(reporter->store, user, false, reporter->now);
		return DIGEST_REFUSED;
	case SUBMIT_TEMPORARY:
		return later(reporter, user);
	case SUBMIT_UNKNOWN:
		break;
	}
	return DIGEST_LATER;
}

static enum digest_outcome send_to(const struct digest_reporter *reporter, struct arena *arena,
                                   const struct digest_user *user, const char **why_r)
{
	struct digest_report report;
	int64_t since = digest_since(reporter, user, user->trying);
	if (user->passed) {
		*why_r = "it had gone out already";
		return conclude(reporter, user, SUBMIT_OK);
	}
	if (!digest_make(reporter, arena, user, since, user->trying, &report, why_r)) {
		return later(reporter, user);
	}
	if (report.entries == 0) {
		*why_r = "there is nothing to tell";
		digests_settle(reporter->store, user, false, reporter->now);
		return DIGEST_NOTHING;
	}
	if (digests_add_links(reporter->store, report.links, report.link_count) != STORE_OK) {
		*why_r = "the store does not answer";
		return later(reporter, user);
	}
	enum submit_result sent = send_report(reporter, arena, user, &report, why_r);
	log_info("digest to <%s>, %zu entries: %s", text_escape(arena, slice_from(user->owner), "", true, 320),
	         report.entries, *why_r);
	return conclude(reporter, user, sent);
}

enum store_result digest_step(const struct digest_reporter *reporter, bool *more_r)
{
	*more_r = false;
	enum store_result result = schedule(reporter, more_r);
	if (result != STORE_OK || *more_r) {
		return result;
	}
	struct arena *arena = arena_create(65536);
	struct digest_user user;
	const char *why;
	result = digests_take(reporter->store, arena, "", reporter->now, LEASE, &user, more_r);
	if (*more_r && send_to(reporter, arena, &user, &why) == DIGEST_LATER) {
		log_warning("digest to <%s> is sent later: %s", text_escape(arena, slice_from(user.owner), "", true, 320), why);
	} else if (result == STORE_OK && !*more_r) {
		result = digests_expire(reporter->store, reporter->now - LINKS_KEEP, reporter->now - ADDRESSES_KEEP);
	}
	arena_destroy(arena);
	return result;
}

enum digest_outcome digest_send_now(const struct digest_reporter *reporter, struct arena *arena, const char *owner,
                                    const char **why_r)
{
	struct digest_user user;
	bool found = false;
	int64_t until = reporter->now + 1; /* this second too */
	*why_r = "the store does not answer";
	if (digests_user(reporter->store, arena, owner, &user) != STORE_OK ||
	    scan(reporter, digest_since(reporter, &user, until), until, owner) != STORE_OK ||
	    digests_want(reporter->store, owner, until, reporter->now) != STORE_OK ||
	    digests_take(reporter->store, arena, owner, reporter->now, LEASE, &user, &found) != STORE_OK) {
		return DIGEST_LATER;
	}
	if (!found) {
		*why_r = "another one is under way, or waits to be tried again";
		return DIGEST_LATER;
	}
	return send_to(reporter, arena, &user, why_r);
}

/* ---- answers ---- */

static const char *answer_text(const struct templates *templates, struct arena *arena, const char *word)
{
	const char *text = templates_word(templates, arena_printf(arena, "answer.%s", word));
	return text == NULL ? word : text;
}

bool digest_answer(const struct digest_reporter *reporter, struct arena *arena, const struct digest_user *user,
                   const char *word, const char *about, const char *message_id)
{
	struct templates templates;
	struct strbuf text;
	const char *languages[4];
	const char *why = "";
	char nonce[ACTION_NONCE_SIZE];
	digest_languages_of(reporter, user, languages);
	if (!templates_load(arena, reporter->settings->templates, languages, &templates, &why) ||
	    !action_nonce_make(nonce)) {
		log_error("answer to <%s>: %s", user->owner, why);
		return false;
	}
	json_t *values = json_pack("{s:s, s:s, s:s, s:s}", "what", answer_text(&templates, arena, word), "about",
	                           user_mail_clean(arena, about, 320), "user", user_mail_clean(arena, user->owner, 320),
	                           "name", reporter->settings->name);
	strbuf_init(&text, arena);
	bool good = values != NULL && mustache_render(templates.answer, MUSTACHE_TEXT, values, &text, &why);
	json_decref(values);
	if (!good) {
		log_error("%s/%s/answer.txt: %s", reporter->settings->templates, templates.language, why);
		return false;
	}
	const struct user_mail mail = {
	    .from_name = reporter->settings->name,
	    .from = reporter->settings->from,
	    .to = user->owner,
	    .subject = answer_text(&templates, arena, "subject"),
	    .id = arena_printf(arena, "answer.%s@%s", nonce, domain_of(reporter->settings->from)),
	    .in_reply_to = message_id,
	    .reply = true,
	    .fields = "",
	    .now = (uint64_t)reporter->now,
	    .text = {text.data, text.len},
	    .html = {"", 0},
	};
	enum submit_result sent = submit(reporter, arena, &mail, &why);
	log_info("answer (%s) to <%s>: %s", word, text_escape(arena, slice_from(user->owner), "", true, 320), why);
	return sent != SUBMIT_TEMPORARY;
}
