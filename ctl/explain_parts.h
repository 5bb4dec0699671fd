/* explain_parts: the files that a message carries, for `mailreeve explain`. */
#ifndef MAILREEVE_CTL_EXPLAIN_PARTS_H
#define MAILREEVE_CTL_EXPLAIN_PARTS_H

#include "lib/pipeline/session.h"

#include <jansson.h>
#include <stdio.h>

/* An array with an object for each but the texts of the message itself: names[], type (by content), declared, size, path[] (of the files it is in, outermost
 * first), encrypted, classes[], blocked. */
json_t *explain_parts_json(struct session *session);
/* All of them, as a tree. */
void explain_parts_print(struct session *session, FILE *out);

#endif
