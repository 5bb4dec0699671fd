/* dmarc_library: the same question put to libopendmarc, in a form in which it cannot differ (DESIGN.md section 4). */
#ifndef MAILREEVE_AUTH_DMARC_LIBRARY_H
#define MAILREEVE_AUTH_DMARC_LIBRARY_H

#include "lib/auth/dmarc.h"

/* verdict: ours, pass or fail. Logs and counts a disagreement; ours stands. Returns whether the library agrees. */
bool dmarc_library_agrees(struct arena *arena, const struct dmarc_verdict *verdict);

/* Disagreements since the start of the process. */
unsigned long dmarc_library_disagreements(void);

#endif
