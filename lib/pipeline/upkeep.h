/* upkeep: what the daemon does for its store now and then, in a thread of its own: the quarantine's copies that have
 * had their time. Daemons that share a store may all do it. */
#ifndef MAILREEVE_PIPELINE_UPKEEP_H
#define MAILREEVE_PIPELINE_UPKEEP_H

#include "lib/pipeline/engine.h"

struct upkeep;

struct upkeep *upkeep_start(struct engine *engine); /* the engine has a store; NULL: no thread, which is logged */
void upkeep_stop(struct upkeep *upkeep);            /* waits for what is under way; takes NULL */

#endif
