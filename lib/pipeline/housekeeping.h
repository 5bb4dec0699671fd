/* housekeeping: what the daemon does to its store from time to time, in a thread of its own; of a fleet that shares the
 * store, one daemon at a time (store/turn.h). A new task is a row in housekeeping.c. */
#ifndef MAILREEVE_PIPELINE_HOUSEKEEPING_H
#define MAILREEVE_PIPELINE_HOUSEKEEPING_H

#include "lib/pipeline/engine.h"

struct housekeeping;

/* Starts the thread. It asks the engine for its configuration and its store, which must be there until it has stopped.
 * NULL: no thread could be started. */
struct housekeeping *housekeeping_start(struct engine *engine);
/* It looks at once whether there is something to do. Safe from any thread. */
void housekeeping_wake(struct housekeeping *housekeeping);

struct housekeeping_status { /* of a task, as far as this daemon had its turn */
	const char *name;
	int64_t interval;      /* seconds between two turns */
	uint64_t last, next;   /* epoch seconds of the last turn, and of the next that is due; last 0: none yet */
	uint64_t took_ns;      /* the last turn */
	uint64_t turns, failed; /* failed: the store did not take it */
	bool good;             /* the last turn was */
};
typedef void housekeeping_visitor(void *context, const struct housekeeping_status *status);
void housekeeping_each(struct housekeeping *housekeeping, housekeeping_visitor *visit, void *context); /* takes NULL */

/* Waits for a task under way: one bounded write. Takes NULL. */
void housekeeping_stop(struct housekeeping *housekeeping);

#endif
