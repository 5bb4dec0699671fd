/* callbacks: libmilter's events translated to session calls, and verdicts translated back. */
#ifndef MAILREEVE_MILTER_CALLBACKS_H
#define MAILREEVE_MILTER_CALLBACKS_H

#include "lib/pipeline/engine.h"
#include "milter/listener.h"

/* Registers with libmilter and binds. Once a process. False with *error_r (free()). */
bool callbacks_open(struct listener *listener, char **error_r);

/* Serves until callbacks_stop(); returns false when libmilter gave up by itself. */
bool callbacks_run(struct engine *engine);

/* Another process has our socket: no new connections; those that there are stay until they end, or callbacks_drain() gives up.
 * For handover_offer(). */
void callbacks_give_away(void *unused);

/* From another thread: no new sessions; then waits until no transaction is running and the last answer has left, or
 * until the deadline. Returns how many are left. */
size_t callbacks_drain(uint64_t deadline);
/* Ends callbacks_run(). */
void callbacks_stop(void);
/* Transactions that libmilter's threads may be working on at this moment. */
size_t callbacks_running(void);

#endif
