/* stage_lists: what of lists { } others need. */
#ifndef MAILREEVE_PIPELINE_STAGE_LISTS_H
#define MAILREEVE_PIPELINE_STAGE_LISTS_H

#include "lib/policy/option.h"

enum { LISTS_PATTERNS_MAX = 100 }; /* header patterns of one owner */

/* lists { } */
struct lists_settings {
	struct option_entries allow, block; /* of everybody's list, besides those in the store */
	uint64_t user_max, domain_max;      /* entries of one owner */
	uint64_t pattern_time;              /* nanoseconds that the header patterns may take for one message */
};

#endif
