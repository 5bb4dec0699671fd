/* dmarc_override: the operator's own rules by which a DMARC failure is not acted on (RFC 9989 5.4: local policy). None
 * holds by default; each is a list of the section dmarc { }.
 *
 * Only a definite failure is overridden. Where DMARC itself could not be evaluated (temperror), no rule is asked: the
 * sender tries again, and the rules speak when the answer is there. The same the other way round: where a rule would
 * hold if only its own SPF or DKIM check had not been temporary, the message is neither let in nor lost: the answer is
 * OVERRIDE_UNDECIDED, and it is put off. */
#ifndef MAILREEVE_PIPELINE_DMARC_OVERRIDE_H
#define MAILREEVE_PIPELINE_DMARC_OVERRIDE_H

#include "lib/auth/arc.h"
#include "lib/auth/dmarc.h"
#include "lib/mail/header.h"
#include "lib/policy/option.h"

/* dmarc { } */
struct dmarc_settings {
	struct option_networks trusted_forwarders; /* clients */
	/* Domains, canonical, NULL-ended; a name below one counts. */
	const char *const *trusted_forwarder_domains; /* that pass SPF (MAIL FROM) or DKIM (d=) */
	const char *const *mailing_lists;             /* that List-Id lies in, and that pass SPF or DKIM themselves */
	const char *const *exempt_domains;            /* of authors */
};

enum override_answer { OVERRIDE_NONE, OVERRIDE_FOUND, OVERRIDE_UNDECIDED };

struct override_request {
	const struct dmarc_settings *settings;
	const struct ip *client;
	const struct headers *headers;
	const struct dmarc_request *dmarc; /* what passed, and what was temporary */
	const char *author_domain;
	const struct arc_verdict *arc;
	size_t arc_trusted; /* sets from the newest down that trusted sealers have sealed (session.h) */
};

/* The first rule that holds. FOUND: *override_r says which and why; UNDECIDED: its comment says what is not known. */
enum override_answer dmarc_override_find(const struct override_request *request, struct arena *arena,
                                         struct dmarc_override *override_r);

#endif
