/* stage_message: the finding that session.c itself states. */
#ifndef MAILREEVE_PIPELINE_STAGE_MESSAGE_H
#define MAILREEVE_PIPELINE_STAGE_MESSAGE_H

#include "lib/policy/finding.h"

extern const struct finding_code *const message_undecided;

#endif
