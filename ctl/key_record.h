/* key_record: a key's record in the DNS (RFC 6376 3.6.1): as it should be, and as it is. */
#ifndef MAILREEVE_CTL_KEY_RECORD_H
#define MAILREEVE_CTL_KEY_RECORD_H

#include "lib/auth/keystore.h"
#include "lib/dns/dns.h"

#include <stdio.h>

/* "v=DKIM1; k=rsa; p=..." */
const char *key_record_text(const struct dkim_private_key *key, struct arena *arena);
/* "selector._domainkey.domain" */
const char *key_record_name(const struct key_name *name, struct arena *arena);
/* In master-file form, strings of 255 bytes at most (RFC 1035 3.3.14), and the bare value. */
void key_record_print(const struct keystore_key *item, struct arena *arena, FILE *out);

struct key_publication {
	bool published;   /* there is one record, and it verifies what the key signs */
	const char *text; /* what is there, in words */
};
/* Asks the DNS. Waits until the deadline (monotonic) at most. Strings in arena. */
void key_record_check(const struct keystore_key *item, struct lookups *lookups, uint64_t deadline, struct arena *arena,
                      struct key_publication *publication_r);

/* NULL, or why a record with that text does not go with the key. *testing_r: it says t=y. */
const char *key_record_problem(const struct dkim_private_key *key, struct slice text, struct arena *arena,
                               bool *testing_r);

#endif
