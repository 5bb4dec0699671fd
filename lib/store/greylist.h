/* greylist: who has to wait, who has waited, in the store, where all relays that share it know the same.
 *
 * A key is whatever stands for a sender (stage_greylist.c makes them). It is unknown; then waits (first seen within the
 * retry window, the delay not over); then has passed, for a lifetime that each message begins anew. A network with many
 * keys that have passed passes as a whole. */
#ifndef MAILREEVE_STORE_GREYLIST_H
#define MAILREEVE_STORE_GREYLIST_H

#include "lib/store/store.h"

struct greylist_terms {     /* in seconds */
	uint64_t delay;         /* 1 or more */
	uint64_t window;        /* a second try comes between delay and this */
	uint64_t lifetime;      /* of a pass */
	uint64_t network_after; /* keys of a network that have passed before all of it does; 0: never */
};

enum { GREYLIST_KEY_MAX = 600 };

struct greylist_answer {
	bool pass;
	bool network;   /* because of its network */
	uint64_t first; /* epoch seconds of the first try; now when it is this one */
	uint64_t wait;  /* seconds to wait, when it does not pass */
	uint64_t tries; /* this one included */
};

/* At the time now (epoch seconds). network: the client's, "192.0.2.0/24"; "": unknown. look: writes nothing and says
 * what would be. Anything but STORE_OK: no answer, and nothing is known to be written. */
enum store_result greylist_check(struct store *store, const struct greylist_terms *terms, const char *key,
                                 const char *network, uint64_t now, bool look, struct greylist_answer *answer_r);

/* ---- for the operator ---- */

enum greylist_state { GREYLIST_WAITING, GREYLIST_PASSED, GREYLIST_NETWORK };
struct greylist_row { /* texts live until the call returns */
	struct slice key;
	enum greylist_state state;
	uint64_t first, until; /* epoch seconds: first seen, and when it is forgotten */
	uint64_t tries;
	uint64_t good; /* messages that passed; of a network: keys that did */
};
typedef bool greylist_visit(void *context, const struct greylist_row *row); /* false: no more */

/* Those whose key has `part` in it (NULL: all), newest first, at most `limit`. */
enum store_result greylist_list(struct store *store, const char *part, uint64_t now, uint64_t limit,
                                greylist_visit *visit, void *context);
/* The key itself, and "network:" before it. *count_r: rows that went. */
enum store_result greylist_remove(struct store *store, const char *key, uint64_t *count_r);

struct greylist_counts {
	uint64_t rows[GREYLIST_NETWORK + 1]; /* by state */
};
enum store_result greylist_count(struct store *store, uint64_t now, struct greylist_counts *counts_r);

/* Forgets what is over, and of those that wait the oldest beyond `max`. */
enum store_result greylist_expire(struct store *store, uint64_t now, uint64_t max);

#endif
