/* key_file: one private key on disk: a PEM file whose name says whose key it is and what is done with it, so that
 * rename(2) is the change of state: nobody ever sees half of one.
 *
 *     SELECTOR._domainkey.DOMAIN.STATE.pem      r202611._domainkey.example.com.active.pem
 */
#ifndef MAILREEVE_AUTH_KEY_FILE_H
#define MAILREEVE_AUTH_KEY_FILE_H

#include "lib/auth/dkim_crypto.h"

#include <sys/stat.h>

enum key_state {
	KEY_NEW,    /* made, not in use: its record is to be published */
	KEY_ACTIVE, /* signs */
	KEY_RETIRED /* does not sign any more; its record stays as long as mail signed with it may be under way */
};
const char *key_state_name(enum key_state state); /* "active" */

struct key_name {
	const char *domain;   /* canonical (domain.h) */
	const char *selector; /* canonical, one or more labels */
	enum key_state state;
};

enum { KEY_FILE_NAME_MAX = 255, KEY_FILE_SIZE_MAX = 32768 };

/* False when it is no name of a key file: other letters than small ones, a state that is none, two "_domainkey". */
bool key_name_parse(struct arena *arena, const char *file, struct key_name *name_r);
/* NULL when it would be longer than KEY_FILE_NAME_MAX bytes. */
const char *key_name_format(struct arena *arena, const struct key_name *name);

/* Reads and checks a key: a regular file (no link), of at most KEY_FILE_SIZE_MAX bytes, owned by root or `user`, not
 * readable by others, not writable by group or others, that holds one RSA key of 1024 bits at least or one Ed25519 key,
 * without a passphrase. NULL with *problem_r (in arena), which names the file as `path`, says what to do and never
 * shows what is in it. *status_r: of the file that was opened, all 0 where none was. */
struct dkim_private_key *key_file_read(int directory, const char *file, const char *path, uid_t user,
                                       struct arena *arena, struct stat *status_r, const char **problem_r);

#endif
