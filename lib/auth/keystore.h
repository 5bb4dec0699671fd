/* keystore: the private keys in a folder, for DKIM signatures and ARC seals. What the folder says is read into an
 * immutable, counted snapshot (`struct keys`) that any number of threads use at the same time.
 *
 * A file that cannot be used (key_file.h says when) keeps the key that was read from it before, where there is one;
 * else its key is NULL, so that the caller knows that the domain has a key and that mail must not leave without it. A
 * folder that cannot be read keeps everything. A folder that does not exist has no keys. Each problem is logged once.
 * Files whose names begin with a dot or do not end in ".pem" are nobody's business; others that are no name of a key
 * (key_name_parse()) are logged. */
#ifndef MAILREEVE_AUTH_KEYSTORE_H
#define MAILREEVE_AUTH_KEYSTORE_H

#include "lib/auth/key_file.h"

struct keystore_key {
	struct key_name name;
	const struct dkim_private_key *key; /* NULL: it cannot be used */
	const char *problem; /* of the file as it is now; NULL: none. With a key: that is the one it held before */
	const char *file;    /* its name in the folder */
	uint64_t since;      /* epoch seconds of the last change (mtime, which `mailreeve key` sets with the state) */
	uid_t user;          /* owner, group and mode of the file */
	gid_t group;
	mode_t mode;
};

enum { KEYSTORE_MAX = 20000 }; /* files; a folder with more cannot be used */

/* A snapshot. What it shows lives until it is released. */
struct keys;
void keys_release(struct keys *keys); /* takes NULL */

/* The keys of a domain (canonical), in every state, in the order of selectors. */
const struct keystore_key *keys_of(const struct keys *keys, const char *domain, size_t *count_r);
const struct keystore_key *keys_all(const struct keys *keys, size_t *count_r);
/* NULL when there is none. Where two files have one selector the active one. */
const struct keystore_key *keys_find(const struct keys *keys, const char *domain, const char *selector);
/* Why the folder as a whole could not be read, or NULL. What keys there are is then what was known before. */
const char *keys_problem(const struct keys *keys);
/* Files that are no key by their name: text for a warning each, NULL-ended. */
const char *const *keys_strangers(const struct keys *keys);

/* Reads the folder once, for a command. user: may own keys besides root. before: what is there of it is kept as told
 * above; may be NULL. Never NULL; logs nothing. */
struct keys *keys_load(const char *path, uid_t user, const struct keys *before);

/* The folder of a running daemon. Safe from any thread. */
struct keystore;
struct keystore *keystore_create(const char *path, uid_t user); /* reads it */
void keystore_destroy(struct keystore *store);                  /* nobody may be in keystore_acquire(); takes NULL */

/* A reference of the newest snapshot: keys_release(). Takes no lock. At most once a second one of the callers looks
 * whether the folder has changed, and reads what has; the others do not wait for it. */
struct keys *keystore_acquire(struct keystore *store);

/* Reads path, which may be another one than before, now: for a reload of the configuration. */
void keystore_reload(struct keystore *store, const char *path);

#endif
