/* signals: HUP reloads, TERM and INT drain and end; a second TERM or INT ends at once. */
#ifndef MAILREEVE_MILTER_SIGNALS_H
#define MAILREEVE_MILTER_SIGNALS_H

#include "lib/pipeline/engine.h"
#include "milter/control.h"
#include "milter/exporter.h"

/* Before any thread is made: every thread inherits the mask. */
void signals_block(void);

/* The thread that waits for them; reload_init() has been called. control and exporter, or NULL, are withdrawn when draining
 * begins. */
bool signals_start(struct engine *engine, struct control *control, struct exporter *exporter);

#endif
