/* greylist_cause: what makes mail suspicious enough to wait, as an operator writes it in greylist.suspicious:
 *
 *   all               every message
 *   unauthenticated   neither SPF nor DKIM has passed
 *   score 3           the findings' scores come to 3 or more
 *   client.ptr_*      a finding with such a code; * stands for any text */
#ifndef MAILREEVE_PIPELINE_GREYLIST_CAUSE_H
#define MAILREEVE_PIPELINE_GREYLIST_CAUSE_H

#include "lib/base/arena.h"

#include <stdbool.h>

enum greylist_cause_kind { GREYLIST_ALL, GREYLIST_UNAUTHENTICATED, GREYLIST_SCORE, GREYLIST_CODE };
struct greylist_cause {
	enum greylist_cause_kind kind;
	double score;
	const char *text; /* as written, in small letters; of GREYLIST_CODE the pattern */
};
struct greylist_causes {
	size_t count;
	const struct greylist_cause *items;
};

/* An option_parser; member: struct greylist_causes. */
bool greylist_causes_parse(struct arena *arena, const char *const *values, size_t count, void *member,
                           const char **expected_r);
bool greylist_cause_matches(const struct greylist_cause *cause, const char *code);

#endif
