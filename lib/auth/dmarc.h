/* dmarc: DMARC by RFC 9989: record discovery by tree walk, alignment, policy. Our own judgement; libopendmarc is asked
 * the same in a form in which it cannot differ, and a difference is logged (DESIGN.md section 4). */
#ifndef MAILREEVE_AUTH_DMARC_H
#define MAILREEVE_AUTH_DMARC_H

#include "lib/auth/spf.h"
#include "lib/mail/address.h"

enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT };
enum dmarc_alignment { DMARC_NOT_ALIGNED, DMARC_ALIGNED_RELAXED, DMARC_ALIGNED_STRICT };
enum dmarc_source { DMARC_SOURCE_NONE, DMARC_SOURCE_P, DMARC_SOURCE_SP, DMARC_SOURCE_NP };

/* Why a failed message was not treated as its domain asks (PolicyOverrideType of RFC 9990). */
enum dmarc_override_type {
	DMARC_OVERRIDE_NONE, /* it was */
	DMARC_OVERRIDE_LOCAL_POLICY,
	DMARC_OVERRIDE_MAILING_LIST,
	DMARC_OVERRIDE_OTHER,
	DMARC_OVERRIDE_POLICY_TEST_MODE, /* t=y */
	DMARC_OVERRIDE_TRUSTED_FORWARDER
};
struct dmarc_override {
	enum dmarc_override_type type;
	const char *comment; /* which rule, and why; NULL when there is none */
};

struct dmarc_request {
	const struct author *author;
	const struct spf_verdict *spf; /* MAIL FROM identity (or HELO for the null path); NULL: SPF was not checked */
	const char *const *dkim_pass;  /* canonical d= domains of passing signatures, NULL-ended */
	const char *const *dkim_temporary_domains; /* d= of those that could not be judged for a temporary reason, as above */
};

struct dmarc_verdict {
	enum auth_result result;          /* none (no policy), pass, fail, temperror, permerror */
	enum dmarc_policy policy;         /* published for this domain, before t=y */
	enum dmarc_policy asked;          /* what the domain asks for this message: none on pass; t=y lowers it one step */
	enum dmarc_policy disposition;    /* what is done: as asked, unless an override says otherwise */
	struct dmarc_override override;   /* dmarc_check() knows only of t=y; the rest is the pipeline's */
	bool overridden;                  /* a rule of the operator's lifted the failure: disposition is none */
	enum dmarc_source source;         /* which tag gave the policy; where np= asks for the same as sp=, not np= */
	const char *domain;               /* Author Domain, canonical, "" when there is none */
	const char *org_domain;           /* Organizational Domain, "" when not found */
	const char *policy_domain;        /* where the record was found, "" when none */
	enum dmarc_alignment spf_alignment;  /* of the SPF pass */
	enum dmarc_alignment dkim_alignment; /* the best of the DKIM passes */
	const char *dkim_domain;          /* d= that gave it, or NULL */
	bool testing;                     /* t=y */
	const char *record;               /* the record as found, or NULL */
	const char *problem;              /* why temperror, permerror or none; NULL when nothing is to be said */
};

/* A message without exactly one Author Domain is permerror: "DMARC validation is not possible" (RFC 9989 5.3.1); what
 * is done about it is policy's affair.
 *
 * False while answers are pending (see spf_check()). Can be called before SPF and DKIM are known, with spf NULL and no
 * dkim_pass, to start the tree walk early; the answer is then worth nothing. Strings live in arena. Thread-safe. */
bool dmarc_check(const struct dmarc_request *request, struct lookups *lookups, struct arena *arena,
                 struct dmarc_verdict *verdict_r);

const char *dmarc_policy_name(enum dmarc_policy policy);             /* "quarantine" */
const char *dmarc_override_name(enum dmarc_override_type type); /* "trusted_forwarder"; NULL for none */

#endif
