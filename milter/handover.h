/* handover: another process of the program takes this one's place, and no connection is refused meanwhile: for an upgrade,
 * and for options that only a restart can change. The heir inherits the listening sockets, gets ready beside the old
 * process, and takes connections from then on; the old one finishes what it has begun, and ends. What goes wrong before
 * leaves the old one as it was. */
#ifndef MAILREEVE_MILTER_HANDOVER_H
#define MAILREEVE_MILTER_HANDOVER_H

#include <stdbool.h>

/* What is handed over, as descriptors. */
enum handover_thing {
	HANDOVER_MILTER,  /* the socket on which the MTA reaches us */
	HANDOVER_CONTROL, /* the control socket */
	HANDOVER_METRICS, /* metrics.listen */
	HANDOVER_PID,     /* the pid file, which may be root's: open for writing */
	HANDOVER_COUNT
};

/* First of all in main(): remembers how the program was called, and finds what an older process has left to this one. */
void handover_init(char **argv);
bool handover_is_heir(void);
/* -1: there is none. The caller's from then on. */
int handover_take(enum handover_thing thing);

/* What an heir would get. The descriptor stays the caller's; let_go (may be NULL) is called when the heir is ready: the
 * thing is no longer ours. */
void handover_offer(enum handover_thing thing, int fd, void (*let_go)(void *context), void *context);

int handover_offered(enum handover_thing thing); /* -1: none */

/* The heir: it takes connections from now on. */
void handover_ready(void);

/* Starts an heir and waits until it is ready, then lets go of everything, and has this process end as by SIGTERM. NULL, or
 * why there is no heir (free()). Of two at once the second is refused. From any thread. */
char *handover_run(void);

#endif
