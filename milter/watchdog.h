/* watchdog: feeds the service manager's watchdog while the daemon does its work: as long as a connection of our own to the
 * socket is answered in the milter protocol, and alive_check() finds nothing that hangs. */
#ifndef MAILREEVE_MILTER_WATCHDOG_H
#define MAILREEVE_MILTER_WATCHDOG_H

#include "lib/pipeline/engine.h"
#include "milter/listener.h"

/* Where notify_watchdog() says that there is one: a thread that looks four times as often as it must be fed. engine and
 * listener must live as long as the process. False: there can be no thread. */
bool watchdog_start(struct engine *engine, const struct listener *listener);

#endif
