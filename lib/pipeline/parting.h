/* parting: carries out delivery.h for a session: what all recipients' verdicts come to, whose copy is stored before the
 * MTA gets its answer, and who is removed from the envelope. */
#ifndef MAILREEVE_PIPELINE_PARTING_H
#define MAILREEVE_PIPELINE_PARTING_H

#include "lib/pipeline/session.h"

/* After session_judge(). Sets session->answer, ->verdict and recipients[].fate, and stores what is to be stored; where
 * that fails it judges again. Nothing is written but by the daemon. */
void parting_decide(struct session *session);

/* The edits that remove recipients; behind all others. */
void parting_edit(struct session *session);

#endif
