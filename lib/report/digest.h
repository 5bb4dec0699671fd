/* digest: reports to users: what the gate rejected, quarantined or tagged of their mail, why, and what they can do
 * about it; at an hour of the day, and only where there is something to tell. */
#ifndef MAILREEVE_REPORT_DIGEST_H
#define MAILREEVE_REPORT_DIGEST_H

#include "lib/policy/config.h"
#include "lib/store/digests.h"

enum digest_frequency { DIGEST_OFF, DIGEST_DAILY, DIGEST_WEEKLY };
enum digest_trust { DIGEST_TRUST_LOGIN, DIGEST_TRUST_NETWORK, DIGEST_TRUST_SENDER };

/* digest { }, but for what hangs on the stage (pipeline/stage_digest.c). */
struct digest_settings {
	const char *from; /* "": none are made */
	const char *name;
	const char *reply_address; /* "": replies do nothing */
	int reply_trust;           /* enum digest_trust */
	const char *console_url;   /* without a final slash; "": there is none */
	int frequency;             /* enum digest_frequency, where nobody says otherwise */
	uint64_t hour, weekday;    /* weekday: 1, Monday, to 7 */
	const char *time_zone;     /* "": the machine's */
	const char *language;
	const char *templates; /* folder */
	bool rejected, tagged; /* are these told too? */
	uint64_t entries_max;
	uint64_t link_lifetime; /* nanoseconds */
	const char *relay;
};
extern const struct option_row digest_options[];
/* Their section's finish: NULL, or what is wrong. */
const char *digest_finish(void *settings, struct arena *arena);

/* What reports are made from and sent by. */
struct digest_reporter {
	const struct digest_settings *settings;
	const struct config *config;
	const char *delimiter; /* globals.recipient_delimiter */
	const char *helo;
	bool subjects; /* the history has subjects that people can read */
	struct store *store;
	int64_t now; /* epoch seconds */
};

/* Whose reports an address' are: in small letters and without a detail. NULL: nobody's. */
const char *digest_owner(struct arena *arena, const char *address, const char *delimiter);

/* How often a user gets one, and in which languages, NULL-ended, the first that there is being right. */
enum digest_frequency digest_frequency_of(const struct digest_reporter *reporter, const struct digest_user *user);
void digest_languages_of(const struct digest_reporter *reporter, const struct digest_user *user,
                         const char *languages_r[4]);
const char *digest_frequency_name(enum digest_frequency frequency); /* "daily" */

/* A report, made and not sent. */
struct digest_report {
	const char *subject;
	struct slice text, html;
	size_t entries;                  /* 0: there is nothing to tell, and nothing else is set */
	const struct digest_link *links; /* for digests_add_links() before it is sent */
	size_t link_count;
	const char *unsubscribe; /* fields List-Unsubscribe, with CRLF; "" */
};
/* Of mail in [since, until). Memory in arena. False: the store has no answer, or (*problem_r) a template is not good.
 */
bool digest_make(const struct digest_reporter *reporter, struct arena *arena, const struct digest_user *user,
                 int64_t since, int64_t until, struct digest_report *report_r, const char **problem_r);
/* From when on a report of all before `until` tells. */
int64_t digest_since(const struct digest_reporter *reporter, const struct digest_user *user, int64_t until);

/* What came of one. */
enum digest_outcome { DIGEST_SENT, DIGEST_NOTHING, DIGEST_REFUSED, DIGEST_LATER };

/* One bounded step of what is to be done now: looks for who is to get one, or sends one. *more_r: there may be more. */
enum store_result digest_step(const struct digest_reporter *reporter, bool *more_r);
/* Sends one now, of what the user has not been told. *why_r: in words, in arena. */
enum digest_outcome digest_send_now(const struct digest_reporter *reporter, struct arena *arena, const char *owner,
                                    const char **why_r);

/* The field by which the gate knows a report (pipeline/stage_digest.c). */
#define DIGEST_FIELD "X-Mailreeve-Digest"

/* A mail about what users asked for; see digest_action.h. True: it was sent, or never can be. */
bool digest_answer(const struct digest_reporter *reporter, struct arena *arena, const struct digest_user *user,
                   const char *word, const char *about, const char *message_id);

#endif
