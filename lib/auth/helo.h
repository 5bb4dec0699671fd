/* helo: what a client calls itself (RFC 5321 4.1.1.1, 4.1.3): is it a name or an address at all, and is it this
 * client's? */
#ifndef MAILREEVE_AUTH_HELO_H
#define MAILREEVE_AUTH_HELO_H

#include "lib/base/ip.h"
#include "lib/dns/dns.h"

/* What is said, by its form alone. */
enum helo_form {
	HELO_NAME,         /* a domain name of two labels or more */
	HELO_UNQUALIFIED,  /* one label: "localhost", "DESKTOP-7Q3" */
	HELO_UNDERSCORE,   /* would be a name, but for underscores */
	HELO_LITERAL,      /* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
	HELO_BARE_ADDRESS, /* an address without brackets, or an IPv6 literal without its tag */
	HELO_MALFORMED /* anything else: other bytes, an empty or overlong label, a hyphen at its end, digits alone as last
	                  label */
};

struct helo {
	enum helo_form form;
	const char *name;  /* canonical (mail/domain.h); NULL unless HELO_NAME or HELO_UNDERSCORE */
	struct ip address; /* of a literal or a bare address */
};

/* text: as given, any bytes. A final dot is let through, as are U-labels (RFC 6531 3.7.1). Memory from arena. */
void helo_parse(struct arena *arena, const char *text, struct helo *helo_r);

enum helo_match {
	HELO_MATCHES,      /* leads to the client: by an address of its own or of one of its mail exchangers */
	HELO_ELSEWHERE,    /* leads to other addresses only */
	HELO_UNRESOLVED,   /* has neither an address nor a mail exchanger */
	HELO_NOT_LOOKED_UP /* DNS failed before that was clear */
};

enum { HELO_MAX_EXCHANGERS = 5 }; /* mail exchangers whose addresses are looked at */

/* Where a name leads. False while answers are pending: call again when lookups have come. *detail_r: what was seen,
 * from arena or static. Thread-safe. */
bool helo_resolve(const char *name, const struct ip *client, struct lookups *lookups, struct arena *arena,
                  enum helo_match *match_r, const char **detail_r);

#endif
