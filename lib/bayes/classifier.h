/* classifier: how likely it is that a message with these tokens is spam, by what was learnt before. Pure mathematics.
 *
 * Naive Bayes with two changes. Each token's odds, of its share of the learnt spam and of the learnt ham, are weighted
 * by their own square, so that a thousand words that say little do not outvote ten that say much; and each place of the
 * message (text, subject, sender, other fields, links ...: the group of a token) has a mean of its own, whose weight
 * grows slowly with what was found there: tokens of one place depend on each other, places hardly. The mean of those is
 * a logarithm of odds after one fit of two numbers.
 *
 * It needs nothing but counts, so that the order of learning does not matter and a message can be unlearnt exactly. It
 * was chosen by measurement (HACKING, "How Bayes decides"), on the very messages that it was tuned on: there it missed
 * less spam than plain naive Bayes and Robinson's chi-square did at as few false positives. */
#ifndef MAILREEVE_BAYES_CLASSIFIER_H
#define MAILREEVE_BAYES_CLASSIFIER_H

#include <stddef.h>
#include <stdint.h>

/* Of one token, or of all: learnt messages. A token's counts are never more than those of all; where they are (a store
 * that lost rows) they are taken for as many. */
struct classifier_counts {
	uint32_t spam;
	uint32_t ham;
};

/* Beyond these a message is spam or ham; between them nothing is sure. */
#define CLASSIFIER_SPAM 0.95
#define CLASSIFIER_HAM 0.05

enum classifier_class { CLASSIFIER_IS_HAM, CLASSIFIER_UNSURE, CLASSIFIER_IS_SPAM };

enum classifier_class classifier_class(double probability);

/* Probability of spam, 0..1; 0.5 where nothing was learnt of either kind, or no token was seen before. tokens: those of
 * the message, in any order (the three top bits are the group, inspect.h); counts: of each, {0, 0} for one never seen.
 * weights_r: NULL, or room for `count`: what each token added to the logarithm of the odds (natural): above 0 for spam,
 * 0 for one that was never seen. */
double classifier_classify(struct classifier_counts all, const uint64_t *tokens, const struct classifier_counts *counts,
                           size_t count, double *weights_r);

#endif
