/* stage_virus: the options that the engine hands to the content workers. */
#ifndef MAILREEVE_PIPELINE_STAGE_VIRUS_H
#define MAILREEVE_PIPELINE_STAGE_VIRUS_H

#include <stdbool.h>
#include <stdint.h>

enum virus_engine { VIRUS_LIBCLAMAV, VIRUS_CLAMD };

struct virus_settings {
	int engine;                   /* enum virus_engine */
	const char *clamd_socket;     /* path */
	const char *const *databases; /* ClamAV signature files and folders, NULL-ended */
	bool heuristics;              /* phishing and encrypted-archive heuristics count as found */
	bool pua;                     /* so do signatures of unwanted programs */
	const char *const *ignore;    /* names of signatures, NULL-ended */
	uint64_t check_interval, self_test_interval, max_age; /* nanoseconds; max_age of the official database */
	bool self_test;
};

#endif
