/* dkim_sign: DKIM signatures of our own (RFC 6376): relaxed/relaxed, without l=. Fields go in from the lowest up, as
 * verifiers take them (5.4.2). */
#ifndef MAILREEVE_AUTH_DKIM_SIGN_H
#define MAILREEVE_AUTH_DKIM_SIGN_H

#include "lib/auth/dkim_crypto.h"
#include "lib/mail/header.h"

/* Names that h= may have at most. A message has some twenty; a longer h= would be too much for verifiers. */
enum { DKIM_SIGN_NAMES_MAX = 100 };

struct dkim_sign_options {
	const char *const *fields; /* NULL-ended; each one that is there is signed, From always */
	const char *const
	    *oversign;     /* NULL-ended; listed once more than they are there, so that nobody can add one (8.15) */
	uint64_t lifetime; /* seconds from t= to x=; 0: no x= */
	/* The MTA is a Sendmail: it writes lists of addresses anew, with ", " between them, after we have signed; so that
	 * is what is signed. Its limit of a line is 990 bytes. */
	bool sendmail;
};

/* Names that are no part of any signature, whatever `fields` says: trace fields, those that an MTA changes or removes
 * on the way (5.4), results, and signatures. */
bool dkim_sign_excluded(const char *field);

/* What all signatures of one message have in common, hashed once. */
struct dkim_draft;
/* headers: as the message will leave, without the signatures; with a From field. body: in wire form; a missing last
 * line end counts as there, as every MTA adds it. All of them must outlive the draft. now: epoch seconds. */
struct dkim_draft *dkim_sign_begin(struct arena *arena, const struct dkim_sign_options *options,
                                   const struct headers *headers, struct slice body, uint64_t now);

/* The value of a DKIM-Signature field, without the leading space, folded with LF + tab below 78 bytes (but for a domain
 * or a selector that is longer by itself), b= at the end. identity: i=, NULL: none. NULL when libcrypto fails. */
const char *dkim_sign_field(const struct dkim_draft *draft, const char *domain, const char *selector,
                            const char *identity, const struct dkim_private_key *key);

/* A field's value as Sendmail will write it after we have seen it (see `sendmail`); relaxed, it is the same. For seals. */
struct slice dkim_sign_by_sendmail(struct arena *arena, struct slice name, struct slice value);

/* Why the signature might not survive the way, in words, or NULL: lines over 998 bytes (Sendmail: 990; MTAs break
 * them), CR or LF alone and NUL (MTAs replace them), bytes over 127 that no Content-Transfer-Encoding announces,
 * addresses that Sendmail gives a domain, more fields than DKIM_SIGN_NAMES_MAX. None of them keeps a message from being signed, as it is. */
const char *dkim_sign_fragile(const struct dkim_draft *draft);

#endif
