/* stage_virus: the options that the engine hands to the content workers. */
#ifndef MAILREEVE_PIPELINE_STAGE_VIRUS_H
#define MAILREEVE_PIPELINE_STAGE_VIRUS_H

#include <stdbool.h>

struct virus_settings {
	const char *const *databases; /* ClamAV signature files and folders, NULL-ended */
	bool heuristics;              /* phishing and encrypted-archive heuristics count as found */
};

#endif
