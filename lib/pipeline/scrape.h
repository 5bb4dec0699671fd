/* scrape: everything that is counted, in the text form of Prometheus. A metric is a row in scrape.c. */
#ifndef MAILREEVE_PIPELINE_SCRAPE_H
#define MAILREEVE_PIPELINE_SCRAPE_H

#include "lib/pipeline/engine.h"

#define SCRAPE_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Of a daemon's engine; in arena. Waits for nothing. */
const char *scrape(struct engine *engine, struct arena *arena);

#endif
