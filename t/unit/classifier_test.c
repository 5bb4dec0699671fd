/* The classifier: what holds of it whatever was learnt, and a few messages by hand. */
#include "lib/bayes/classifier.h"
#include "t/tap.h"

#include <math.h>
#include <stdlib.h>

static const struct classifier_counts all = {1000, 2000};

/* Tokens of the text, or of a group. */
static uint64_t in_group(unsigned group, uint64_t number)
{
	return (uint64_t)group << 61 | number;
}

static void test_edges(void)
{
	uint64_t tokens[2] = {in_group(0, 1), in_group(3, 2)};
	struct classifier_counts counts[2] = {{0, 0}, {0, 0}};
	double weights[2] = {9, 9};
	ok(classifier_classify(all, tokens, counts, 0, NULL) == 0.5, "no tokens: nothing is known");
	ok(classifier_classify(all, tokens, counts, 2, weights) == 0.5, "tokens that were never seen: nothing is known");
	ok(weights[0] == 0 && weights[1] == 0, "and they weigh nothing");
	counts[0] = (struct classifier_counts){5, 0};
	struct classifier_counts none = {0, 10};
	ok(classifier_classify(none, tokens, counts, 2, weights) == 0.5, "no spam was learnt: nothing is known");
	ok(weights[0] == 0, "nor does a token weigh anything");
	counts[0] = (struct classifier_counts){UINT32_MAX, UINT32_MAX};
	double p = classifier_classify(all, tokens, counts, 2, weights);
	ok(p > 0 && p < 1 && isfinite(weights[0]), "counts beyond those of all messages are taken for as many");
	struct classifier_counts most = {UINT32_MAX, UINT32_MAX};
	counts[0] = (struct classifier_counts){UINT32_MAX, 0};
	p = classifier_classify(most, tokens, counts, 2, NULL);
	ok(p > 0.5 && p <= 1, "the largest counts");
}

static void test_direction(void)
{
	uint64_t tokens[40];
	struct classifier_counts counts[40];
	double weights[40];
	for (unsigned i = 0; i < 40; i++) {
		tokens[i] = in_group(i % 8, i);
		counts[i] = (struct classifier_counts){40, 1};
	}
	double spam = classifier_classify(all, tokens, counts, 40, weights);
	ok(classifier_class(spam) == CLASSIFIER_IS_SPAM, "tokens of spam: %.4f", spam);
	ok(weights[0] > 0 && weights[39] > 0, "they weigh for spam");
	for (unsigned i = 0; i < 40; i++) {
		counts[i] = (struct classifier_counts){1, 80};
	}
	double ham = classifier_classify(all, tokens, counts, 40, weights);
	ok(classifier_class(ham) == CLASSIFIER_IS_HAM, "tokens of ham: %.4f", ham);
	ok(weights[0] < 0, "they weigh against it");
	for (unsigned i = 0; i < 40; i++) {
		counts[i] = (struct classifier_counts){i % 2 == 0 ? 40 : 1, i % 2 == 0 ? 1 : 80};
	}
	double both = classifier_classify(all, tokens, counts, 40, weights);
	ok(classifier_class(both) == CLASSIFIER_UNSURE, "half of each: %.4f is not sure", both);
	double one = classifier_classify(all, tokens, counts, 1, NULL);
	ok(one < spam, "one token says less than forty: %.4f", one);
}

static void test_salad(void)
{
	enum { SPAM = 150, SALAD = 500 };
	static uint64_t tokens[SPAM + SALAD];
	static struct classifier_counts counts[SPAM + SALAD];
	for (unsigned i = 0; i < SPAM + SALAD; i++) {
		tokens[i] = i < SPAM ? in_group(i % 6, i) : in_group(0, i);
		counts[i] = i < SPAM ? (struct classifier_counts){60, 2} : (struct classifier_counts){2, 300};
	}
	double before = classifier_classify(all, tokens, counts, SPAM, NULL);
	double after = classifier_classify(all, tokens, counts, SPAM + SALAD, NULL);
	ok(classifier_class(before) == CLASSIFIER_IS_SPAM, "spam: %.4f", before);
	ok(classifier_class(after) != CLASSIFIER_IS_HAM, "with 500 words of good mail in its text it is not ham: %.4f",
	   after);
	for (unsigned i = SPAM; i < SPAM + SALAD; i++) {
		counts[i] = (struct classifier_counts){0, 0};
	}
	ok(classifier_classify(all, tokens, counts, SPAM + SALAD, NULL) == before,
	   "words that nobody knows change nothing");
}

static void test_order(void)
{
	uint64_t tokens[3] = {in_group(0, 1), in_group(0, 2), in_group(5, 3)};
	struct classifier_counts counts[3] = {{10, 1}, {3, 40}, {7, 7}};
	uint64_t turned[3] = {tokens[2], tokens[1], tokens[0]};
	struct classifier_counts turned_counts[3] = {counts[2], counts[1], counts[0]};
	double first = classifier_classify(all, tokens, counts, 3, NULL);
	double second = classifier_classify(all, turned, turned_counts, 3, NULL);
	ok(fabs(first - second) < 1e-12, "the order of tokens does not matter");
	ok(classifier_class(CLASSIFIER_SPAM) == CLASSIFIER_IS_SPAM, "the edge of spam");
	ok(classifier_class(CLASSIFIER_HAM) == CLASSIFIER_IS_HAM, "the edge of ham");
	ok(classifier_class(0.5) == CLASSIFIER_UNSURE, "between them");
}

int main(void)
{
	test_edges();
	test_direction();
	test_salad();
	test_order();
	return done_testing();
}
