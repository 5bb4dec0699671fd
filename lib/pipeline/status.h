/* status: how the daemon does, as one JSON object: for `mailreeve status` and `mailreeve top`. Its keys are told in
 * mailreeve(1). */
#ifndef MAILREEVE_PIPELINE_STATUS_H
#define MAILREEVE_PIPELINE_STATUS_H

#include "lib/pipeline/engine.h"

/* Of a daemon's engine; in arena. Waits wait_ns at most for the resolver (health_run()). */
const char *status_json(struct engine *engine, uint64_t wait_ns, struct arena *arena);

#endif
