/* explain_bayes: what Bayes makes of a message, for `mailreeve explain`. */
#ifndef MAILREEVE_CTL_EXPLAIN_BAYES_H
#define MAILREEVE_CTL_EXPLAIN_BAYES_H

#include "lib/pipeline/session.h"

#include <jansson.h>
#include <stdio.h>

/* probability (null: no verdict), learnt {spam, ham}, problem, tokens [{token, weight, spam, ham}]; null: not asked. */
json_t *explain_bayes_json(struct session *session);
const char *explain_bayes_text(struct session *session);
/* The tokens that weighed most, one on a line. */
void explain_bayes_print(struct session *session, FILE *out);

#endif
