/* clamav: libclamav in nursery and worker. */
#ifndef MAILREEVE_INSPECT_CLAMAV_H
#define MAILREEVE_INSPECT_CLAMAV_H

#include "lib/inspect/pool.h"

/* Nursery: loads every database that exists and compiles the engine. NULL, or a text (static or in arena) why not. */
const char *clamav_load(const struct pool_settings *settings, struct arena *arena);
uint32_t clamav_signatures(void);
bool clamav_official(void);

/* Worker, after its fork: a temporary folder of its own. Children that share one invent the same names, and infected
 * mail comes out clean. */
bool clamav_set_tmp_dir(const char *directory);

/* libclamav takes for mail what begins with a field that it knows, and for text what begins otherwise: the sender
 * chooses. So every message is given to it behind a field that we choose. */
#define CLAMAV_LEAD "Received: from localhost\r\n"

/* Fills the virus_ members of *reply_r. message: CLAMAV_LEAD stands in front of it in memory. deadline_ms: the answer
 * is needed by then; libclamav is told to end somewhat earlier. */
void clamav_scan(const char *message, size_t size, uint32_t deadline_ms, struct arena *arena,
                 struct inspect_reply *reply_r);

#endif
