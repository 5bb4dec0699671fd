/* logging: how the log is configured: section log { }, and levels that are changed while the daemon runs. */
#ifndef MAILREEVE_PIPELINE_LOGGING_H
#define MAILREEVE_PIPELINE_LOGGING_H

#include "lib/base/arena.h"
#include "lib/policy/config.h"

/* log { } */
struct logging_options {
	int format;                /* enum log_form: text */
	const char *const *stages; /* "spf=debug" */
	uint64_t repeats;          /* 20: lines of one kind in ten seconds; 0: all */
};
extern const struct section logging_section;

/* Form, levels and repeats as configured: what was set by logging_set_level() is forgotten. */
void logging_apply(const struct config *config);
/* stage NULL: everything. NULL, or what is wrong, in arena. */
const char *logging_set_level(const char *stage, const char *level, struct arena *arena);
/* "all info", then a line for each stage that differs. */
const char *logging_levels(struct arena *arena);

#endif
