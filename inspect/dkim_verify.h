/* dkim_verify: DKIM signatures (RFC 6376) through the fenced libopendkim (DESIGN.md section 4). */
#ifndef MAILREEVE_INSPECT_DKIM_VERIFY_H
#define MAILREEVE_INSPECT_DKIM_VERIFY_H

#include "lib/inspect/inspect.h"

/* Once a process. */
bool dkim_verify_init(void);

/* One result for each key, in the order of the DKIM-Signature fields. message: in wire form. now: epoch seconds. */
void dkim_verify_message(struct slice message, const struct dkim_keys *keys, const struct dkim_rules *rules,
                         uint64_t now, struct arena *arena, struct inspect_reply *reply_r);

#endif
