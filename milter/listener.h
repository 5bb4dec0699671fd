/* listener: the socket on which the MTA reaches us. */
#ifndef MAILREEVE_MILTER_LISTENER_H
#define MAILREEVE_MILTER_LISTENER_H

#include "lib/policy/globals.h"

#include <stdbool.h>
#include <sys/types.h>

/* libmilter binds a unix socket by a private name, which it removes in the end; rename() makes it the public one, which
 * is removed by us, and only while it is still the same socket: a newer daemon's is never touched. (Not a hard link:
 * Sendmail refuses a socket that has one.) While we drain, the socket has its private name again. */
struct listener;

/* Checks the specification "unix:PATH", "inet:PORT@ADDRESS", "inet6:PORT@ADDRESS". For a unix socket: a missing folder
 * below /run is made (0750, the user's), a stale socket is put aside; one that a process answers on, or a file that is
 * no socket, is an error. Without socket_group the socket has our group, or that of its folder where this has the setgid
 * bit. NULL with *error_r (free()). */
struct listener *listener_create(const struct globals *globals, uid_t user, gid_t group, char **error_r);
/* Removes our names, the public one if it is still ours. Threads may go on calling listener_wake(). */
void listener_remove(struct listener *listener);
/* Only where no thread uses it. Takes NULL. */
void listener_destroy(struct listener *listener);

/* What libmilter is to bind. */
const char *listener_spec(const struct listener *listener);
/* The file mode for umask while it binds. */
mode_t listener_mode(const struct listener *listener);
/* After it has: owner, group, the public name. Run as root in a folder of the unprivileged user, so it follows no link.
 */
bool listener_publish(struct listener *listener, char **error_r);
/* No new connections by the public name. */
void listener_withdraw(struct listener *listener);

/* Connects to ourselves and hangs up, without waiting: wakes libmilter's pool of threads, which loses wake-ups. */
void listener_wake(const struct listener *listener);
/* The same to stay: a socket that does not block, -1: nobody accepts. */
int listener_connect(const struct listener *listener);

#endif
