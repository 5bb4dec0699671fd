#include "lib/bayes/classifier.h"

#include <math.h>
#include <stdbool.h>

enum { GROUPS = 8, GROUP_SHIFT = 61 };

/* Messages that stand for what is believed of a token before anything is known of it: so few that one which was only in
 * spam, or only in ham, counts much from its first message on. */
#define PRIOR 0.005
/* Weight in favour of "nothing is known", against messages with few known tokens. */
#define DOUBT 1.0
/* The mean weight as logarithm of odds: fitted once to messages that had not been learnt (HACKING). */
#define STEEPNESS 2.0
#define SHIFT 0.0

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
	return counts.spam == 0 && counts.ham == 0 ? 0 : log(share(counts.spam, all.spam) / share(counts.ham, all.ham));
}

double classifier_classify(struct classifier_counts all, const uint64_t *tokens, const struct classifier_counts *counts,
                           size_t count, double *weights_r)
{
	double sum[GROUPS] = {0};  /* of odds, each weighted by its own size */
	double size[GROUPS] = {0}; /* of these weights */
	double total = DOUBT;
	double mean = 0;
	bool learnt = all.spam > 0 && all.ham > 0;
	for (size_t i = 0; learnt && i < count; i++) {
		double odds = token_odds(all, counts[i]);
		sum[tokens[i] >> GROUP_SHIFT] += odds * fabs(odds);
		size[tokens[i] >> GROUP_SHIFT] += fabs(odds);
	}
	for (unsigned group = 0; group < GROUPS; group++) {
		total += sqrt(size[group]);
		mean += size[group] > 0 ? sum[group] / sqrt(size[group]) : 0;
	}
	for (size_t i = 0; weights_r != NULL && i < count; i++) {
		double odds = learnt ? token_odds(all, counts[i]) : 0;
		double of_group = size[tokens[i] >> GROUP_SHIFT];
		weights_r[i] = odds == 0 ? 0 : STEEPNESS * odds * fabs(odds) / sqrt(of_group) / total;
	}
	return learnt ? 1 / (1 + exp(-STEEPNESS * (mean / total - SHIFT))) : 0.5;
}
