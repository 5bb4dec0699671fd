/* stage_digest: the section digest { }, and what housekeeping and parting need of it. */
#ifndef MAILREEVE_PIPELINE_STAGE_DIGEST_H
#define MAILREEVE_PIPELINE_STAGE_DIGEST_H

#include "lib/pipeline/engine.h"
#include "lib/report/digest_action.h"

struct session;

/* The store does not take what a reply asks for. */
extern const struct finding_code *const digest_unavailable;

/* What a session has to do with reports. */
struct digest_reply {
	size_t recipient; /* index */
	struct action_token token;
	bool taken; /* it is the user's own, and is carried out once the verdict takes it */
	struct digest_reply *next;
};
struct digest_state {
	struct digest_reply *replies;
	const char *nonce, *owner; /* of a report of ours that goes out; NULL: it is none */
};

/* After the verdict: writes down, durably, what the replies that it takes ask for, and that a report goes out. False:
 * the store does not take it. */
bool stage_digest_commit(struct session *session);

/* What reports are made from, by a snapshot. False: none are made. Strings live as long as config and arena. */
bool stage_digest_reporter(const struct config *config, struct store *store, int64_t now, struct arena *arena,
                           struct digest_reporter *reporter_r);
/* The same with what carries out. reporter: filled by the above, and borrowed. */
void stage_digest_action(const struct config *config, const struct digest_reporter *reporter,
                         struct digest_action *action_r);

#endif
