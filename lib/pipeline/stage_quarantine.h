/* The section quarantine { }: for parting.c and `mailreeve quarantine` too. */
#ifndef MAILREEVE_PIPELINE_STAGE_QUARANTINE_H
#define MAILREEVE_PIPELINE_STAGE_QUARANTINE_H

#include "lib/store/quarantine.h"

enum quarantine_method { QUARANTINE_HOLD, QUARANTINE_STORE };

struct quarantine_settings {
	int method;    /* enum quarantine_method */
	uint64_t keep; /* nanoseconds, like every duration */
	uint64_t message_max, total_max, recipient_max;
	const char *relay; /* see lib/report/submit.h; what it takes comes to the daemon again */
	uint64_t release_time;
};

struct quarantine_limits quarantine_limits_of(const struct quarantine_settings *settings);

/* What parting.c states: the store is down; it is full; the token of a release was used before. */
extern const struct finding_code *const quarantine_unavailable, *const quarantine_full, *const quarantine_spent;

#endif
