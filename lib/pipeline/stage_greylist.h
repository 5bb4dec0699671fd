/* stage_greylist: its settings, for `config check`. */
#ifndef MAILREEVE_PIPELINE_STAGE_GREYLIST_H
#define MAILREEVE_PIPELINE_STAGE_GREYLIST_H

#include "lib/pipeline/greylist_cause.h"

#include <stdint.h>

/* greylist { } */
struct greylist_settings {
	struct greylist_causes suspicious;
	uint64_t delay, retry_window, lifetime; /* nanoseconds */
	uint64_t network_after, rows_max;
};

#endif
