/* pipeline: runs the stages over a session. */
#ifndef MAILREEVE_PIPELINE_PIPELINE_H
#define MAILREEVE_PIPELINE_PIPELINE_H

#include "lib/pipeline/session.h"

/* Does the stage run for this session (its mode and the direction)? */
bool pipeline_runs(const struct session *session, const struct stage *stage);

/* Its mode in the session's snapshot. */
enum stage_mode pipeline_mode(const struct session *session, const struct stage *stage);

/* Calls each stage's hook of the phase once. Never waits. */
void pipeline_advance(struct session *session, enum phase phase);

/* PHASE_END: calls the hooks until all are done. Waits for DNS until dns.deadline, after which every open question is
 * answered "temporary", so that each stage comes to an end. False when a stage is still not done then (a bug). */
bool pipeline_finish(struct session *session);

#endif
