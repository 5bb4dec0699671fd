/* arc_sealing: the part of stage_arc that adds an ARC Set of our own to mail that goes on (RFC 8617 5.1). */
#ifndef MAILREEVE_PIPELINE_ARC_SEALING_H
#define MAILREEVE_PIPELINE_ARC_SEALING_H

#include "lib/auth/keystore.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_arc.h"

/* Is a set wanted, so that the worker is to hash the body? */
bool arc_sealing_wanted(const struct session *session, const struct arc_settings *settings);

/* The key that seals: the one that seal_selector names (not a retired one); else the active RSA key of seal_domain,
 * which every verifier knows, or its other one. NULL with *problem_r. Lives as long as keys. */
const struct keystore_key *arc_sealing_key(struct arena *arena, const struct keys *keys,
                                           const struct arc_settings *settings, const char **problem_r);

/* When every other stage is done, so that the results are complete and what they change in the header is known: inserts
 * the set on top. Nothing is added to what does not go on, to a chain that could not be judged for a temporary reason,
 * to one that is over, and to one that is full. *problem_r: why there is no set although one is due, or NULL. */
enum stage_progress arc_sealing_end(struct session *session, const struct arc_settings *settings,
                                    const char **problem_r);

#endif
