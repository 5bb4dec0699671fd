/* stage_arc: the settings of arc { }. */
#ifndef MAILREEVE_PIPELINE_STAGE_ARC_H
#define MAILREEVE_PIPELINE_STAGE_ARC_H

#include <stdbool.h>

struct arc_settings {
	const char *const *trusted_sealers; /* canonical, NULL-ended; a name below one counts */
	bool seal;
	const char *seal_domain;
	const char *seal_selector; /* "": the domain's active keys */
};

#endif
