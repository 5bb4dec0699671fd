/* attached: messages that are attached to a message (message/rfc822), for who reports them by forwarding. */
#ifndef MAILREEVE_INSPECT_ATTACHED_H
#define MAILREEVE_INSPECT_ATTACHED_H

#include "inspect/part.h"

/* The nth (from 1) that is attached to the message itself, not to another attached one; a copy, in arena. Empty: there
 * is none. count_r: how many there are, at most INSPECT_ATTACHED_MAX. */
struct slice attached_find(struct slice message, unsigned n, struct part_budget *budget, struct arena *arena,
                           unsigned *count_r);

#endif
