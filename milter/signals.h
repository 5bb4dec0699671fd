/* signals: HUP reloads, TERM and INT drain and end; a second TERM or INT ends at once. */
#ifndef MAILREEVE_MILTER_SIGNALS_H
#define MAILREEVE_MILTER_SIGNALS_H

#include "lib/pipeline/engine.h"

/* Before any thread is made: every thread inherits the mask. */
void signals_block(void);

/* The thread that waits for them. config_path NULL: the defaults; a reload then changes nothing. */
bool signals_start(struct engine *engine, const char *config_path);

#endif
