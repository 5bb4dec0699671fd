#include "lib/bayes/classifier.h"

#include <math.h>
#include <stdbool.h>

enum { GROUPS = 8, GROUP_SHIFT = 61 };

/* Messages that stand for what is believed of a token before anything is known of it: so few that one which was only in
 * spam, or only in ham, counts much from its first message on. */
#define PRIOR 0.005
/* How the weight of a place grows with what was found there: with 1 a text of a thousand words would be all that
 * counts, and so would the words that somebody adds to it; with 0 a single word would count as much as a text. */
#define GROUP_GROWTH 0.4
/* Weight in favour of "nothing is known", against messages with few known tokens. */
#define DOUBT 1.0
/* What one token may say for spam, and for ham. Less for ham: words of good mail are what a spammer adds. */
#define ODDS_SPAM 8.0
#define ODDS_HAM 5.0
/* The mean weight as logarithm of odds: fitted once to messages that had not been learnt (HACKING). */
#define STEEPNESS 1.65
#define SHIFT 1.2

enum classifier_class classifier_class(double probability)
{
	if (probability >= CLASSIFIER_SPAM) {
		return CLASSIFIER_IS_SPAM;
	}
	return probability <= CLASSIFIER_HAM ? CLASSIFIER_IS_HAM : CLASSIFIER_UNSURE;
}

static double share(uint32_t of, uint32_t all)
{
	double n = of < all ? of : all;
	return (n + PRIOR) / ((double)all + 2 * PRIOR);
}

/* Logarithm of the odds by one token alone. */
static double token_odds(struct classifier_counts all, struct classifier_counts counts)
{
	if (counts.spam == 0 && counts.ham == 0) {
		return 0;
	}
	return fmax(-ODDS_HAM, fmin(ODDS_SPAM, log(share(counts.spam, all.spam) / share(counts.ham, all.ham))));
}

double classifier_classify(struct classifier_counts all, const uint64_t *tokens, const struct classifier_counts *counts,
                           size_t count, double *weights_r)
{
	double sum[GROUPS] = {0};    /* of odds, each weighted by its own square */
	double size[GROUPS] = {0};   /* of these weights */
	double weight[GROUPS] = {0}; /* of the group */
	double total = DOUBT;
	double mean = 0;
	bool learnt = all.spam > 0 && all.ham > 0;
	for (size_t i = 0; learnt && i < count; i++) {
		double odds = token_odds(all, counts[i]);
		sum[tokens[i] >> GROUP_SHIFT] += odds * odds * odds;
		size[tokens[i] >> GROUP_SHIFT] += odds * odds;
	}
	for (unsigned group = 0; group < GROUPS; group++) {
		if (size[group] > 0) {
			weight[group] = pow(size[group], GROUP_GROWTH);
			total += weight[group];
			mean += weight[group] * sum[group] / size[group];
		}
	}
	for (size_t i = 0; weights_r != NULL && i < count; i++) {
		double odds = learnt ? token_odds(all, counts[i]) : 0;
		size_t group = tokens[i] >> GROUP_SHIFT;
		weights_r[i] = odds == 0 ? 0 : STEEPNESS * weight[group] * odds * odds * odds / size[group] / total;
	}
	return learnt ? 1 / (1 + exp(-STEEPNESS * (mean - SHIFT * (total - DOUBT)) / total)) : 0.5;
}
