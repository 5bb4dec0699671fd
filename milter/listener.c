#include "milter/listener.h"

#include "lib/base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdatomic.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct listener {
	char *spec;    /* for libmilter */
	char *public;  /* unix: the name the MTA knows; NULL: inet */
	char *private; /* unix: the name libmilter knows */
	mode_t mode;
	uid_t user;
	gid_t group; /* of the socket; (gid_t)-1: it has the right one from its folder */
	struct sockaddr_storage addresses[2]; /* by the private name, by the public one */
	socklen_t address_size;
	atomic_int reached_by; /* which of them is in force */
	dev_t device;
	ino_t inode; /* of the socket, once it is published */
};

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
	char *out;
	va_list args;
	va_start(args, format);
	if (vasprintf(&out, format, args) < 0) {
		abort();
	}
	va_end(args);
	return out;
}

static bool unix_address(const char *path, struct sockaddr_storage *address, socklen_t *size_r)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof un.sun_path) {
		return false;
	}
	memcpy(un.sun_path, path, strlen(path) + 1);
	memcpy(address, &un, sizeof un);
	*size_r = sizeof un;
	return true;
}

/* Does a process answer there? */
static bool unix_alive(const char *path)
{
	struct sockaddr_storage address;
	socklen_t size;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive = fd >= 0 && unix_address(path, &address, &size) &&
	             (connect(fd, (struct sockaddr *)&address, size) == 0 || errno == EAGAIN);
	if (fd >= 0) {
		close(fd);
	}
	return alive;
}

static void make_folder(const struct listener *listener)
{
	char *folder = strdup(listener->public);
	char *slash = folder == NULL ? NULL : strrchr(folder, '/');
	if (slash != NULL && strncmp(folder, "/run/", 5) == 0) {
		*slash = '\0';
		if (mkdir(folder, 0750) == 0 && chown(folder, listener->user, listener->group) != 0) {
			rmdir(folder);
		}
	}
	free(folder);
}

static bool unix_prepare(struct listener *listener, const char *path, char **error_r)
{
	struct stat status;
	char pid[32];
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	listener->public = strdup(path);
	listener->private = text("%s.%s", path, pid);
	listener->spec = text("unix:%s", listener->private);
	if (path[0] != '/' || !unix_address(listener->private, &listener->addresses[0], &listener->address_size) ||
	    !unix_address(path, &listener->addresses[1], &listener->address_size)) {
		*error_r = text("socket %s: expected an absolute path of less than 98 bytes", path);
		return false;
	}
	make_folder(listener);
	if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
		*error_r = text("socket %s: there is a file that is no socket", path);
		return false;
	}
	if (unix_alive(path)) {
		*error_r = text("socket %s: a process answers there already", path);
		return false;
	}
	return true;
}

static bool inet_prepare(struct listener *listener, const char *spec, char **error_r)
{
	const char *port = strchr(spec, ':') + 1;
	const char *at = strchr(port, '@');
	bool six = strncmp(spec, "inet6", 5) == 0;
	struct addrinfo hints = {
	    .ai_family = six ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char number[16] = "";
	char host[64] = "";
	size_t port_size = at == NULL ? strlen(port) : (size_t)(at - port);
	const char *name = at == NULL ? (six ? "::1" : "127.0.0.1") : at + 1;
	size_t name_size = strlen(name);
	if (name[0] == '[' && name_size > 2 && name[name_size - 1] == ']') {
		name++;
		name_size -= 2;
	}
	if (port_size < sizeof number && name_size < sizeof host) {
		memcpy(number, port, port_size);
		memcpy(host, name, name_size);
	}
	listener->spec = six ? text("inet6:%s@[%s]", number, host) : text("inet:%s@%s", number, host);
	if (getaddrinfo(host, number, &hints, &found) != 0) {
		*error_r = text("socket %s: expected PORT@ADDRESS with numbers", spec);
		return false;
	}
	memcpy(&listener->addresses[0], found->ai_addr, found->ai_addrlen);
	listener->address_size = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

/* A folder with the setgid bit says whose group its files are. */
static bool folder_has_group(const char *path)
{
	struct stat status;
	char *folder = strdup(path);
	char *slash = folder == NULL ? NULL : strrchr(folder, '/');
	if (slash != NULL) {
		slash[slash == folder] = '\0';
	}
	bool has = slash != NULL && stat(folder, &status) == 0 && (status.st_mode & S_ISGID) != 0;
	free(folder);
	return has;
}

static bool find_group(const char *name, gid_t *group_r, char **error_r)
{
	struct group *entry = name[0] == '\0' ? NULL : getgrnam(name);
	if (name[0] != '\0' && entry == NULL) {
		*error_r = text("socket_group: there is no group \"%s\"", name);
		return false;
	}
	if (entry != NULL) {
		*group_r = entry->gr_gid;
	}
	return true;
}

struct listener *listener_create(const struct globals *globals, uid_t user, gid_t group, char **error_r)
{
	struct listener *listener = calloc(1, sizeof *listener);
	const char *spec = globals->socket;
	bool good = false;
	if (listener == NULL) {
		abort();
	}
	listener->mode = (mode_t)globals->socket_mode;
	listener->user = user;
	listener->group = group;
	if (!find_group(globals->socket_group, &listener->group, error_r)) {
		listener_destroy(listener);
		return NULL;
	}
	if (strncmp(spec, "unix:", 5) == 0 || strncmp(spec, "local:", 6) == 0) {
		good = unix_prepare(listener, strchr(spec, ':') + 1, error_r);
		if (good && globals->socket_group[0] == '\0' && folder_has_group(listener->public)) {
			listener->group = (gid_t)-1;
		}
	} else if (strncmp(spec, "inet:", 5) == 0 || strncmp(spec, "inet6:", 6) == 0) {
		good = inet_prepare(listener, spec, error_r);
	} else {
		*error_r = text("socket \"%s\": expected unix:PATH, inet:PORT@ADDRESS or inet6:PORT@ADDRESS", spec);
	}
	if (!good) {
		listener_destroy(listener);
		return NULL;
	}
	return listener;
}

void listener_remove(struct listener *listener)
{
	listener_withdraw(listener);
	if (listener->private != NULL) {
		unlink(listener->private);
	}
}

void listener_destroy(struct listener *listener)
{
	if (listener == NULL) {
		return;
	}
	listener_remove(listener);
	free(listener->spec);
	free(listener->public);
	free(listener->private);
	free(listener);
}

const char *listener_spec(const struct listener *listener)
{
	return listener->spec;
}

mode_t listener_mode(const struct listener *listener)
{
	return listener->mode;
}

bool listener_publish(struct listener *listener, char **error_r)
{
	struct stat status;
	if (listener->public == NULL) {
		return true;
	}
	/* Its mode it has from bind(). chmod() would follow a symbolic link that somebody put in its place. */
	bool good = lchown(listener->private, listener->user, listener->group) == 0 &&
	            lstat(listener->private, &status) == 0 && S_ISSOCK(status.st_mode) &&
	            rename(listener->private, listener->public) == 0;
	if (good) {
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
		atomic_store(&listener->reached_by, 1);
	} else {
		*error_r = text("socket %s: %s%s", listener->public, strerror(errno),
		                errno == EINVAL ? ": in a user namespace (PrivateUsers=) there are no other groups: leave "
		                                  "socket_group empty, and give the socket's folder the group and mode 2750"
		                                : "");
	}
	return good;
}

void listener_withdraw(struct listener *listener)
{
	struct stat status;
	if (listener->public != NULL && listener->inode != 0 && lstat(listener->public, &status) == 0 &&
	    status.st_dev == listener->device && status.st_ino == listener->inode &&
	    rename(listener->public, listener->private) == 0) {
		atomic_store(&listener->reached_by, 0);
	}
}

/* Of a socket whose backlog is full: EAGAIN. Of one of another host, which we are not: in progress. */
static int reach(const struct listener *listener, int flags, int *error_r)
{
	const struct sockaddr_storage *address = &listener->addresses[atomic_load(&listener->reached_by)];
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	*error_r = fd >= 0 && connect(fd, (const struct sockaddr *)address, listener->address_size) == 0 ? 0 : errno;
	return fd;
}

void listener_wake(const struct listener *listener)
{
	int error;
	int fd = reach(listener, SOCK_NONBLOCK, &error);
	/* In progress, or the backlog is full: then a connection is waiting already, which wakes as well. */
	if (fd >= 0) {
		close(fd);
	}
}

int listener_connect(const struct listener *listener)
{
	int error;
	int fd = reach(listener, SOCK_NONBLOCK, &error);
	if (fd >= 0 && error != 0 && error != EINPROGRESS) {
		close(fd);
		fd = -1;
	}
	return fd;
}
