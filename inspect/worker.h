/* worker: serves requests on its socket until the other end closes. */
#ifndef MAILREEVE_INSPECT_WORKER_H
#define MAILREEVE_INSPECT_WORKER_H

#include "lib/inspect/pool.h"

/* The exit status of one that could not enter its sandbox. */
enum { WORKER_UNFIT = 3 };

/* In a process of its own, forked from the nursery; directory: its private folder, which exists. Never returns. */
__attribute__((noreturn)) void worker_run(int socket, const char *directory, const struct pool_settings *settings);

#endif
