/* processes: the nursery and the workers of the pool that a test has opened, and what can be done to them. */
#ifndef MAILREEVE_T_PROCESSES_H
#define MAILREEVE_T_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROCESS_PIDS_MAX = 64 };

size_t process_children(pid_t parent, pid_t pids_r[PROCESS_PIDS_MAX]);
pid_t process_nursery_now(void); /* our only child; 0: there is none, or more */
pid_t process_nursery(void);     /* waits for it; never 0, which kill() takes for all of us */
pid_t process_worker(void);      /* one of its workers, likewise */
void process_signal(pid_t pid, int number);
void process_stop(pid_t pid);    /* and waits until it stands still */
bool process_gone(pid_t pid);    /* waits until it is dead: a zombie has closed its sockets */

#endif
