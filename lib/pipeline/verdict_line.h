/* verdict_line: the one line of log for each message. */
#ifndef MAILREEVE_PIPELINE_VERDICT_LINE_H
#define MAILREEVE_PIPELINE_VERDICT_LINE_H

#include "lib/pipeline/session.h"

/* "QUEUEID: verdict=... id=... ..." : key=value, values with blanks or quotes in double quotes, all bytes from the
 * network escaped, recipients beyond the first only counted. The same fields where the log is JSON or the journal. */
void verdict_line_log(struct session *session);

/* The same for a recipient that is refused at RCPT: "... at=rcpt". */
void verdict_line_log_rcpt(struct session *session, const struct recipient *recipient);

/* A finding, where its stage is logged at level debug. */
void verdict_line_debug(struct session *session, const struct finding *finding);

#endif
