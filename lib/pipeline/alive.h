/* alive: does each part of the engine make progress? For the service manager's watchdog: what hangs is ended and started
 * again; what is only down (no resolver answers, no database, no virus database) would not be better for it. */
#ifndef MAILREEVE_PIPELINE_ALIVE_H
#define MAILREEVE_PIPELINE_ALIVE_H

#include "lib/pipeline/engine.h"

struct alive {
	struct engine *engine;
	uint64_t worked;    /* what the content workers had done */
	uint64_t worked_at; /* when that was last more than before, monotonic; 0: not asked yet */
};

/* Asks the resolver, the store's threads and a content worker, one after the other, each for patience nanoseconds at most.
 * Workers that are all busy are given content.deadline besides. NULL: all do. Else the name of the first that does not, a
 * static text. *alive is zero but for engine at the first call. */
const char *alive_check(struct alive *alive, uint64_t patience);

#endif
