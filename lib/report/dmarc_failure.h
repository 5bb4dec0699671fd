/* dmarc_failure: a DMARC failure report about one message (RFC 9991, RFC 6591), redacted (RFC 6590): of addresses the domain
 * and a keyed hash of the local part, of the message a few fields, never its body. */
#ifndef MAILREEVE_REPORT_DMARC_FAILURE_H
#define MAILREEVE_REPORT_DMARC_FAILURE_H

#include "lib/report/dmarc_reports.h"
#include "lib/store/dmarc_failures.h"

enum { DMARC_FAILURE_KEY_SIZE = 32 };

/* What may be told of the message. Texts may be anything, and NULL or "" where they are not known. */
struct dmarc_failure_facts {
	const unsigned char *key;   /* of the hashes, DMARC_FAILURE_KEY_SIZE bytes */
	const char *reporter;       /* our name */
	const char *auth_failure;   /* "dmarc", "signature", "spf" */
	bool spf_aligned, dkim_aligned; /* passed for the author's domain */
	const char *spf, *spf_domain;
	const char *dkim, *dkim_domain, *dkim_selector, *dkim_identity;
	const char *dmarc, *domain; /* result; the author's domain */
	const char *mail_from;      /* local@domain */
	const char *source;         /* IP address */
	const char *delivery;       /* "delivered", "spam", "policy", "reject", "other" (RFC 6591 3.2.2) */
	uint64_t arrived;           /* epoch seconds */
	const char *author, *date, *message_id;
	const char *subject;        /* NULL: not to be told */
};

/* Fields of message/feedback-report, an empty line, and those of the message: printable US-ASCII, lines ended by CRLF. */
struct slice dmarc_failure_parts(struct arena *arena, const struct dmarc_failure_facts *facts);

/* "hash@domain" of any address. */
const char *dmarc_failure_redact(struct arena *arena, const unsigned char *key, const char *address);

/* The whole mail. */
struct slice dmarc_failure_mail(struct arena *arena, const struct dmarc_reporter *reporter,
                                const struct dmarc_failure *failure);

/* Takes the next one that is due, and sends it. *more_r: there was one. */
enum store_result dmarc_failure_step(const struct dmarc_reporter *reporter, bool *more_r);

#endif
