/* audit: the systematic check of a domain's mail set-up, from what it publishes and, where asked, from what its servers
 * answer. Facts are collected by one file a subject; each thing that is wrong is a finding with a code of audit_codes.c.
 *
 * Restartable over `struct lookups` like any check, and bounded: at most AUDIT_MX_MAX exchanges, AUDIT_SELECTORS_MAX
 * selectors and LOOKUPS_MAX questions are looked at whatever strangers publish. What needs connections is a
 * `struct audit_contact` (audit_contact.h), made by the caller between two runs: this part opens none. */
#ifndef MAILREEVE_AUDIT_AUDIT_H
#define MAILREEVE_AUDIT_AUDIT_H

#include "lib/auth/dmarc_record.h"
#include "lib/dns/dns.h"

enum audit_subject {
	AUDIT_MX,
	AUDIT_HELO,
	AUDIT_SPF,
	AUDIT_DKIM,
	AUDIT_DMARC,
	AUDIT_MTA_STS,
	AUDIT_TLSRPT,
	AUDIT_DANE,
	AUDIT_STARTTLS,
	AUDIT_BIMI,
	AUDIT_SUBJECTS
};

enum audit_level {
	AUDIT_NOTE,    /* worth knowing; costs nothing */
	AUDIT_WARNING, /* protects less than it could, or may break */
	AUDIT_FAULT,   /* mail is lost, or anybody can use the name */
	AUDIT_UNKNOWN  /* could not be looked at */
};

/* A kind of finding; all of them are rows of audit_codes.c. */
struct audit_code {
	const char *id; /* "mx.cname" */
	enum audit_subject subject;
	enum audit_level level;
	char grade;          /* the best that the subject can still get; 'A' for a note and for what is not known */
	unsigned risk;       /* order of fixing: 1 mail is lost or forged now ... 5 polish */
	const char *meaning; /* in plain words, what it means */
	const char *advice;  /* what to do */
};

struct audit_finding {
	const struct audit_code *code;
	const char *text;   /* what was found: one line, escaped, printable ASCII */
	const char *record; /* the line of the zone file to publish next, or of the policy; NULL: none */
};

enum {
	AUDIT_MX_MAX = 20,       /* exchanges looked at */
	AUDIT_ADDRESSES_MAX = 4, /* of one exchange and family */
	AUDIT_SELECTORS_MAX = 20, /* that can be given */
	AUDIT_FINDINGS_MAX = 200,
	AUDIT_LINES_MAX = 60,    /* facts of one subject */
	AUDIT_TEXT_MAX = 400     /* bytes of a text of a finding that strangers chose */
};

/* A mail server that takes the domain's mail. */
struct audit_host {
	const char *name;
	unsigned preference;
	bool secure;        /* MX record, name and addresses are all validated by DNSSEC */
	bool usable;        /* a name with a public address */
	size_t address_count;
	struct ip addresses[2 * AUDIT_ADDRESSES_MAX];
	const struct dns_answer *tlsa; /* NULL: not asked for */
};

struct audit_contact;

struct audit_request {
	const char *domain;
	const char *const *selectors; /* NULL-ended, or NULL */
	const char *helo;             /* what the domain's server calls itself; NULL: not known */
	struct ip ip;                 /* from which it sends; IP_UNKNOWN: not known */
	bool validates;               /* answers can be secure: there is a trust anchor */
	bool private_allowed;         /* addresses of private use are no fault: a test, or a closed network */
	uint64_t now;                 /* epoch seconds */
	const struct audit_contact *contact; /* NULL: nothing was connected to */
};

struct audit_part {
	char grade;         /* 'A' to 'F'; '-': not looked at, or it does not concern this domain */
	const char *reason; /* why '-' */
	size_t line_count;
	const char *lines[AUDIT_LINES_MAX]; /* facts, escaped */
};

struct audit {
	const char *domain; /* canonical; "" when it is no domain name: nothing was looked at */
	char grade;         /* the worst of the parts */
	struct audit_part parts[AUDIT_SUBJECTS];
	size_t finding_count;
	struct audit_finding *findings; /* by subject, the worst first */

	/* What the parts know of each other, and what a contact needs */
	bool no_domain;     /* the name does not exist: nothing else is looked at */
	bool null_mx;       /* takes no mail (RFC 7505) */
	bool sends_nothing; /* SPF is "v=spf1 -all" */
	bool mx_secure;
	size_t host_count;
	struct audit_host hosts[AUDIT_MX_MAX];
	bool spf_usable, dkim_usable;
	bool dmarc_known;   /* the DNS did not fail */
	bool dmarc_found, dmarc_enforced; /* enforced: quarantine or reject for the domain and those below, without t=y */
	struct dmarc_record dmarc;
	bool sts_published;
	size_t policy_address_count; /* of mta-sts.DOMAIN */
	struct ip policy_addresses[2 * AUDIT_ADDRESSES_MAX];
};

/* False while answers are pending: call again when lookups have come. On true *audit_r is set; its strings live in
 * arena. Thread-safe. */
bool audit_run(const struct audit_request *request, struct lookups *lookups, struct arena *arena, struct audit *audit_r);

const char *audit_subject_name(enum audit_subject subject); /* "mta-sts" */
const char *audit_subject_title(enum audit_subject subject); /* "MTA-STS" */
const char *audit_level_name(enum audit_level level); /* "warning" */

extern const struct audit_code audit_codes[]; /* ended by one with id NULL */

/* How many findings of the level there are. */
size_t audit_count(const struct audit *audit, enum audit_level level);

/* All findings with something to do, in the order in which to do it: the greatest risk first. Returns their number; *plan_r from
 * arena. Notes and what is not known are not among them. */
size_t audit_plan(const struct audit *audit, struct arena *arena, const struct audit_finding ***plan_r);

/* What comes after the plan on the way to p=reject, as texts ended by NULL. */
const char *const *audit_next_steps(const struct audit *audit, struct arena *arena);

#endif
