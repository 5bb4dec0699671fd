/* dkim_keys: which keys a message's signatures need, fetched before a worker verifies it (RFC 6376 3.6.2). */
#ifndef MAILREEVE_AUTH_DKIM_KEYS_H
#define MAILREEVE_AUTH_DKIM_KEYS_H

#include "lib/dns/dns.h"
#include "lib/mail/header.h"
#include "lib/mail/taglist.h"

/* So that a request with all of them fits into one packet to a worker (WIRE_PACKET_MAX); an RSA key of 8192 bits has 1408
 * bytes. */
enum { DKIM_MAX_SIGNATURES = 16, DKIM_MAX_KEY = 3072 };

enum dkim_key_status {
	DKIM_KEY_FOUND,
	DKIM_KEY_ABSENT,    /* NXDOMAIN, NODATA: permerror, "no key for signature" */
	DKIM_KEY_TEMPORARY, /* temperror */
	DKIM_KEY_TOO_LONG,  /* over DKIM_MAX_KEY bytes: permerror */
	DKIM_KEY_AMBIGUOUS, /* more than one TXT record that could be a key: permerror (RFC 6376 3.6.2.2 leaves it undefined) */
	DKIM_KEY_UNUSABLE,  /* the signature has no usable d=, s= or q=: nothing was asked */
	DKIM_KEY_HEADER_CUT /* fields of the header were left out, a second From perhaps: nothing was asked, permerror */
};

/* One for each DKIM-Signature field, from the top. */
struct dkim_key {
	const char *domain;   /* d=, canonical, "" when there is none */
	const char *selector; /* s=, "" when there is none */
	const char *name;     /* selector._domainkey.domain */
	enum dkim_key_status status;
	struct slice text; /* the TXT record, for DKIM_KEY_FOUND */
	bool secure;       /* DNSSEC-validated */
};

struct dkim_keys {
	size_t count;
	size_t ignored; /* signatures beyond the bound */
	struct dkim_key items[DKIM_MAX_SIGNATURES];
};

/* How strictly a worker verifies. */
struct dkim_rules {
	unsigned key_bits_min; /* of an RSA key (RFC 8301 3.2: 1024) */
	uint32_t clock_drift;  /* seconds that t= may lie ahead (RFC 6376 3.5); x= counts to the second */
};

/* Reads the d=, s= and q= of the first `max` signatures (1..DKIM_MAX_SIGNATURES); asks nothing. */
void dkim_keys_collect(struct arena *arena, const struct headers *headers, size_t max, struct dkim_keys *keys_r);
/* Asks for all of them at once; false while one is pending. */
bool dkim_keys_resolve(struct dkim_keys *keys, struct lookups *lookups);

/* One key alone: where the d= and s= of these tags say that it is; false, and DKIM_KEY_UNUSABLE, when they do not. */
bool dkim_key_read(struct arena *arena, const struct taglist *tags, struct dkim_key *key_r);
/* Asks for it; false while the answer is pending. */
bool dkim_key_resolve(struct dkim_key *key, struct lookups *lookups);

#endif
