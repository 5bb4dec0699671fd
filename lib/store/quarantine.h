/* quarantine: messages that wait for a person, in the store. A message is kept once, as it arrived (before our edits),
 * with our findings; each recipient has a copy of his own, which is a state:
 *
 *   held --claim--> releasing --taken by the MTA--> released
 *    ^                  |
 *    +---- not taken ---+              held --> deleted, expired
 *
 * A claim names a nonce and a time. The gate uses the nonce up when it lets the message pass; a claim that has run out
 * is held again where it was not, and released where it was (quarantine_expire() writes that down). So two who release
 * at once, a client that dies, and a gate that is killed deliver a copy at most once, and lose none.
 *
 * Rows and content are written in one durable batch: there is nothing to put right after a crash. A copy of the same
 * message from the same sender to the same recipient that is held already is not stored again: a sender that lost our
 * answer tries again. */
#ifndef MAILREEVE_STORE_QUARANTINE_H
#define MAILREEVE_STORE_QUARANTINE_H

#include "lib/policy/config.h"
#include "lib/store/release_token.h"
#include "lib/store/store.h"

/* Everything but verdict and reason of a copy is text of the network: escape it before it is shown. */
struct quarantine_message {
	const char *id;   /* 16 letters and digits; made by quarantine_put() */
	uint64_t created; /* epoch seconds: when it arrived */
	const char *queue_id, *support_id;
	enum direction direction;
	const char *client; /* an IP address, or "unknown" */
	const char *client_name, *helo, *auth_user;
	struct slice mail_from; /* local@domain as it was spelt, empty: the null path */
	bool smtputf8;
	const char *author, *subject; /* from the header, escaped */
	const char *findings;         /* a JSON array [{code, detail, action}] */
	const char *authres;          /* value of the Authentication-Results we would have added; "": none */
	uint64_t size;                /* of the message; 0 in quarantine_put(): that of the content */
	uint64_t stored;              /* of it compressed; not for quarantine_put() */
};

enum quarantine_state {
	QUARANTINE_HELD,
	QUARANTINE_RELEASING,
	QUARANTINE_RELEASED,
	QUARANTINE_DELETED,
	QUARANTINE_EXPIRED
};
const char *quarantine_state_name(enum quarantine_state state); /* "held" */
bool quarantine_state_parse(const char *name, enum quarantine_state *state_r);

struct quarantine_copy {
	unsigned n;                /* from 1, in the message */
	struct slice recipient;    /* local@domain as it was spelt */
	const char *owner;         /* the same, in small letters and with the canonical domain: whose quarantine it is */
	const char *verdict;       /* "quarantine", "reject" */
	const char *reason, *text; /* code of the finding, what the sender would have been told */
	/* Not for quarantine_put(): */
	enum quarantine_state state;
	uint64_t expires;       /* epoch seconds */
	uint64_t changed;       /* when the state became what it is */
	const char *changed_by; /* by whom: a person's or a program's word; "": by nobody yet */
	const char *note;       /* what went wrong with the last release; "" */
	bool forced;            /* the release under way lifts enforced findings */
};

struct quarantine_limits {
	uint64_t keep;            /* seconds */
	uint64_t message_max;     /* bytes of one message; 0: no limit, as with the others */
	uint64_t total_max;       /* bytes of all, compressed */
	uint64_t recipient_count; /* copies that are held for one recipient */
};

enum quarantine_result {
	QUARANTINE_OK,
	QUARANTINE_DOWN,      /* the store: later */
	QUARANTINE_FULL,      /* a limit of all or of a recipient: later */
	QUARANTINE_TOO_LARGE, /* never */
	QUARANTINE_NONE       /* there is no such copy, or it is not in a state that this can be done with */
};

/* Durable when it is QUARANTINE_OK. id_r: RELEASE_MESSAGE_SIZE bytes; of a message whose copies were held already, "".
 */
enum quarantine_result quarantine_put(struct store *store, const struct quarantine_limits *limits,
                                      const struct quarantine_message *message, const struct quarantine_copy *copies,
                                      size_t count, struct slice content, char *id_r);

/* ---- looking ---- */

struct quarantine_filter {
	const char *id;     /* NULL: any; so with the others */
	unsigned copy;      /* 0: any */
	const char *owner;  /* an address, as owner above, or "@domain" */
	const char *sender; /* mail_from or author, in any letters */
	const char *state;
	uint64_t since, before; /* created; 0: any */
	uint64_t limit;         /* rows; 0: 1000 */
};
/* Newest first. False: enough. What it points to lives until it returns; it must not call the store. */
typedef bool quarantine_visit(void *context, const struct quarantine_message *message,
                              const struct quarantine_copy *copy);
enum quarantine_result quarantine_list(struct store *store, const struct quarantine_filter *filter,
                                       quarantine_visit *visit, void *context);
/* The message as it arrived. content_r is the caller's to free(). QUARANTINE_NONE: expired, deleted, or damaged. */
enum quarantine_result quarantine_content(struct store *store, const char *id, struct slice *content_r);

struct quarantine_stats {
	uint64_t copies[QUARANTINE_EXPIRED + 1]; /* by state */
	uint64_t messages, size, stored;         /* with content: how many, bytes, bytes compressed */
	uint64_t oldest;                         /* created, of those held; 0: none */
};
enum quarantine_result quarantine_stats(struct store *store, struct quarantine_stats *stats_r);

/* ---- changing; by: who does it, for the record ---- */

/* held -> releasing, for whoever comes first. token: message, copy, nonce, expires and forced are set by the caller. */
enum quarantine_result quarantine_claim(struct store *store, const struct release_token *token, const char *by,
                                        uint64_t now);
/* The end of a claim: released, or held again (note: why). used_r (may be NULL): did the gate see the token? */
enum quarantine_result quarantine_settle(struct store *store, const struct release_token *token, bool released,
                                         const char *note, uint64_t now, bool *used_r);
/* The gate lets it pass: QUARANTINE_OK for the first who asks before it expires. */
enum quarantine_result quarantine_consume(struct store *store, const struct release_token *token, uint64_t now);
/* held -> deleted; the content goes with the last copy. */
enum quarantine_result quarantine_delete(struct store *store, const char *id, unsigned copy, const char *by,
                                         uint64_t now);
/* What is due: claims that ran out, copies past their time, content that nobody may get any more, and rows that were
 * kept as a record for as long again. *expired_r: copies. */
enum quarantine_result quarantine_expire(struct store *store, uint64_t now, uint64_t keep, uint64_t *expired_r);

/* The key that signs tokens, made at the first call; shared by all who share the store. */
enum quarantine_result quarantine_key(struct store *store, unsigned char *key_r);

#endif
