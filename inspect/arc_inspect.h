/* arc_inspect: the ARC chain of a message (RFC 8617), and what a seal of our own needs of its body. */
#ifndef MAILREEVE_INSPECT_ARC_INSPECT_H
#define MAILREEVE_INSPECT_ARC_INSPECT_H

#include "lib/inspect/inspect.h"

/* Fills arc (INSPECT_ARC) and body_digest (INSPECT_BODY) of *reply_r. message: in wire form. */
void arc_inspect_message(const struct inspect_request *request, struct slice message, struct arena *arena,
                         struct inspect_reply *reply_r);

#endif
