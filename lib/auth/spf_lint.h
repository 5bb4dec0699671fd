/* spf_lint: what is wrong with the SPF that a domain publishes, taken as a whole: every term, include and redirect, not
 * only those up to the one that matches a client. For the audit of a domain; the gate judges by spf_check() alone. */
#ifndef MAILREEVE_AUTH_SPF_LINT_H
#define MAILREEVE_AUTH_SPF_LINT_H

#include "lib/dns/dns.h"

enum spf_fault_code {
	/* The evaluation ends in permerror, for all mail or for what no earlier term matches */
	SPF_FAULT_MANY_RECORDS,
	SPF_FAULT_SYNTAX,
	SPF_FAULT_MODIFIER_TWICE,  /* redirect or exp (6) */
	SPF_FAULT_LOOKUPS,         /* more than 10 terms that cost a lookup (4.6.4) */
	SPF_FAULT_VOIDS,           /* more than 2 lookups without an answer (4.6.4) */
	SPF_FAULT_MX_HOSTS,        /* more than 10 names of MX (4.6.4) */
	SPF_FAULT_INCLUDE_MISSING, /* include or redirect of a domain without a record, or with several (5.2, 6.1) */
	SPF_FAULT_LOOP,            /* include or redirect leads back */
	/* The record protects less than its owner may think */
	SPF_FAULT_NO_RECORD,
	SPF_FAULT_PASS_ALL,    /* any client passes: all, 0.0.0.0/0, ::/0, exists of a name without macros */
	SPF_FAULT_WIDE,        /* a network under /8, for IPv6 under /16 */
	SPF_FAULT_NEUTRAL_ALL, /* ?all */
	SPF_FAULT_NO_ALL,      /* neither all nor redirect: neutral for all others */
	SPF_FAULT_PTR,         /* ptr or %{p} (5.5, 7.2) */
	/* A term that does nothing */
	SPF_FAULT_REDIRECT_IGNORED, /* beside all (6.1) */
	SPF_FAULT_UNREACHABLE,      /* behind all */
	SPF_FAULT_DUPLICATE,        /* the same mechanism before */
	SPF_FAULT_NAME_MISSING,     /* a, mx or exists of a name that is not there */
	SPF_FAULT_MACRO,            /* what the macros give is no domain name */
	SPF_FAULT_MAPPED,           /* ip6:::ffff:a.b.c.d matches no client: one with IPv4 is not compared to ip6 (5) */
	SPF_FAULT_UNKNOWN_MODIFIER, /* passed over (6); often a mechanism written with "=" */
	SPF_FAULT_EXPLANATION,      /* exp= leads to no text, to several, or to one that cannot be expanded (6.2) */
	/* Against advice */
	SPF_FAULT_HOST_BITS, /* an address with bits behind its prefix */
	SPF_FAULT_LONG,      /* over 450 bytes: may not fit an answer of 512 (3.4) */
	/* What could not be looked at */
	SPF_FAULT_DNS,   /* a temporary error */
	SPF_FAULT_LIMIT, /* a bound of this check was reached */
	SPF_FAULT_COUNT
};

struct spf_fault {
	enum spf_fault_code code;
	const char *domain; /* in whose record it is: the one asked for, or one that it includes or redirects to */
	const char *text;   /* for people: printable ASCII, the term as published in it */
};

enum {
	SPF_LINT_NAMES_MAX = 50,  /* records looked at, and likewise names of a, mx and exists; asked for are twice that at
	                             most, as answers come */
	SPF_LINT_DEPTH_MAX = 10,  /* of includes and redirects */
	SPF_LINT_FAULTS_MAX = 64, /* more are not kept */
	SPF_LINT_SUM_MAX = 1000,  /* lookups are not counted further */
};

struct spf_lint {
	const char *domain;    /* canonical; "" when what was asked for is no domain name */
	const char *record;    /* as published, escaped; NULL: there is not exactly one */
	unsigned lookups;      /* terms that cost a lookup, of the whole tree, for a client that nothing matches */
	unsigned void_lookups; /* terms whose names are not there, for IPv4 and for IPv6 */
	bool complete;         /* false: DNS failed somewhere, or a bound was reached */
	size_t count;
	struct spf_fault *faults; /* in the order of the walk: a record, then what it leads to */
};

/* False while answers are pending (dns.h): call again. On true *lint_r is set, its memory from arena. What it asks is
 * bounded whatever strangers publish. Thread-safe. */
bool spf_lint(struct slice domain, struct lookups *lookups, struct arena *arena, struct spf_lint *lint_r);

const char *spf_fault_name(enum spf_fault_code code); /* "pass_all" */

#endif
