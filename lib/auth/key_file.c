#include "lib/auth/key_file.h"

#include "lib/mail/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

enum { RSA_BITS_MIN = 1024 };

static const char middle[] = "._domainkey.";
static const char suffix[] = ".pem";

const char *key_state_name(enum key_state state)
{
	switch (state) {
	case KEY_NEW:
		return "new";
	case KEY_ACTIVE:
		return "active";
	case KEY_RETIRED:
		return "retired";
	}
	return NULL;
}

static bool key_state_parse(struct slice text, enum key_state *state_r)
{
	for (enum key_state state = KEY_NEW; state <= KEY_RETIRED; state++) {
		if (slice_equal(text, slice_from(key_state_name(state)))) {
			*state_r = state;
			return true;
		}
	}
	return false;
}

/* A name that is not in its canonical form already would be two names for one key. */
static const char *canonical(struct arena *arena, struct slice text)
{
	const char *domain = domain_canonical(arena, text);
	return domain != NULL && slice_equal(slice_from(domain), text) ? domain : NULL;
}

bool key_name_parse(struct arena *arena, const char *file, struct key_name *name_r)
{
	struct slice text = slice_from(file);
	if (text.len > KEY_FILE_NAME_MAX || !slice_ends_nocase(text, slice_from(suffix)) ||
	    strcmp(file + text.len - strlen(suffix), suffix) != 0) {
		return false;
	}
	text.len -= strlen(suffix);
	const char *dot = memrchr(text.data, '.', text.len);
	const char *at = strstr(file, middle);
	if (dot == NULL || at == NULL || at >= dot || strstr(at + strlen(middle) - 1, middle) != NULL) {
		return false;
	}
	const char *domain = at + strlen(middle);
	if (domain >= dot ||
	    !key_state_parse((struct slice){dot + 1, text.len - (size_t)(dot + 1 - file)}, &name_r->state)) {
		return false;
	}
	name_r->selector = canonical(arena, (struct slice){file, (size_t)(at - file)});
	name_r->domain = canonical(arena, (struct slice){domain, (size_t)(dot - domain)});
	return name_r->selector != NULL && name_r->domain != NULL;
}

const char *key_name_format(struct arena *arena, const struct key_name *name)
{
	const char *file =
	    arena_printf(arena, "%s%s%s.%s%s", name->selector, middle, name->domain, key_state_name(name->state), suffix);
	return strlen(file) <= KEY_FILE_NAME_MAX ? file : NULL;
}

/* What keeps the open file from being a key that only we and root know; NULL: nothing. */
static const char *key_file_check(const struct stat *status, const char *path, uid_t user, struct arena *arena)
{
	if (!S_ISREG(status->st_mode)) {
		return arena_printf(arena, "%s is not a regular file", path);
	}
	if (status->st_uid != 0 && status->st_uid != user) {
		return arena_printf(arena, "%s belongs to user %lu, neither root nor the daemon's user: chown it", path,
		                    (unsigned long)status->st_uid);
	}
	if ((status->st_mode & 0006) != 0) {
		return arena_printf(arena, "%s is open to everybody (mode %04o): chmod 600 %s, and better make a new key", path,
		                    (unsigned)status->st_mode & 07777U, path);
	}
	if ((status->st_mode & 0020) != 0) {
		return arena_printf(arena, "%s can be written by its group (mode %04o): chmod 600 %s", path,
		                    (unsigned)status->st_mode & 07777U, path);
	}
	if (status->st_size == 0 || status->st_size > KEY_FILE_SIZE_MAX) {
		return arena_printf(arena, "%s has %lld bytes; a key has 1 to %d", path, (long long)status->st_size,
		                    KEY_FILE_SIZE_MAX);
	}
	return NULL;
}

static size_t count_blocks(struct slice pem)
{
	static const char begin[] = "-----BEGIN ";
	size_t n = 0;
	for (size_t at = 0; at + strlen(begin) <= pem.len; at++) {
		n += memcmp(pem.data + at, begin, strlen(begin)) == 0;
	}
	return n;
}

static struct dkim_private_key *key_parse(struct slice pem, const char *path, struct arena *arena,
                                          const char **problem_r)
{
	size_t blocks = count_blocks(pem);
	if (blocks != 1) {
		*problem_r = arena_printf(arena, "%s holds %zu PEM blocks; expected one private key", path, blocks);
		return NULL;
	}
	struct dkim_private_key *key = dkim_private_key_create(pem);
	if (key == NULL) {
		*problem_r =
		    arena_printf(arena, "%s holds no private key of RSA or Ed25519 in PEM form without a passphrase", path);
		return NULL;
	}
	if (dkim_private_key_algorithm(key) == DKIM_RSA_SHA256 && dkim_private_key_bits(key) < RSA_BITS_MIN) {
		*problem_r = arena_printf(arena, "%s holds an RSA key of %u bits, which nobody accepts: make one of 2048", path,
		                          dkim_private_key_bits(key));
		dkim_private_key_destroy(key);
		return NULL;
	}
	return key;
}

static const char *key_open_problem(const char *path, int error, struct arena *arena)
{
	if (error == ELOOP) {
		return arena_printf(arena, "%s is a symbolic link; expected the file itself", path);
	}
	if (error == EACCES) {
		return arena_printf(arena, "%s cannot be read by user %lu: make him its owner", path, (unsigned long)geteuid());
	}
	return arena_printf(arena, "%s: %s", path, strerror(error));
}

/* The whole file into buffer; -1 with errno. */
static ssize_t read_whole(int fd, char *buffer, size_t size)
{
	size_t n = 0;
	while (n < size) {
		ssize_t got = read(fd, buffer + n, size - n);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got <= 0) {
			return got < 0 ? -1 : (ssize_t)n;
		}
		n += (size_t)got;
	}
	return (ssize_t)n;
}

struct dkim_private_key *key_file_read(int directory, const char *file, const char *path, uid_t user,
                                       struct arena *arena, struct stat *status_r, const char **problem_r)
{
	char pem[KEY_FILE_SIZE_MAX];
	struct dkim_private_key *key = NULL;
	*status_r = (struct stat){.st_size = 0};
	int fd = openat(directory, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, status_r) != 0) {
		*problem_r = key_open_problem(path, errno, arena);
	} else {
		*problem_r = key_file_check(status_r, path, user, arena);
	}
	if (*problem_r == NULL) {
		ssize_t n = read_whole(fd, pem, sizeof pem);
		if (n < 0) {
			*problem_r = key_open_problem(path, errno, arena);
		} else {
			key = key_parse((struct slice){pem, (size_t)n}, path, arena, problem_r);
		}
		OPENSSL_cleanse(pem, sizeof pem);
	}
	if (fd >= 0) {
		close(fd);
	}
	return key;
}
