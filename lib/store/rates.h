/* rates: the buckets, windows and locks behind rate.limits (lib/policy/rate_rule.h), in the store, where all relays
 * that share it count together. One check is one batch, so that of 2N at once exactly N pass. A bucket that is full
 * again says nothing, and is forgotten.
 *
 * A bucket is a time: the moment at which it will be full again. Taking moves it into the future; what would move it
 * further than the capacity is refused, and takes nothing. */
#ifndef MAILREEVE_STORE_RATES_H
#define MAILREEVE_STORE_RATES_H

#include "lib/policy/rate_rule.h"
#include "lib/store/store.h"

enum { RATES_NAME_MAX = 254, RATES_CHECKS_MAX = 64 };

struct rates_check {
	const struct rate_rule *rule;
	const char *key;   /* the rule's text with its direction: "outbound user 100/1h" */
	const char *name;  /* whose bucket; at most RATES_NAME_MAX bytes count */
	uint64_t units;    /* buckets: how many; more than the burst are taken as the burst */
	const char *value; /* windows: what is seen */
	bool look;         /* take nothing: would it be allowed? There units may be more than the burst, and are not allowed then;
	                      for windows they are other new values that would have come before this one */

	/* Answers */
	bool allowed;
	bool fresh;    /* windows, look: allowed, and not there yet */
	uint64_t left; /* units still in the bucket; of a window 0 */
	uint64_t wait; /* seconds until it would be allowed; 0: not known */
};

/* Answers up to RATES_CHECKS_MAX checks at the time now (epoch seconds). Only those that do not `look` write. Anything
 * but STORE_OK: no answer is set and nothing was taken. */
enum store_result rates_check(struct store *store, struct rates_check *checks, size_t count, uint64_t now);

/* Gives back what those that were allowed have taken, soon. */
void rates_refund(struct store *store, const struct rates_check *checks, size_t count);

/* Takes without asking, down to an empty bucket, soon: for what has happened already. */
void rates_charge(struct store *store, const struct rates_check *check, uint64_t now);

/* ---- locks: authenticated users who may send nothing ---- */

struct rates_lock {
	char name[RATES_NAME_MAX + 1];
	char reason[256];
	uint64_t since, until; /* epoch seconds; until 0: not locked */
};

enum store_result rates_lock_find(struct store *store, const char *name, uint64_t now, struct rates_lock *lock_r);
/* One that is there is made longer, never shorter, and keeps its reason. */
enum store_result rates_lock(struct store *store, const char *name, const char *reason, uint64_t now, uint64_t until);

/* ---- for the operator ---- */

/* Texts live until the call returns. False: no more. */
struct rates_row {
	struct slice key, name;
	bool window;
	uint64_t full_at; /* buckets: nanoseconds since the epoch */
	uint64_t seen;    /* windows: how many different ones */
	uint64_t refused; /* buckets: since it was last full */
};
typedef bool rates_visit(void *context, const struct rates_row *row);
typedef bool rates_lock_visit(void *context, const struct rates_lock *lock);

/* name NULL: all, most refusals first, at most `limit`. */
enum store_result rates_list(struct store *store, const char *name, uint64_t now, uint64_t limit, rates_visit *visit,
                             void *context);
enum store_result rates_list_locks(struct store *store, const char *name, uint64_t now, rates_lock_visit *visit,
                                   void *context);
/* Fills the buckets of that name and lifts its lock. *count_r: rows that went. */
enum store_result rates_reset(struct store *store, const char *name, uint64_t *count_r);

/* Forgets what is full or over, and the oldest beyond `max` buckets, and values in windows. */
enum store_result rates_expire(struct store *store, uint64_t now, uint64_t max);

#endif
