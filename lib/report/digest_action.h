/* digest_action: does what a token asks for (store/action_token.h). Whoever calls it has made sure that the user
 * himself asks: pipeline/stage_digest.c for replies; the console for a POST of one who followed the link. Nothing here
 * can do more than the user may: a release lifts nothing that is enforced (the gate judges the message again), and an
 * entry goes into his own list and within its limits. */
#ifndef MAILREEVE_REPORT_DIGEST_ACTION_H
#define MAILREEVE_REPORT_DIGEST_ACTION_H

#include "lib/report/digest.h"
#include "lib/report/release.h"
#include "lib/store/lists.h"

struct digest_action {
	const struct digest_reporter *reporter;
	struct release release;          /* .by and .now are set here */
	struct store_lists_limits lists; /* of his list */
};

enum digest_done {
	DIGEST_DONE,
	DIGEST_DONE_BEFORE, /* there is nothing left to do: released or deleted already */
	DIGEST_EXPIRED,     /* the token was good once */
	DIGEST_UNKNOWN,     /* it never was, or is not any more */
	DIGEST_FORBIDDEN,   /* the gate does not let that message through, the list is full, or an enforced block stands */
	DIGEST_NOT_NOW      /* the store or the relay: later */
};
/* For the words of an answer: "done", "before" ... */
const char *digest_done_name(enum digest_done done);

/* Is it a token of ours? *link_r: what it is about, in arena: whose it is (link_r->owner), so that a caller can
 * compare. DIGEST_DONE: it is good now. */
enum digest_done digest_action_look(struct store *store, struct arena *arena, const struct action_token *token,
                                    int64_t now, struct digest_link *link_r);

/* Does it. The same token again does no harm: DIGEST_DONE_BEFORE, or the same once more. by: for the record. */
enum digest_done digest_action_run(const struct digest_action *action, struct arena *arena,
                                   const struct action_token *token, const char *by, struct digest_link *link_r);

/* The next reply that was taken, and the answer to it. *more_r: there was one. */
enum store_result digest_action_step(const struct digest_action *action, bool *more_r);

#endif
