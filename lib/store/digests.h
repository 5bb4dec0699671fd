/* digests: what the store knows of reports to users (report/digest.h): their own settings, what was reported to whom
 * and when, what is to be sent, the rows behind the links in a mail, and what users asked for by reply. All SQL of it
 * stands here, that which reads the history for it too.
 *
 * A user is an owner: local@domain in small letters, the domain canonical, without a detail: bob@example.org also for
 * bob+lists@example.org.
 *
 * Sent once: whoever takes a user who is due (digests_take()) has him for a lease, under a nonce that stays the same
 * until the end of that report. The gate itself notes that a mail with the nonce has passed (digests_passed()),
 * durably, before the MTA is answered: so who comes after a crash knows whether it was sent. */
#ifndef MAILREEVE_STORE_DIGESTS_H
#define MAILREEVE_STORE_DIGESTS_H

#include "lib/base/arena.h"
#include "lib/store/action_token.h"
#include "lib/store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Times are epoch seconds. Strings that are read are never NULL. */
struct digest_user {
	const char *owner;
	const char *frequency; /* the user's own: "off", "daily", "weekly"; "": what the configuration says */
	const char *language;  /* likewise */
	int64_t covered;       /* all before that was reported, or was nothing; 0: never yet */
	int64_t sent;          /* when the last one went out; 0: none yet */
	int64_t wanted;        /* a report of all before that is to be sent; 0: none is */
	int64_t due;           /* of wanted: not before that */
	/* Of the attempt under way, for who took it: */
	int64_t trying; /* all before that */
	int64_t attempts;
	const char *nonce;
	bool passed; /* the gate has let it pass */
};

/* ---- settings ---- */

/* One that was never heard of is all "" and 0. */
enum store_result digests_user(struct store *store, struct arena *arena, const char *owner, struct digest_user *user_r);
/* NULL: stays as it is; "": what the configuration says. */
enum store_result digests_set(struct store *store, const char *owner, const char *frequency, const char *language);

/* Everybody of whom there is something to know, by owner. What it points to lives until it returns. */
typedef bool digest_user_visit(void *context, const struct digest_user *user);
enum store_result digests_each(struct store *store, digest_user_visit *visit, void *context);

struct digest_status {
	int64_t sent;    /* when the last report went out; 0: none yet */
	int64_t waiting; /* reports that are to be sent */
	int64_t failed;  /* of these, that were tried in vain */
	int64_t users;   /* who have got one */
};
enum store_result digests_status(struct store *store, struct digest_status *status_r);

/* ---- who is to get one ---- */

/* How far the history was looked through, and the last time that reports were due. 0: never. */
enum store_result digests_progress(struct store *store, int64_t *scanned_r, int64_t *slot_r);
enum store_result digests_set_progress(struct store *store, int64_t scanned, int64_t slot);

/* Recipients (in small letters, as they were spelt) of inbound mail in [since, until) that was rejected, quarantined or
 * tagged, with their canonical domain and the time of the newest. */
typedef bool digest_address_visit(void *context, const char *address, const char *domain, int64_t newest);
enum store_result digests_scan(struct store *store, int64_t since, int64_t until, digest_address_visit *visit,
                               void *context);
/* There is something to tell the owner. */
enum store_result digests_found(struct store *store, const char *address, const char *owner, int64_t newest);

/* Owners after `after` in the order of bytes, `limit` at most, with something newer than they were told. */
enum store_result digests_news(struct store *store, const char *after, int64_t limit, digest_user_visit *visit,
                               void *context);
/* The owner is to get a report of all before `until`, unless he has it. */
enum store_result digests_want(struct store *store, const char *owner, int64_t until, int64_t now);

/* ---- sending ---- */

/* The next user who is due ("owner": that one alone), for `lease` seconds. Memory in arena. *found_r: there is one. */
enum store_result digests_take(struct store *store, struct arena *arena, const char *owner, int64_t now, int64_t lease,
                               struct digest_user *user_r, bool *found_r);
/* The mail with that nonce to that owner passes the gate. Durable. */
enum store_result digests_passed(struct store *store, const char *nonce, const char *owner);
/* The end of the attempt: reported (sent: by a mail, or there was nothing to tell), or to be tried again at `due`. */
enum store_result digests_settle(struct store *store, const struct digest_user *user, bool sent, int64_t now);
enum store_result digests_later(struct store *store, const struct digest_user *user, int64_t due);

/* ---- what there is to tell ---- */

struct digest_entry {
	int64_t message, position; /* of the history */
	int64_t time;
	const char *author, *mail_from, *subject, *support_id;
	const char *address, *domain; /* the recipient */
	const char *action;           /* "reject", "quarantine", "tag" */
};
/* Of inbound mail in [since, until), the youngest first. What it points to lives until it returns. */
typedef bool digest_entry_visit(void *context, const struct digest_entry *entry);
enum store_result digests_entries(struct store *store, const char *owner, int64_t since, int64_t until, int64_t limit,
                                  digest_entry_visit *visit, void *context);

/* Codes found for that recipient, with what they came to ("quarantine"); those to be ignored are left out. */
typedef bool digest_finding_visit(void *context, const char *code, const char *effective);
enum store_result digests_findings(struct store *store, int64_t message, int64_t position, digest_finding_visit *visit,
                                   void *context);

/* The copy that is held in the quarantine; *copy_r 0: none is. id_r: in arena. */
enum store_result digests_copy(struct store *store, struct arena *arena, const char *support_id, const char *owner,
                               const char **id_r, unsigned *copy_r);

/* ---- links ---- */

struct digest_link {
	char nonce[ACTION_NONCE_SIZE];
	const char *owner;
	const char *message; /* a copy in the quarantine; "": none */
	unsigned copy;
	const char *author;   /* local@domain; "": none */
	const char *language; /* "": none */
	int64_t expires;
};
/* Durable. */
enum store_result digests_add_links(struct store *store, const struct digest_link *links, size_t count);
/* Also one that has expired, for some time. *found_r. */
enum store_result digests_link(struct store *store, struct arena *arena, const char *nonce, struct digest_link *link_r,
                               bool *found_r);

/* ---- replies ---- */

enum { DIGESTS_USES_MAX = 10 }; /* of one link by reply: more are passed over, so that nothing goes round for ever */

struct digest_request {
	const char *id;
	char nonce[ACTION_NONCE_SIZE];
	enum action_verb verb;
	const char *message_id; /* of the reply, "" */
	int64_t attempts;
};
/* Durable. Of a link that is not there, or was used too often: nothing. */
enum store_result digests_add_request(struct store *store, const struct action_token *token, const char *message_id,
                                      int64_t now);
/* The next one, for `lease` seconds. */
enum store_result digests_take_request(struct store *store, struct arena *arena, int64_t now, int64_t lease,
                                       struct digest_request *request_r, bool *found_r);
enum store_result digests_end_request(struct store *store, const struct digest_request *request);
enum store_result digests_later_request(struct store *store, const struct digest_request *request, int64_t due);

/* Deletes links that expired before `links`, and forgets addresses that had nothing since `addresses`. */
enum store_result digests_expire(struct store *store, int64_t links, int64_t addresses);

#endif
