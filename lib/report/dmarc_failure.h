/* dmarc_failure: a DMARC failure report about one message, redacted (RFC 6590): of addresses the domain and a keyed
 * hash of the local part, of the message a few fields, never its body.
 *
 * What each field of message/feedback-report rests on: Feedback-Type, Version, User-Agent, Original-Mail-From,
 * Source-IP, Reported-Domain and Arrival-Date: RFC 5965 3. Auth-Failure, Delivery-Result and the syntax of DKIM-* and
 * SPF-DNS: RFC 6591 3.2, which also has Authentication-Results tell of one method only: that of Auth-Failure; what the
 * others said is in a field of the third part, as in RFC 9991's example. Identity-Alignment, and when which of these is
 * required: RFC 9991 4. Left out, as it is optional: Original-Rcpt-To (who reads here is nobody's business),
 * Source-Port (no MTA tells it), DKIM-Canonicalized-* (the message itself). SPF-DNS is the record of the domain that
 * was checked, not of those that it includes. */
#ifndef MAILREEVE_REPORT_DMARC_FAILURE_H
#define MAILREEVE_REPORT_DMARC_FAILURE_H

#include "lib/report/dmarc_reports.h"
#include "lib/store/dmarc_failures.h"

enum { DMARC_FAILURE_KEY_SIZE = 32 };

/* What may be told of the message. Texts may be anything, and NULL or "" where they are not known. */
struct dmarc_failure_facts {
	const unsigned char *key; /* of the hashes, DMARC_FAILURE_KEY_SIZE bytes */
	const char *reporter;     /* our name */
	const char *auth_failure; /* "dmarc", "signature", "spf" */
	bool spf_aligned, dkim_aligned; /* Identity-Alignment names the methods that did not pass for the author's domain */
	const char *spf, *spf_domain;
	const char *spf_record; /* of spf_domain, where that is aligned and failed */
	const char *dkim, *dkim_domain;
	const char *dkim_selector, *dkim_identity; /* selector NULL: no signature failed. Identity "": "@domain" */
	const char *dmarc, *domain;                /* result; the author's domain */
	const char *mail_from;                     /* local@domain */
	const char *source;                        /* IP address */
	const char *delivery;                      /* "delivered", "spam", "policy", "reject", "other" (RFC 6591 3.2.2) */
	uint64_t arrived;                          /* epoch seconds */
	const char *author, *date, *message_id;
	const char *subject; /* NULL: not to be told */
};

/* Fields of message/feedback-report, an empty line, and those of the message: printable US-ASCII, lines ended by CRLF.
 */
struct slice dmarc_failure_parts(struct arena *arena, const struct dmarc_failure_facts *facts);

/* "hash@domain" of any address. */
const char *dmarc_failure_redact(struct arena *arena, const unsigned char *key, const char *address);

/* The whole mail. */
struct slice dmarc_failure_mail(struct arena *arena, const struct dmarc_reporter *reporter,
                                const struct dmarc_failure *failure);

/* Takes the next one that is due, and sends it. *more_r: there was one. */
enum store_result dmarc_failure_step(const struct dmarc_reporter *reporter, bool *more_r);

#endif
