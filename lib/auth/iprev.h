/* iprev: does the client's address have a name that leads back to it (RFC 8601 2.7.3, "forward-confirmed reverse DNS")?
 */
#ifndef MAILREEVE_AUTH_IPREV_H
#define MAILREEVE_AUTH_IPREV_H

#include "lib/base/ip.h"
#include "lib/dns/dns.h"
#include "lib/mail/authres.h"

enum {
	IPREV_MAX_NAMES = 10
}; /* names of one address that are looked at, in the order of the answer; RFC 7208 5.5's limit */

struct iprev_request {
	struct ip client; /* IPv4 or IPv6 */
	const char *hint; /* what somebody else says its name is, taken where the DNS has no answer; "": nothing */
	bool verified;    /* the MTA has led the hint back to the address itself: nothing is asked */
};

struct iprev_verdict {
	enum auth_result result; /* pass; fail: no name leads back; permerror: there is no name; temperror: DNS failed */
	const char *name;        /* pass: the name that leads back; else the first that is no junk, "" when there is none */
	const char *const *names; /* all that were looked at, lower case */
	size_t name_count;
	const char *problem; /* why it is no pass; NULL for pass */
};

/* False while answers are pending: call again with the same request when lookups have come. On true *verdict_r is set;
 * its strings live in arena. Thread-safe. */
bool iprev_check(const struct iprev_request *request, struct lookups *lookups, struct arena *arena,
                 struct iprev_verdict *verdict_r);

#endif
