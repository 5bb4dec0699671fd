/* check_limits: warnings of `config check` about rate limits and greylisting, to standard output. */
#ifndef MAILREEVE_CTL_CHECK_LIMITS_H
#define MAILREEVE_CTL_CHECK_LIMITS_H

#include "lib/policy/config.h"

void check_limits(const struct config *config);

#endif
