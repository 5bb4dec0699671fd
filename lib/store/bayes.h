/* bayes: what has been learnt of good and bad mail. Of each token it is known in how many spam and ham messages it was;
 * of each message that was learnt its digest, its class and its tokens, so that it is learnt once, moves to the other
 * class, and is un-learnt exactly, without the message and whatever the tokeniser has become since.
 *
 * Everything belongs to an owner: "" is all recipients together; "user@example.com" (a canonical address) or
 * "@example.com" is on top of that.
 *
 * A row for each token, with the key (owner, token), and not pages of many tokens: a message asks for some 500 tokens
 * that lie anywhere, so pages would have to be read nearly all, and two that learn would wait for each other's pages.
 * The tokens of a message, or of many messages that are learnt together, go to the database as one blob, which SQL
 * takes apart itself (substr(), get_byte()): one statement instead of hundreds, and the same one for both drivers.
 * HACKING, "How Bayes is stored", has the figures.
 *
 * Who learns adds to store_counter "bayes" first of all, and holds that row until the commit. So learners, on a fleet
 * too, come one after the other, cannot wait for each other in a circle, and the counter is the order of the commits.
 * bayes_change tells caches which tokens are others than before. */
#ifndef MAILREEVE_STORE_BAYES_H
#define MAILREEVE_STORE_BAYES_H

#include "lib/store/store.h"

enum {
	BAYES_DIGEST_SIZE = 32,
	BAYES_OWNER_MAX = 320,   /* bytes of an owner; a longer one is STORE_REFUSED */
	BAYES_OWNERS_MAX = 3,    /* that one query asks for: everybody, the domain, the recipient */
	BAYES_TOKENS_MAX = 4096, /* of a message: INSPECT_TOKENS_MAX */
	BAYES_VERSION_MAX = 1000000
};

enum bayes_class { BAYES_HAM = 1, BAYES_SPAM = 2 };

enum bayes_outcome {
	BAYES_NOT_WRITTEN, /* the store did not take it: the result says why */
	BAYES_LEARNT,      /* it was new */
	BAYES_MOVED,       /* it was learnt as the other class, and is now learnt as this one */
	BAYES_KNOWN,       /* it was learnt as this class already; nothing changed */
	BAYES_UNLEARNT,
	BAYES_NOT_LEARNT, /* un-learn: it is not there */
	BAYES_FORGOTTEN   /* to be moved or un-learnt, but so old that its tokens are no longer kept; nothing changed */
};

/* Learns a message. tokens: each once, in any order, at most BAYES_TOKENS_MAX. version: of the tokeniser, 1 to
 * BAYES_VERSION_MAX. now: epoch seconds. It is on disk when this returns STORE_OK; after STORE_UNAVAILABLE it may be
 * called again in any case. STORE_REFUSED: an argument is out of its limits, too. */
enum store_result bayes_learn(struct store *store, const char *owner, enum bayes_class class, const uint8_t *digest,
                              uint32_t version, const uint64_t *tokens, size_t count, int64_t now,
                              enum bayes_outcome *outcome_r);
enum store_result bayes_unlearn(struct store *store, const char *owner, const uint8_t *digest, int64_t now,
                                enum bayes_outcome *outcome_r);

/* Many at a time: a hundred or so share a transaction, which is some ten times as fast. Digests may come twice; the
 * second is then what comes later. All outcomes are set; after anything but STORE_OK those that are still
 * BAYES_NOT_WRITTEN may be given again. */
struct bayes_message {
	bool unlearn; /* class, version and tokens do not matter then */
	bool only_new; /* one that is there stays as it is, BAYES_KNOWN: a program does not contradict people */
	enum bayes_class class;
	uint8_t digest[BAYES_DIGEST_SIZE];
	uint32_t version;
	const uint64_t *tokens;
	size_t count;
	enum bayes_outcome outcome; /* the answer */
};
enum store_result bayes_learn_many(struct store *store, const char *owner, struct bayes_message *messages, size_t count,
                                   int64_t now);

/* What another filter has learnt: counts of tokens, each token once, at most BAYES_IMPORT_MAX, and of messages; nothing
 * of that can be un-learnt. All of it or nothing. digest: of what is imported; *known_r: it was before, and nothing
 * changed. */
enum { BAYES_IMPORT_MAX = 1 << 20 };
struct bayes_counts {
	uint32_t spam, ham; /* messages */
};
struct bayes_imported {
	uint64_t token;
	struct bayes_counts counts;
};
enum store_result bayes_import(struct store *store, const char *owner, const uint8_t *digest, struct bayes_counts learnt,
                               const struct bayes_imported *tokens, size_t count, int64_t now, bool *known_r);

/* ---- reading ---- */

/* One query: what is known of tokens (count <= BAYES_TOKENS_MAX) by each of up to BAYES_OWNERS_MAX owners. totals_r:
 * messages learnt, one for each owner; counts_r: count of the first owner, then of the second ... */
enum store_result bayes_read(struct store *store, const char *const *owners, size_t owner_count, const uint64_t *tokens,
                             size_t count, struct bayes_counts *totals_r, struct bayes_counts *counts_r);

/* A message that was learnt. */
struct bayes_learnt {
	enum bayes_class class;
	int64_t time;     /* epoch seconds */
	uint32_t version; /* of the tokeniser; 0: its tokens are no longer kept */
};
enum store_result bayes_find(struct store *store, const char *owner, const uint8_t *digest, bool *found_r,
                             struct bayes_learnt *learnt_r);

/* ---- for a cache ---- */

typedef void bayes_token_visit(void *context, uint64_t token, struct bayes_counts counts);
/* An owner's tokens, ascending, at most `limit`, those behind *after; NULL: from the first. */
enum store_result bayes_load(struct store *store, const char *owner, const uint64_t *after, size_t limit,
                             bayes_token_visit *visit, void *context);

/* Each change behind `since`, in the order of their commits, at most a hundred or so. tokens: whose counts are others
 * than before; none: any may be. To be read anew: what this says is that they changed, and not how. Changes are kept
 * for BAYES_CHANGES_S. */
enum { BAYES_CHANGES_S = 3600 };
typedef void bayes_change_visit(void *context, int64_t change, struct slice owner, const uint64_t *tokens,
                                size_t count);
enum store_result bayes_changes(struct store *store, int64_t since, bayes_change_visit *visit, void *context);

/* ---- what goes ---- */

/* Where a walk through all tokens is. All zero: before the first; done: behind the last. */
struct bayes_walk {
	char owner[BAYES_OWNER_MAX + 1];
	uint64_t token;
	bool begun, done;
};
/* A bounded step: removes those that were in one message only, before `before` (epoch seconds). It must not be later
 * than the time up to which bayes_forget() was called: what is un-learnt has its tokens still, then. *removed_r: how
 * many. */
enum store_result bayes_expire(struct store *store, int64_t before, int64_t now, struct bayes_walk *walk,
                               uint64_t *removed_r);
/* A bounded step: the tokens of messages that were learnt before `before` are no longer kept; those stay known. Changes
 * that caches have seen long ago go, too. *more_r: call again. */
enum store_result bayes_forget(struct store *store, int64_t before, int64_t now, bool *more_r);

/* ---- for the operator ---- */

struct bayes_owner {
	struct slice name; /* lives until the call returns */
	struct bayes_counts learnt;
	int64_t changed;       /* epoch seconds */
	uint64_t tokens, once; /* and of these, that were in one message only */
	uint64_t kept;         /* messages that can be un-learnt */
	int64_t oldest;        /* of these, epoch seconds; 0: none */
};
typedef void bayes_owner_visit(void *context, const struct bayes_owner *owner);
/* name NULL: all. It counts, so it takes a while. */
enum store_result bayes_list(struct store *store, const char *name, bayes_owner_visit *visit, void *context);

#endif
