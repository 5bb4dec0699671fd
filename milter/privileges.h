/* privileges: from root to an ordinary user, for good. */
#ifndef MAILREEVE_MILTER_PRIVILEGES_H
#define MAILREEVE_MILTER_PRIVILEGES_H

#include "lib/policy/globals.h"

#include <stdbool.h>
#include <sys/types.h>

struct privileges {
	uid_t user;
	gid_t group;
	char name[65];
};

/* Whom we shall be: the configured user when started as root, else who we are. False with *error_r (free()). */
bool privileges_find(const struct globals *globals, struct privileges *privileges_r, char **error_r);

/* Gives up root (setgroups, setgid, setuid), new privileges by exec, and core dumps; raises the limit of descriptors
 * first. False with *error_r (free()). */
bool privileges_drop(const struct privileges *privileges, char **error_r);

#endif
