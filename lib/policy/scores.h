/* scores: what the sum of a message's ACTION_SCORE findings leads to: the section scores { }. */
#ifndef MAILREEVE_POLICY_SCORES_H
#define MAILREEVE_POLICY_SCORES_H

#include "lib/policy/option.h"

/* In points; 0: never. */
struct scores {
	double tag;        /* 5 */
	double quarantine; /* 0 */
	double reject;     /* 15 */
};

extern const struct section scores_section;

#endif
