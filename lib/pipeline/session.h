/* session: one SMTP connection and its current transaction, as the pipeline sees them. Used by one thread at a time
 * (libmilter moves a session between threads). The milter and `mailreeve explain` drive it through the session_...()
 * calls; stages read and fill its members.
 *
 * Order of calls: session_create, session_connect, session_helo*, { session_mail, session_rcpt*, session_header*,
 * session_headers_end, session_body*, session_end | session_abort }*, session_destroy. A new session_mail() ends an
 * unfinished transaction, so a missing abort does no harm. */
#ifndef MAILREEVE_PIPELINE_SESSION_H
#define MAILREEVE_PIPELINE_SESSION_H

#include "lib/auth/dkim_crypto.h"
#include "lib/auth/arc_keys.h"
#include "lib/auth/dkim_keys.h"
#include "lib/auth/dmarc.h"
#include "lib/auth/helo.h"
#include "lib/auth/iprev.h"
#include "lib/auth/spf.h"
#include "lib/geo/geo.h"
#include "lib/inspect/pool.h"
#include "lib/mail/address.h"
#include "lib/mail/message.h"
#include "lib/pipeline/delivery.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/stage.h"
#include "lib/policy/policy.h"
#include "lib/store/release_token.h"

struct dnsbl_check;
struct session_bayes;
struct digest_state;

/* A change that is made at end of message, in this order. */
enum edit_kind { EDIT_DELETE_HEADER, EDIT_INSERT_HEADER, EDIT_DELETE_RECIPIENT };
struct edit {
	enum edit_kind kind;
	const char *name;
	const char *value; /* delete recipient: the path as RCPT had it; insert: without the leading space, folds as LF + tab */
	size_t index;      /* delete: nth field of that name, from 1, as the message came; given from the highest down.
	                      insert: position from the top, 0 is above all */
};

struct recipient {
	const char *path; /* as RCPT had it */
	struct address address;
	struct config_scope scope; /* its domain's and its own block of the configuration */
	enum policy_level allow;   /* the level of the allow entry that acts for it; POLICY_NONE */
	enum policy_level allow_possible; /* the same, of one that may yet act: what it could lift is not answered at RCPT */
	unsigned lists_said;       /* stage_lists.c: what it has stated for it */
	bool refused;              /* at RCPT: the MTA does not take it */
	struct verdict verdict;    /* after session_end(); when refused, at once */
	enum delivery_fate fate;   /* what that comes to beside the other recipients, after session_end() */
	size_t first;              /* index of the first recipient with the same path, after session_end() */
};

/* The message is one that is released from the quarantine: what was known at its arrival. */
struct session_release {
	struct release_token token;
	enum direction direction;
	const char *support_id, *authres, *reason;
	struct ip client; /* IP_UNKNOWN: it was not known */
	const char *client_name, *helo;
};

/* A DKIM-Signature that the verdict adds. */
struct session_signature {
	const char *domain, *selector;
	enum dkim_algorithm algorithm;
};

/* What the MTA says of the client's certificate. */
enum session_cert { SESSION_CERT_UNKNOWN, SESSION_CERT_VERIFIED, SESSION_CERT_NOT_VERIFIED };

/* The TLS of a connection, for session_tls(). NULL: none, or not told. */
struct session_tls {
	const char *version, *cipher;
	unsigned bits;
	const char *cert_subject, *cert_issuer;
	enum session_cert verified;
};

/* What became of the search for the client behind an upstream relay. */
struct session_upstream {
	bool relayed;        /* the transaction comes from a trusted upstream relay */
	bool recovered;      /* client, client_name and helo are of who gave it the mail */
	unsigned hops;       /* Received fields looked at */
	const char *problem; /* why not recovered; "" */
};

enum { SESSION_MAX_STAGES = 32, SESSION_MAX_FINDINGS = 256, SESSION_HELO_SIZE = 513, SESSION_MAX_SIGNATURES = 8 };

struct session {
	struct engine *engine;
	struct config *config; /* pinned at connect */
	struct arena *connection; /* memory until session_destroy() */
	struct arena *arena;      /* memory of the transaction */
	struct lookups *lookups;

	/* The connection. Strings are never NULL. */
	struct ip peer;           /* who is connected; IP_UNKNOWN: explain without --client */
	struct ip client;         /* whose mail it is: the peer, or behind a trusted upstream relay who gave it the mail */
	bool client_known;        /* false: the peer is an upstream relay, and its Received fields are not there yet */
	const char *client_name;  /* verified by the MTA, "" or "[192.0.2.1]" when it has none */
	bool peer_name_verified;  /* the MTA has led client_name back to the peer's address (iprev) */
	const char *mta_name;     /* what the MTA calls itself, "": not told */
	struct ip local;          /* our address that the peer has connected to; IP_UNKNOWN: not told */
	struct geo_facts geo;     /* of the client, as soon as it is known and stage_geo runs */
	char helo[SESSION_HELO_SIZE]; /* the last one */
	unsigned helo_count;          /* how many there were */
	const char *authserv_id;
	const char *tls_version, *tls_cipher; /* "": no TLS */
	unsigned tls_bits;                    /* of the cipher's key; 0: not told */
	const char *cert_subject, *cert_issuer; /* of the client's certificate; "": none, or not told */
	enum session_cert cert_verified;
	const char *peer_name, *peer_helo; /* of a trusted upstream relay: client_name and helo are its client's */
	bool peer_trusted;                 /* an upstream relay, whose Received fields are believed */
	bool mta_is_sendmail;

	/* The transaction */
	uint64_t now;            /* epoch seconds at MAIL, or explain --now */
	const char *queue_id;    /* "" until the MTA has told it */
	const char *auth_user;   /* "": not authenticated */
	char support_id[16];
	enum direction direction;
	bool releasing; /* MAIL says that the message is released from the quarantine; its token will tell */
	bool smtputf8; /* an internationalized message (RFC 6531): its header may hold UTF-8 */
	struct address mail_from;
	struct recipient *recipients;
	size_t recipient_count, recipient_capacity;
	size_t refused_count; /* of these, at RCPT */
	size_t rejected_count; /* others, that the MTA itself has refused for good */
	struct message *message;
	enum message_status message_status; /* the first trouble, MESSAGE_OK so far */

	/* What stages found out */
	bool iprev_known; /* with a client of IP_UNKNOWN there is no iprev to know */
	struct iprev_verdict iprev;
	bool helo_known;
	struct helo helo_said;
	enum helo_match helo_match; /* valid when helo_known, and helo_said has a name and the client an address */
	const char *helo_detail;
	uint64_t client_until;  /* monotonic: so long the end of message waits for nothing but stage_client; 0: not yet */
	uint32_t client_stated; /* findings of stage_client that are stated, by its own numbers */
	bool geo_stated;
	struct session_upstream upstream;
	bool spf_known, spf_helo_known, keys_known, arc_keys_known, inspected, arc_known, dmarc_known;
	bool spf_helo_checked;  /* HELO was checked beside MAIL FROM: spf_helo says more than spf */
	struct spf_verdict spf; /* of MAIL FROM; valid when spf_known and direction inbound */
	struct spf_verdict spf_helo; /* of HELO, likewise; for the null path a copy of spf, which is HELO's then */
	struct dkim_keys keys;
	struct dkim_rules dkim_rules;
	struct arc_keys *arc_keys; /* NULL: stage_arc did not run */
	struct author author;
	enum pool_result pool_result; /* valid when inspected */
	bool poison;                  /* content workers fail on it: not inspected, and content.poison says so */
	struct inspect_reply inspection;
	bool arc_sealing;    /* a set of our own is wanted */
	unsigned arc_sealed; /* instance of the set that the verdict adds; 0: none */
	size_t arc_trusted; /* sets from the newest down whose sealers are trusted one and all; of a chain that passes, or would
	                       if it were not for DNS (temperror) */
	struct dmarc_verdict dmarc;
	struct session_bayes *bayes; /* stage_bayes.h; NULL: nothing was asked */
	struct rate_state *rate; /* stage_rate.c's own; NULL until it has begun */
	const char *authres; /* value of our Authentication-Results, NULL: none is added */
	size_t signature_count; /* of our own */
	struct session_signature signatures[SESSION_MAX_SIGNATURES];

	struct list_set *lists;          /* pinned when the first recipient is there, or NULL */
	struct lists_state *lists_state; /* stage_lists.c */

	struct finding **findings;
	size_t finding_count, finding_capacity;
	size_t common_count; /* of these, for all recipients: at most SESSION_MAX_FINDINGS */
	struct edit *edits;
	size_t edit_count, edit_capacity;
	uint64_t stage_ns[SESSION_MAX_STAGES];  /* time in hooks of stages[i], by stage */
	uint32_t stages_done;                   /* bit i: stages[i] is done in this phase */
	uint64_t deadline;                      /* monotonic, of the verdict; set at session_end() */
	uint64_t wake_at;                       /* monotonic: a pending stage wants to be called by then: session_wake(); 0:
	                                           none does */
	uint64_t helo_until;                    /* monotonic: HELO's check alone is waited for until then; 0: not alone yet */
	struct dnsbl_check *dnsbl_client;       /* what lists of clients are asked about the peer; of the connection */
	struct dnsbl_check *dnsbl;              /* all other questions to lists; of the transaction */
	bool dnsbl_allowed;                     /* a list of good clients names it, and lifts what others say */
	struct digest_state *digest;            /* stage_digest.c: a reply to a report, or one that goes out; NULL: neither */
	const struct session_release *release;  /* NULL: it is not released from the quarantine */
	struct verdict verdict;                 /* after session_end(): what the MTA is told, or what holds for those that it
	                                           delivers to; see delivery.h */
	enum delivery_answer answer;            /* after session_end() */
	char quarantine_id[RELEASE_MESSAGE_SIZE]; /* of what was stored, "": nothing, or it was held already */
	bool ended;                             /* session_end() has judged a message that is not recorded yet (record.h) */
	uint64_t elapsed_ns;                    /* of session_end() */
};

struct session *session_create(struct engine *engine);
void session_destroy(struct session *session); /* takes NULL; ends an unfinished transaction */

/* client NULL: unknown; for local submission the milter gives 127.0.0.1. host may be NULL. authserv_id: the MTA's name or NULL. */
void session_connect(struct session *session, const struct ip *client, const char *host, const char *authserv_id);
/* The MTA has led the name of session_connect() back to the address. Before session_connect(). */
void session_name_verified(struct session *session);
/* The address of ours that the client has connected to; NULL: not told. */
void session_local(struct session *session, const char *address);
/* The MTA's macro v, "Postfix 3.7.11" or "8.17.1"; NULL: not told. */
void session_mta(struct session *session, const char *version);
void session_helo(struct session *session, const char *helo);
void session_tls(struct session *session, const struct session_tls *tls);

/* path as libmilter gives it, "<a@b>". auth_user and queue_id may be NULL. now 0: the clock. */
void session_mail(struct session *session, const char *path, const char *auth_user, const char *queue_id, uint64_t now);
/* MAIL had ENVID=RELEASE_ENVID: the one recipient of a release is not refused before its token is there. */
void session_releasing(struct session *session);
void session_smtputf8(struct session *session);                       /* MAIL had the parameter SMTPUTF8 */
void session_queue_id(struct session *session, const char *queue_id); /* as soon as the MTA tells it; NULL: no news */
enum session_rcpt_result {
	SESSION_RCPT_OK,
	SESSION_RCPT_TOO_MANY, /* it is not among the recipients */
	SESSION_RCPT_REFUSED   /* the last of session->recipients has the verdict: tempfail or reject */
};
enum session_rcpt_result session_rcpt(struct session *session, const char *path);
void session_rcpt_rejected(struct session *session); /* the MTA refuses one for good: there is no such mailbox ... */

/* Trouble with the message (too large, disk full) is kept and becomes a finding at the end: the calls never fail. */
void session_header(struct session *session, struct slice name, struct slice value);
void session_headers_end(struct session *session);
void session_body(struct session *session, const void *data, size_t n);
/* Instead of these three: a whole message from a file, see message_load(). */
void session_load(struct session *session, struct slice bytes);

/* Blocks until the verdict (session->verdict, recipients[].verdict, edits) at the latest by the message deadline. Writes
 * the verdict line to the log. The transaction's data stay readable until the next session_mail(), session_abort() or
 * session_destroy(). */
const struct verdict *session_end(struct session *session);
void session_abort(struct session *session);

/* Without a message: judges the envelope alone (explain without MESSAGE). */
const struct verdict *session_end_envelope(struct session *session);

/* For stages. The code must be a row of the calling stage's table; detail (for operators) and reply (the public reason,
 * instead of the code's own) may be NULL; both are escaped, bounded and copied. A code with FINDING_AT_RCPT that is stated
 * before DATA is judged at RCPT. Findings for all beyond SESSION_MAX_FINDINGS are dropped but for enforced ones, which take
 * the place of one that is not. Returns the finding, never NULL: the caller may set its .level and .enforced. */
struct finding *session_find(struct session *session, const struct finding_code *code, const char *detail,
                             const char *reply);
/* The same for one recipient, an index. None is dropped: a stage states few of them for each recipient. */
struct finding *session_find_for(struct session *session, size_t recipient, const struct finding_code *code,
                                 const char *detail, const char *reply);
/* Has a finding before findings[index] the same code, and came to that at least? For those who list codes. */
bool session_found_before(const struct session *session, size_t index, enum action_kind least);
/* Sets recipients[index].verdict to what the findings so far come to: of those whose code has all these traits (0: any).
 * before_data: as if each allow entry that may yet act did. */
void session_judge_recipient(struct session *session, size_t index, unsigned traits, bool before_data);
/* For a pending stage at PHASE_END: to be called again at that time (monotonic), answers or none. */
void session_wake(struct session *session, uint64_t at);
/* False: the header edit is not made, as the mode of the stage keeps it from acting. */
bool session_edit(struct session *session, const struct stage *stage, enum edit_kind kind, const char *name,
                  const char *value, size_t index);
void session_edit_add(struct session *session, struct edit edit); /* for tagging.c and parting.c: no stage's */
void session_judge(struct session *session); /* for parting.c, where a finding has come late: every recipient's verdict, and the strictest */
struct policy_context session_policy(const struct session *session);
const struct headers *session_headers(const struct session *session);
const struct globals *session_globals(const struct session *session);

#endif
