/* key_folder: changes in the folder of private keys, one command at a time, so that whoever is killed at any moment
 * leaves every key in one of its states. Errors go to standard error. */
#ifndef MAILREEVE_CTL_KEY_FOLDER_H
#define MAILREEVE_CTL_KEY_FOLDER_H

#include "lib/auth/keystore.h"

struct key_folder {
	const char *path;
	int fd;     /* locked; -1: not open */
	uid_t user; /* who runs the daemon, and owns what is made here when we are root */
	gid_t group;
	struct arena *arena;
};

/* make: the folder, and those above it, where they are not there. False when it is not to be had. */
bool key_folder_open(struct key_folder *folder, bool make);
void key_folder_close(struct key_folder *folder);

/* A new key of `bits` (RSA) in the file of that name, 0600. False when there is one already, or it cannot be written.
 */
bool key_folder_make(struct key_folder *folder, const struct key_name *name, enum dkim_algorithm algorithm,
                     unsigned bits);

/* Renames the file of a key. */
bool key_folder_change(struct key_folder *folder, const struct key_name *name, enum key_state state);

/* "mailreeve key: ..." on standard error; false. */
bool key_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Why the daemon could not read the file although we, as root, can; NULL: it can. In arena. */
const char *key_unreadable(const struct keystore_key *item, uid_t user, gid_t group, struct arena *arena);

#endif
