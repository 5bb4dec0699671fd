/* listener: a socket on which others reach us: the MTA, and who controls the daemon. */
#ifndef MAILREEVE_MILTER_LISTENER_H
#define MAILREEVE_MILTER_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

/* libmilter binds a unix socket by a private name, which it removes in the end; rename() makes it the public one, which
 * is removed by us, and only while it is still the same socket: a newer daemon's is never touched. (Not a hard link:
 * Sendmail refuses a socket that has one.) While we drain, the socket has its private name again. */
struct listener;

struct listener_settings {
	const char *option; /* the option it comes from, for errors: "socket" */
	const char *spec;
	mode_t mode;       /* of a unix socket */
	const char *group; /* of a unix socket; "": the daemon's own */
	int inherited;     /* a socket that listens there already, which becomes the listener's; -1: none */
};

/* Checks the specification "unix:PATH", "inet:PORT@ADDRESS", "inet6:PORT@ADDRESS". For a unix socket: a missing folder
 * below /run is made (0750, the user's), a stale socket is put aside; one that a process answers on, or a file that is
 * no socket, is an error. Without a group the socket has our group, or that of its folder where this has the setgid bit.
 * NULL with *error_r (free()). */
struct listener *listener_create(const struct listener_settings *settings, uid_t user, gid_t group, char **error_r);
/* Removes our names, the public one if it is still ours. Threads may go on calling listener_wake(). */
void listener_remove(struct listener *listener);
/* Only where no thread uses it. Takes NULL. */
void listener_destroy(struct listener *listener);

/* What libmilter is to bind. */
const char *listener_spec(const struct listener *listener);
/* The file mode for umask while it binds. */
mode_t listener_mode(const struct listener *listener);
/* After libmilter has bound it: finds its descriptor, and puts the inherited socket in its place. False with *error_r. */
bool listener_bound(struct listener *listener, char **error_r);
/* Binds it ourselves, where libmilter does not: a descriptor that listens, or -1 with *error_r. Only for a unix socket. */
int listener_bind(struct listener *listener, char **error_r);
/* After it has: owner, group, the public name. Run as root in a folder of the unprivileged user, so it follows no link.
 */
bool listener_publish(struct listener *listener, char **error_r);
/* An inherited socket's name is ours from now on: until then it is the older process's, whatever becomes of us. */
void listener_claim(struct listener *listener);
/* The descriptor that listens; -1: not yet. */
int listener_fd(const struct listener *listener);
/* Another process has the socket now: its names are no longer ours, and libmilter listens where nobody comes but
 * listener_wake(). */
void listener_give_away(struct listener *listener);
/* No new connections by the public name. */
void listener_withdraw(struct listener *listener);

/* After it is published: NULL, or why no MTA can connect; static. Does not wait; wakes as listener_wake(). */
const char *listener_problem(const struct listener *listener);

/* Connects to ourselves and hangs up, without waiting: wakes libmilter's pool of threads, which loses wake-ups. */
void listener_wake(const struct listener *listener);
/* The same to stay: a socket that does not block, -1: nobody accepts. */
int listener_connect(const struct listener *listener);

#endif
