#include "ctl/key_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static const char temporary[] = ".mailreeve-key.tmp";

bool key_refuse(const char *format, ...)
{
	va_list args;
	fputs("mailreeve key: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return false;
}

/* The folders above for everybody to pass through, the last one for the daemon alone. */
static bool folder_make(const struct key_folder *folder)
{
	char *path = arena_strdup(folder->arena, folder->path);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST) {
			return key_refuse("%s: %s", path, strerror(errno));
		}
		*slash = '/';
	}
	if (mkdir(path, 0700) != 0) {
		return errno == EEXIST || key_refuse("%s: %s", path, strerror(errno));
	}
	if (geteuid() == 0 && chown(path, folder->user, folder->group) != 0) {
		return key_refuse("%s: chown: %s", path, strerror(errno));
	}
	return true;
}

bool key_folder_open(struct key_folder *folder, bool make)
{
	if (make && access(folder->path, F_OK) != 0 && !folder_make(folder)) {
		return false;
	}
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0 || flock(folder->fd, LOCK_EX) != 0) {
		return key_refuse("%s: %s", folder->path, strerror(errno));
	}
	return true;
}

void key_folder_close(struct key_folder *folder)
{
	if (folder->fd >= 0) {
		close(folder->fd);
	}
	folder->fd = -1;
}

static EVP_PKEY *generate(enum dkim_algorithm algorithm, unsigned bits)
{
	switch (algorithm) {
	case DKIM_RSA_SHA256:
		return EVP_RSA_gen(bits);
	case DKIM_ED25519_SHA256:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	}
	return NULL;
}

static bool write_pem(int fd, enum dkim_algorithm algorithm, unsigned bits)
{
	EVP_PKEY *key = generate(algorithm, bits);
	BIO *out = key == NULL ? NULL : BIO_new_fd(fd, BIO_NOCLOSE);
	bool good = out != NULL && PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1;
	BIO_free(out);
	EVP_PKEY_free(key);
	return good;
}

/* Puts a file in its place for good; never over another one. */
static bool move(const struct key_folder *folder, const char *from, const char *to)
{
	int status = renameat2(folder->fd, from, folder->fd, to, RENAME_NOREPLACE);
	if (status != 0 && errno == EINVAL) { /* a file system that cannot promise it: we hold the lock */
		bool there = faccessat(folder->fd, to, F_OK, 0) == 0;
		errno = EEXIST;
		status = there ? -1 : renameat(folder->fd, from, folder->fd, to);
	}
	if (status != 0 || fsync(folder->fd) != 0) {
		return key_refuse("%s/%s: %s", folder->path, to, strerror(errno));
	}
	return true;
}

bool key_folder_make(struct key_folder *folder, const struct key_name *name, enum dkim_algorithm algorithm,
                     unsigned bits)
{
	const char *file = key_name_format(folder->arena, name);
	if (file == NULL) {
		return key_refuse("the name of the file would be longer than %d bytes: choose a shorter selector", KEY_FILE_NAME_MAX);
	}
	unlinkat(folder->fd, temporary, 0); /* of one who was killed */
	int fd = openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		return key_refuse("%s: %s", folder->path, strerror(errno));
	}
	bool good = write_pem(fd, algorithm, bits) && fchmod(fd, 0600) == 0 &&
	            (geteuid() != 0 || fchown(fd, folder->user, folder->group) == 0) && fsync(fd) == 0;
	if (!good) {
		key_refuse("%s/%s: %s", folder->path, file, errno == 0 ? "libcrypto makes no key" : strerror(errno));
	}
	close(fd);
	if (!good || !move(folder, temporary, file)) {
		unlinkat(folder->fd, temporary, 0);
		return false;
	}
	return true;
}

bool key_folder_change(struct key_folder *folder, const struct key_name *name, enum key_state state)
{
	struct key_name after = *name;
	after.state = state;
	const char *from = key_name_format(folder->arena, name);
	const char *to = key_name_format(folder->arena, &after);
	if (from == NULL || to == NULL) {
		return key_refuse("the name of the file would be longer than %d bytes", KEY_FILE_NAME_MAX);
	}
	/* The time of the change, for `list`. */
	utimensat(folder->fd, from, NULL, AT_SYMLINK_NOFOLLOW);
	return move(folder, from, to);
}

const char *key_unreadable(const struct keystore_key *item, uid_t user, gid_t group, struct arena *arena)
{
	bool readable = user == 0 || (item->user == user && (item->mode & 0400) != 0) ||
	                (item->group == group && (item->mode & 0040) != 0);
	return readable ? NULL
	                : arena_printf(arena, "%s cannot be read by the daemon (user %lu): chown %lu it", item->file,
	                               (unsigned long)user, (unsigned long)user);
}
