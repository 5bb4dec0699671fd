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

/* Fills the virus_ members of *reply_r. */
void clamav_scan(const void *message, size_t size, struct arena *arena, struct inspect_reply *reply_r);

#endif
