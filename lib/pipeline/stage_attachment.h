/* stage_attachment: which finding stands for which class of files. */
#ifndef MAILREEVE_PIPELINE_STAGE_ATTACHMENT_H
#define MAILREEVE_PIPELINE_STAGE_ATTACHMENT_H

#include "lib/inspect/file_class.h"
#include "lib/policy/finding.h"

const struct finding_code *attachment_code(enum file_class class);

#endif
