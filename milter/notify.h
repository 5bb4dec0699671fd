/* notify: what the service manager is told (sd_notify(3)): one datagram a message, to the socket that NOTIFY_SOCKET names.
 * Without a service manager nothing is done. In our own words: libsystemd would bring five more libraries into the daemon
 * for this. */
#ifndef MAILREEVE_MILTER_NOTIFY_H
#define MAILREEVE_MILTER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What an heir (handover.h) needs in its environment to speak with the manager: NULL-ended, "NAME=value". */
const char *const *notify_legacy(void);
/* That process is the service's main one from now on: the manager is told so, and nothing any more by us. */
void notify_hand_over(pid_t heir);

/* Reads the environment and clears it of NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which are no business of the
 * processes that we start. Before any thread is made. */
void notify_open(void);

/* How often the watchdog must be fed at least, nanoseconds; 0: there is none, or it is meant for another process. */
uint64_t notify_watchdog(void);

/* Status: one line for people, without a line's end. Safe from any thread. */
void notify_ready(const char *status);
void notify_reloading(void); /* to be followed by notify_ready() */
void notify_stopping(void);
void notify_status(const char *status);
void notify_alive(const char *status); /* feeds the watchdog */

#endif
