/* arc_keys: which keys a message's ARC chain needs, fetched before a worker verifies it. */
#ifndef MAILREEVE_AUTH_ARC_KEYS_H
#define MAILREEVE_AUTH_ARC_KEYS_H

#include "lib/auth/dkim_keys.h"

enum {
	ARC_MAX_KEYS = 51,            /* every seal's, and the newest message signature's */
	ARC_MAX_KEYS_TEXT = 80 * 1024 /* bytes of all records: beyond it a key is DKIM_KEY_TOO_LONG */
};

/* Each name once. */
struct arc_keys {
	bool any; /* the message has ARC fields: without, there is no chain to verify */
	size_t count;
	struct dkim_key items[ARC_MAX_KEYS];
};

/* Reads d= and s= of every ARC-Seal, of the newest ARC-Message-Signature and, as far as there is room, of the older
 * ones, which tell the oldest pass. A chain that is over, or is none (arc_chain.h), needs no key. Asks nothing. */
void arc_keys_collect(struct arena *arena, const struct headers *headers, struct arc_keys *keys_r);
/* Asks for all of them at once; false while one is pending. */
bool arc_keys_resolve(struct arc_keys *keys, struct lookups *lookups);

#endif
