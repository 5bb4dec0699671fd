/* stage_sign: the settings that others read: the daemon to open the keys, `mailreeve key` to make them. */
#ifndef MAILREEVE_PIPELINE_STAGE_SIGN_H
#define MAILREEVE_PIPELINE_STAGE_SIGN_H

#include <stdbool.h>
#include <stdint.h>

struct sign_settings {
	const char *keys_dir;
	bool subdomains;            /* a domain without keys uses those of the domain above */
	const char *const *headers; /* signed besides From */
	const char *const *oversign;
	uint64_t lifetime; /* nanoseconds; 0: no x= */
	bool identity;     /* i=@AUTHOR-DOMAIN */
};

#endif
