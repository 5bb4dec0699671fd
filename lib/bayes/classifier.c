#include "lib/bayes/classifier.h"

#include <math.h>

/* Counts that stand for what is believed of a token before anything is known of it. */
#define PRIOR 0.5
/* Tokens of one message are not independent of each other: their sum says more than is known. */
#define SCALE 0.1

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

double classifier_classify(struct classifier_counts all, const struct classifier_counts *tokens, size_t count,
                           double *weights_r)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++) {
		double weight = 0;
		if (all.spam > 0 && all.ham > 0 && tokens[i].spam + tokens[i].ham > 0) {
			weight = SCALE * log(share(tokens[i].spam, all.spam) / share(tokens[i].ham, all.ham));
		}
		sum += weight;
		if (weights_r != NULL) {
			weights_r[i] = weight;
		}
	}
	return 1 / (1 + exp(-sum));
}
