/* dmarc_failure_collect: a failure report to the domain whose DMARC record was applied, where it asks for one (ruf=, fo=). */
#ifndef MAILREEVE_PIPELINE_DMARC_FAILURE_COLLECT_H
#define MAILREEVE_PIPELINE_DMARC_FAILURE_COLLECT_H

#include "lib/pipeline/session.h"

/* After the verdict. Nothing unless dmarc_reports.failure says so; nor for the null path, for a message to the address that
 * our own reports come from, or one that is put off. Never waits. */
void dmarc_failure_collect(struct session *session);

#endif
