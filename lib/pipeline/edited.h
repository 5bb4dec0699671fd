/* edited: the header as it will leave. */
#ifndef MAILREEVE_PIPELINE_EDITED_H
#define MAILREEVE_PIPELINE_EDITED_H

#include "lib/pipeline/session.h"

/* The message's header with all edits made that the session has so far. Values point into the message's and the edits'
 * own; inserted ones get the leading space and CRLF folds. In the session's arena. */
void edited_headers(const struct session *session, struct headers *headers_r);

#endif
