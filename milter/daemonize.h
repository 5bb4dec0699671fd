/* daemonize: into the background, with the caller told when the daemon is ready, or why it is not. */
#ifndef MAILREEVE_MILTER_DAEMONIZE_H
#define MAILREEVE_MILTER_DAEMONIZE_H

/* Forks, before any thread is made. In the daemon it returns a descriptor for daemonize_ready() or daemonize_failed();
 * the caller waits for one of them and exits with 0 or 1. */
int daemonize_start(void);
void daemonize_ready(int report);                     /* also lets go of the terminal; takes -1 (foreground) */
void daemonize_failed(int report, const char *error); /* prints in the caller's terminal; takes -1 */

#endif
