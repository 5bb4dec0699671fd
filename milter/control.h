/* control: the unix socket by which `mailreeve` speaks with the daemon, in HTTP (lib/http/server.h). What may be asked is
 * the table in control.c. */
#ifndef MAILREEVE_MILTER_CONTROL_H
#define MAILREEVE_MILTER_CONTROL_H

#include "lib/pipeline/engine.h"
#include "lib/policy/globals.h"

struct control;

/* Binds and publishes the socket; before root is given up. NULL without an error: there is to be none. NULL with *error_r
 * (free()): it cannot be. */
struct control *control_open(const struct globals *globals, uid_t user, gid_t group, char **error_r);
/* Answers from now on. False with *error_r. */
bool control_start(struct control *control, struct engine *engine, char **error_r);
/* An inherited socket's name is ours: listener_claim(). Takes NULL. */
void control_claim(struct control *control);
/* No new connections by its name, which the next daemon may take. Takes NULL. */
void control_withdraw(struct control *control);
/* Removes the socket, waits for what is being answered. Takes NULL. */
void control_close(struct control *control);

#endif
