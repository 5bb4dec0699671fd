/* spf_record: our own reading of an SPF record by the ABNF of RFC 7208 section 12. */
#ifndef MAILREEVE_AUTH_SPF_RECORD_H
#define MAILREEVE_AUTH_SPF_RECORD_H

#include "lib/base/ip.h"
#include "lib/base/slice.h"

enum spf_term_kind {
	SPF_TERM_ALL,
	SPF_TERM_INCLUDE,
	SPF_TERM_A,
	SPF_TERM_MX,
	SPF_TERM_PTR,
	SPF_TERM_IP,
	SPF_TERM_EXISTS
};

struct spf_term {
	enum spf_term_kind kind;
	char qualifier;            /* + - ~ ? */
	struct slice text;         /* the directive as published */
	struct slice domain;       /* domain-spec, a macro string; empty: the current domain */
	struct ip_network network; /* SPF_TERM_IP; host bits are cleared. ip6 stays IPv6, ::ffff:a.b.c.d too */
	unsigned prefix4, prefix6; /* SPF_TERM_A, SPF_TERM_MX */
};

/* Would every client of that family, or a large part of the Internet, match the term? all; ip4, a and mx with a prefix
 * under /8, for IPv6 under /16; exists of a name that is the same for all. IP_UNKNOWN: of any family. Whether the qualifier is
 * "+" is another matter. */
bool spf_term_is_open(const struct spf_term *term, enum ip_family family);

struct spf_record {
	size_t count;
	struct spf_term *terms;
	struct slice redirect; /* domain-spec; data NULL: none */
	struct slice exp;      /* likewise */
};

/* Is this TXT record an SPF record (4.5): "v=spf1" and then a space or the end? */
bool spf_record_is(struct slice text);

/* A longer record is in error (RFC 7208 3.4 advises 450 bytes): the memory and the time of a check hang on it. */
enum { SPF_RECORD_MAX = 16384 };

/* True, or false with *problem_r a text for people: the record is in error (permerror). Memory from arena; slices point
 * into text. */
bool spf_record_parse(struct arena *arena, struct slice text, struct spf_record *record_r, const char **problem_r);

#endif
