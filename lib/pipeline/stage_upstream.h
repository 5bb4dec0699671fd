/* stage_upstream: the options of upstream { }. */
#ifndef MAILREEVE_PIPELINE_STAGE_UPSTREAM_H
#define MAILREEVE_PIPELINE_STAGE_UPSTREAM_H

#include "lib/pipeline/upstream_rules.h"

struct upstream_settings {
	struct upstream_guard guard;
	struct upstream_trusted trusted;
	bool private_hops;
	bool guard_postmaster;
};

#endif
