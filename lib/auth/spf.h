/* spf: check_host() of RFC 7208 through the fenced libspf2 (DESIGN.md section 4). */
#ifndef MAILREEVE_AUTH_SPF_H
#define MAILREEVE_AUTH_SPF_H

#include "lib/base/ip.h"
#include "lib/dns/dns.h"
#include "lib/mail/authres.h"

enum spf_scope { SPF_SCOPE_MFROM, SPF_SCOPE_HELO };

struct spf_request {
	struct ip client;
	const char *helo;      /* as given; may be "" */
	const char *mail_from; /* local@domain, or "" for the null path: then postmaster@HELO is checked (RFC 7208 2.4) */
	const char *receiver;  /* our name, for %{r} */
	uint64_t now;          /* epoch seconds, for %{t} */
	enum spf_scope scope;  /* SPF_SCOPE_HELO checks HELO on its own (RFC 7208 2.3) whatever mail_from is */
};

struct spf_verdict {
	enum auth_result result; /* none pass fail softfail neutral temperror permerror */
	enum spf_scope scope;    /* which identity was checked in the end */
	const char *domain;      /* the domain checked, canonical; "" when there was none */
	const char *explanation; /* fail only: the expanded exp= text, printable US-ASCII, at most 512 bytes; else NULL */
	const char *problem;     /* why temperror, permerror or none; NULL when there is nothing to say */
	const char *mechanism;   /* the term that matched, as published ("ip4:192.0.2.0/24", "-all"), or NULL */
	const char *pass_all;    /* pass only: the term, of this record or an included one, that any client would match
	                            ("+all", "ip4:0.0.0.0/0"): the pass says nothing about this one. Else NULL */
	bool ptr;                /* a ptr mechanism or %{p} was evaluated, which RFC 7208 5.5 tells not to use */
	unsigned lookups;        /* terms that cost a lookup (RFC 7208 4.6.4), 0..11 */
	unsigned void_lookups;
};

/* U-labels in mail_from and helo become A-labels (RFC 8616 4). Where the local part is not ASCII, terms with %{s} or
 * %{l} match nothing (the same); such a redirect leads nowhere.
 *
 * False while answers are pending: call again with the same request when lookups have come. On true *verdict_r is set;
 * its strings live in arena. Starts ahead of time what the records it has read so far will need. Thread-safe. */
bool spf_check(const struct spf_request *request, struct lookups *lookups, struct arena *arena,
               struct spf_verdict *verdict_r);

#endif
