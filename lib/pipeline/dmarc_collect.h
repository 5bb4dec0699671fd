/* dmarc_collect: a message's part of the aggregate report to the domain whose DMARC record was applied. */
#ifndef MAILREEVE_PIPELINE_DMARC_COLLECT_H
#define MAILREEVE_PIPELINE_DMARC_COLLECT_H

#include "lib/pipeline/session.h"
#include "lib/report/dmarc_reports.h"

/* After the verdict. Nothing where reports are not made, or not asked for; for a message that is put off, which will come
 * again; and for one to the address that our own reports come from (RFC 9990 4.1: no report about a report). Never waits. */
void dmarc_collect(struct session *session);

/* Is it a message that its domain may be told about at all? */
bool dmarc_collect_concerns(const struct session *session, const struct dmarc_reports_options *options);

#endif
