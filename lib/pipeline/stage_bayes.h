/* stage_bayes: what others need to know of it. */
#ifndef MAILREEVE_PIPELINE_STAGE_BAYES_H
#define MAILREEVE_PIPELINE_STAGE_BAYES_H

#include "lib/pipeline/session.h"
#include "lib/store/bayes.h"

struct bayes_settings {
	uint64_t min_learnt; /* messages of each kind */
	bool per_user;
	double user_weight;             /* a message that a recipient has learnt counts as so many */
	double spam_at, ham_at;         /* probabilities */
	double spam_points, ham_points; /* at 1 and, taken off, at 0 */
	uint64_t cache_size;
	uint64_t keep, expire; /* ns */
};

enum session_bayes_state {
	SESSION_BAYES_NOT_ASKED,   /* outbound, no store, no content */
	SESSION_BAYES_FEW,         /* not enough is learnt */
	SESSION_BAYES_UNAVAILABLE, /* it is not known what was learnt */
	SESSION_BAYES_JUDGED
};

/* What Bayes makes of a message; session->bayes, NULL: not asked. */
struct session_bayes {
	enum session_bayes_state state;
	uint64_t min_learnt;
	struct bayes_counts learnt;        /* FEW, JUDGED */
	double probability;                /* JUDGED: of spam */
	size_t tokens, known;              /* of the message; of these that were learnt */
	const struct bayes_counts *counts; /* of each token */
	const double *weights;             /* explain: of each token (bayes/classifier.h); in the daemon NULL */
};

bool bayes_wants_tokens(const struct session *session);

/* The points of a probability: they grow evenly from -ham_points at 0 to 0 at ham_at, to half of spam_points at spam_at
 * and to all of them at 1. */
double bayes_points(const struct bayes_settings *settings, double probability);

/* The owner whose learnt messages are a recipient's own (store/bayes.h): his address without the subaddress. In arena.
 */
const char *bayes_owner_of(const struct session *session, const struct recipient *recipient);

/* The tokens that weighed most, in readable form: asks a content worker a second time, so only for explain. */
enum { BAYES_WORDS_MAX = 15 };
struct bayes_word {
	const char *text;
	double weight; /* above 0: for spam */
	struct bayes_counts counts;
};
size_t bayes_words(struct session *session, struct bayes_word words_r[BAYES_WORDS_MAX]);

#endif
