/* history: what the gate remembers of the messages that it has judged: a row for each message, for each of its
 * recipients and for each finding, kept for history.keep; and a ledger of TLS by day and sender domain, which is kept
 * longer. All SQL of it stands here.
 *
 * Texts are as they came from the network, bounded by who records (pipeline/record.c); whoever shows them escapes them.
 */
#ifndef MAILREEVE_STORE_HISTORY_H
#define MAILREEVE_STORE_HISTORY_H

#include "lib/base/arena.h"
#include "lib/store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_ALL_RECIPIENTS = -1 };

/* What the MTA said of the client's certificate, as it is stored. */
enum history_cert { HISTORY_CERT_UNKNOWN, HISTORY_CERT_VERIFIED, HISTORY_CERT_NOT_VERIFIED };

struct history_recipient {
	const char *address; /* as written, without brackets */
	const char *domain;  /* canonical (mail/domain.h), or "" */
	const char *action;  /* verdict_action_name(), or "aborted": the client went away before there was a verdict */
	const char *reply;   /* "550 5.7.1 text", as the sender was told; "": he was taken, if only to be stored */
	bool refused;        /* at RCPT already */
	const char *fate;       /* "held": by the MTA; "stored": in the quarantine; "": neither */
	const char *quarantine; /* its id there; "": none was stored, or the same copy was held before */
	int64_t copy;           /* and its number */
	const char *state;      /* only read: quarantine_state_name() of that copy now; "": there is no such row (any more) */
};

struct history_finding {
	const char *code, *detail;
	const char *action;    /* by configuration: action_kind_name() */
	const char *effective; /* what it came to */
	const char *mode;      /* of its stage: stage_mode_name() */
	bool would;            /* the mode of the stage alone kept it from its action */
	int64_t recipient;     /* index, or HISTORY_ALL_RECIPIENTS */
};

/* One transaction. Texts are never NULL once it was read; when it is recorded NULL counts as "". */
struct history_message {
	int64_t id;       /* history_new_id(): grows with time */
	int64_t time;     /* epoch seconds, at MAIL */
	const char *host; /* the gate that judged it */
	const char *queue_id, *support_id;
	const char *direction; /* direction_name() */
	const char *peer;      /* address of the TCP client; the same as client but behind an upstream relay */
	const char *client, *client_name, *helo;
	const char *country; /* "" unknown */
	int64_t asn;         /* 0 unknown */
	const char *as_name;
	const char *peer_name, *peer_helo;    /* behind an upstream relay: the relay's own; else "" */
	const char *tls_version, *tls_cipher; /* "": no TLS */
	int64_t tls_bits;                     /* 0: not told */
	const char *cert_subject, *cert_issuer; /* of the client's certificate; "": none, or not told */
	enum history_cert cert_verified;
	const char *auth_user;
	const char *mail_from, *mail_from_domain; /* "": the null path */
	const char *author, *author_domain;       /* of From */
	const char *subject;                      /* by history.subject */
	const char *message_id;
	int64_t size;                         /* bytes; 0: no message came */
	const char *spf, *dkim, *arc, *dmarc; /* results (RFC 8601), "" where it was not looked at; of DKIM the best */
	const char *dmarc_domain;
	const char *results; /* JSON: the results and the time that each stage took (pipeline/results.h) */
	const char *action;  /* the strictest: verdict_action_name(), or "aborted" */
	const char *reason;  /* code of the finding that decided, or "" */
	const char *reply;
	double score;
	int64_t milliseconds;    /* from end of message to the verdict */
	bool ended;              /* a message came; else the client went away after recipients were refused */
	int64_t recipient_count; /* how many there were */
	const char *dns;         /* the answers, in zone syntax (dns/zone_text.h); "" unless asked for */
	struct history_recipient *recipients;
	size_t recipients_given;
	struct history_finding *findings;
	size_t findings_given;
};

/* Unique over the fleet, and greater for a later second. */
int64_t history_new_id(int64_t time);

/* Queues the rows; never waits (store_write_later()). The same id twice is recorded once. */
void history_record(struct store *store, const struct history_message *message);

/* What to look for: all of it must hold; NULL and 0: anything. */
enum history_match {
	HISTORY_MATCH_EXACT,  /* the whole address, in any case; "" is the null path */
	HISTORY_MATCH_DOMAIN, /* its domain, canonical (mail/domain.h) */
	HISTORY_MATCH_PART    /* any part of it, in any case: no index helps, all rows of the period are walked through */
};
struct history_address {
	enum history_match match;
	const char *text; /* NULL: anything */
};
struct history_filter {
	int64_t since, until; /* epoch seconds; until 0: no end */
	const char *queue_id, *support_id;
	struct history_address from; /* of the envelope, or of From */
	struct history_address to;   /* a recipient ... */
	const char *action;          /* ... for whom it came to this */
	const char *client;          /* address in the form of ip_format() */
	const char *finding;         /* a code, or a stage: "spf" is every "spf.*" */
	size_t limit;                /* messages; 0: 1,000,000 */
};

/* The messages that match, the youngest first, each with recipients and findings (and dns, where wanted), in memory
 * that lives during the call of visit. Returns store_query()'s result. */
typedef void history_visitor(void *context, const struct history_message *message);
enum store_result history_find(struct store *store, const struct history_filter *filter, bool dns,
                               history_visitor *visit, void *context);

/* `limit` groups at most, the largest first. */
struct history_period {
	int64_t since, until; /* epoch seconds; until 0: no end */
	size_t limit;
};

/* What observed stages would have done: by code, and then by whom. */
struct history_would {
	const char *code, *mode, *action; /* what it would have come to */
	const char *group; /* by sender domain: the domain, "" the null path; by client: its address; else "" */
	const char *name;  /* by client: its name */
	int64_t messages;
	int64_t delivered;     /* of these: accepted or tagged as it was */
	int64_t authenticated; /* of these: DMARC passed */
	int64_t first, last;   /* epoch seconds */
};
enum history_would_by { HISTORY_BY_CODE, HISTORY_BY_SENDER, HISTORY_BY_CLIENT };
typedef void history_would_visitor(void *context, const struct history_would *would);
/* stage NULL: all; code NULL: all. */
enum store_result history_would(struct store *store, const struct history_period *period, enum history_would_by by,
                                const char *stage, const char *code, history_would_visitor *visit, void *context);
/* Queue ids (or, for lack of one, support ids) of the youngest messages of a code. */
typedef void history_text_visitor(void *context, const char *text, int64_t count);
enum store_result history_would_examples(struct store *store, const struct history_period *period, const char *code,
                                         history_text_visitor *visit, void *context);

/* Who came past the upstream networks: the clients of messages with that finding code. */
struct history_direct {
	const char *client, *client_name, *helo, *country, *as_name;
	int64_t asn;
	int64_t messages, refused; /* refused: rejected or put off, at RCPT or later */
	int64_t recipients;        /* different ones that the finding was about */
	int64_t first, last;
};
typedef void history_direct_visitor(void *context, const struct history_direct *direct);
enum store_result history_direct(struct store *store, const struct history_period *period, const char *code,
                                 history_direct_visitor *visit, void *context);
/* What it sent there: recipients' domains with the number of messages. */
enum store_result history_direct_domains(struct store *store, const struct history_period *period, const char *code,
                                         const char *client, history_text_visitor *visit, void *context);
/* The envelope senders that it used. */
enum store_result history_direct_senders(struct store *store, const struct history_period *period, const char *code,
                                         const char *client, history_text_visitor *visit, void *context);

/* The ledger of TLS, inbound mail: whole days, so that since counts from its day's beginning (UTC). */
struct history_tls {
	const char *domain;                          /* of the envelope sender; "" the null path */
	int64_t messages;                            /* that came to an end */
	int64_t plain, old, v12, v13;                /* without TLS; SSL and TLS before 1.2; 1.2; 1.3 and later */
	int64_t plain_accepted, plain_authenticated; /* without TLS: not rejected or put off; DMARC passed */
	int64_t old_accepted, old_authenticated;
	int64_t plain_last; /* the last day with one without TLS, epoch seconds; 0: none */
};
typedef void history_tls_visitor(void *context, const struct history_tls *tls);
/* domain NULL: all, those with most mail that "require TLS" would block first. */
enum store_result history_tls(struct store *store, const struct history_period *period, const char *domain,
                              history_tls_visitor *visit, void *context);

/* For the summary: count of messages by a column. */
enum history_count {
	HISTORY_COUNT_ACTION,    /* "inbound accept" */
	HISTORY_COUNT_FINDING,   /* code */
	HISTORY_COUNT_REASON,    /* codes that decided */
	HISTORY_COUNT_SENDER,    /* envelope sender's domain */
	HISTORY_COUNT_RECIPIENT, /* recipients' domain */
	HISTORY_COUNT_CLIENT,
	HISTORY_COUNT_COUNTRY,
};
enum store_result history_count(struct store *store, const struct history_period *period, enum history_count what,
                                history_text_visitor *visit, void *context);

/* Deletes what is older than the two times, in one bounded batch. *more_r: there may be more to delete. */
enum store_result history_expire(struct store *store, int64_t rows_before, int64_t ledger_before, bool *more_r);

#endif
