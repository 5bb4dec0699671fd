#include "milter/listener.h"

#include "lib/base/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdatomic.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct listener {
	const char *option;
	char *spec;    /* for libmilter */
	char *public;  /* unix: the name the MTA knows; NULL: inet */
	char *private; /* unix: the name libmilter knows */
	mode_t mode;
	uid_t user;
	gid_t group; /* of the socket; (gid_t)-1: it has the right one from its folder */
	struct sockaddr_storage addresses[3]; /* by the private name, by the public one, and where nobody else comes */
	socklen_t address_size[3];
	int inherited; /* -1: none, or it has its place */
	int fd;        /* that listens; -1 */
	bool libmilter; /* fd is libmilter's */
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
	if (path[0] != '/' || !unix_address(listener->private, &listener->addresses[0], &listener->address_size[0]) ||
	    !unix_address(path, &listener->addresses[1], &listener->address_size[1])) {
		*error_r = text("%s %s: expected an absolute path of less than 98 bytes", listener->option, path);
		return false;
	}
	if (listener->inherited >= 0) {
		return true;
	}
	make_folder(listener);
	if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
		*error_r = text("%s %s: there is a file that is no socket", listener->option, path);
		return false;
	}
	if (unix_alive(path)) {
		*error_r = text("%s %s: a process answers there already", listener->option, path);
		return false;
	}
	return true;
}

/* Listens where nobody knows of it: an abstract name, or a port of the loopback, that the kernel chooses. -1: errno. */
static int listen_nowhere(sa_family_t family, struct sockaddr_storage *address_r, socklen_t *size_r)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	const struct sockaddr *any = (const struct sockaddr *)&local;
	socklen_t size = sizeof local.sun_family;
	if (family != AF_UNIX) {
		any = family == AF_INET6 ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
		size = family == AF_INET6 ? sizeof six : sizeof four;
	}
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*size_r = sizeof *address_r;
	if (fd >= 0 && (bind(fd, any, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
	                getsockname(fd, (struct sockaddr *)address_r, size_r) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* libmilter can bind no port that is in use: it gets another, of which nobody knows. */
static bool inet_elsewhere(struct listener *listener, char **error_r)
{
	sa_family_t family = listener->addresses[0].ss_family;
	listener->addresses[1] = listener->addresses[0];
	listener->address_size[1] = listener->address_size[0];
	int fd = listen_nowhere(family, &listener->addresses[0], &listener->address_size[0]);
	if (fd < 0) {
		*error_r = text("%s: %s", listener->option, strerror(errno));
		return false;
	}
	close(fd);
	uint16_t port = family == AF_INET6 ? ((const struct sockaddr_in6 *)&listener->addresses[0])->sin6_port
	                                   : ((const struct sockaddr_in *)&listener->addresses[0])->sin_port;
	free(listener->spec);
	listener->spec = text(family == AF_INET6 ? "inet6:%u@[::1]" : "inet:%u@127.0.0.1", ntohs(port));
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
		*error_r = text("%s %s: expected PORT@ADDRESS with numbers", listener->option, spec);
		return false;
	}
	memcpy(&listener->addresses[0], found->ai_addr, found->ai_addrlen);
	listener->address_size[0] = found->ai_addrlen;
	freeaddrinfo(found);
	return listener->inherited < 0 || inet_elsewhere(listener, error_r);
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

static bool find_group(const struct listener_settings *settings, gid_t *group_r, char **error_r)
{
	const char *name = settings->group;
	struct group *entry = name[0] == '\0' ? NULL : getgrnam(name);
	if (name[0] != '\0' && entry == NULL) {
		*error_r = text("%s: there is no group \"%s\"", settings->option, name);
		return false;
	}
	if (entry != NULL) {
		*group_r = entry->gr_gid;
	}
	return true;
}

struct listener *listener_create(const struct listener_settings *settings, uid_t user, gid_t group, char **error_r)
{
	struct listener *listener = calloc(1, sizeof *listener);
	const char *spec = settings->spec;
	bool good = false;
	if (listener == NULL) {
		abort();
	}
	listener->option = settings->option;
	listener->inherited = settings->inherited;
	listener->fd = -1;
	listener->mode = settings->mode;
	listener->user = user;
	listener->group = group;
	if (!find_group(settings, &listener->group, error_r)) {
		listener_destroy(listener);
		return NULL;
	}
	if (strncmp(spec, "unix:", 5) == 0 || strncmp(spec, "local:", 6) == 0) {
		good = unix_prepare(listener, strchr(spec, ':') + 1, error_r);
		if (good && settings->group[0] == '\0' && folder_has_group(listener->public)) {
			listener->group = (gid_t)-1;
		}
	} else if (strncmp(spec, "inet:", 5) == 0 || strncmp(spec, "inet6:", 6) == 0) {
		good = inet_prepare(listener, spec, error_r);
	} else {
		*error_r = text("%s \"%s\": expected unix:PATH, inet:PORT@ADDRESS or inet6:PORT@ADDRESS", listener->option, spec);
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

/* libmilter does not tell its descriptor: it is the one that is bound to what it was told. */
static int find_bound(const struct sockaddr_storage *wanted, socklen_t wanted_size)
{
	struct sockaddr_storage address;
	long most = sysconf(_SC_OPEN_MAX);
	for (int fd = 0; fd < most; fd++) {
		socklen_t size = sizeof address;
		memset(&address, 0, sizeof address);
		/* A unix address comes back as long as its path is. */
		if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 && memcmp(&address, wanted, wanted_size) == 0) {
			return fd;
		}
	}
	return -1;
}

bool listener_bound(struct listener *listener, char **error_r)
{
	listener->fd = find_bound(&listener->addresses[0], listener->address_size[0]);
	listener->libmilter = true;
	if (listener->fd < 0 || (listener->inherited >= 0 && dup3(listener->inherited, listener->fd, O_CLOEXEC) < 0)) {
		*error_r = text("%s: libmilter's socket cannot be found", listener->option);
		return false;
	}
	if (listener->inherited >= 0) {
		close(listener->inherited);
		if (listener->private != NULL) {
			unlink(listener->private);
		}
	}
	return true;
}

int listener_fd(const struct listener *listener)
{
	return listener->fd;
}

void listener_give_away(struct listener *listener)
{
	int fd = -1;
	listener->inode = 0;
	if (listener->libmilter) {
		fd = listen_nowhere(listener->addresses[0].ss_family, &listener->addresses[2], &listener->address_size[2]);
	}
	if (fd >= 0) {
		atomic_store(&listener->reached_by, 2);
		dup3(fd, listener->fd, O_CLOEXEC);
		close(fd);
	}
	/* libmilter may wait for the other socket: it is told. */
	listener_wake(listener);
}

int listener_bind(struct listener *listener, char **error_r)
{
	if (listener->inherited >= 0) {
		listener->fd = listener->inherited;
		return listener->fd;
	}
	const int on = 1;
	int fd = socket(listener->addresses[0].ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(0777 & ~listener->mode);
	bool good = fd >= 0 && (listener->public != NULL || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	good = good && bind(fd, (const struct sockaddr *)&listener->addresses[0], listener->address_size[0]) == 0 &&
	            listen(fd, SOMAXCONN) == 0;
	int problem = errno;
	umask(before);
	if (!good) {
		*error_r = text("%s %s: %s", listener->option, listener->public == NULL ? listener->spec : listener->public, strerror(problem));
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	listener->fd = fd;
	return fd;
}

void listener_claim(struct listener *listener)
{
	struct stat status;
	if (listener->inherited >= 0 && listener->public != NULL && lstat(listener->public, &status) == 0 && S_ISSOCK(status.st_mode)) {
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
	}
}

bool listener_publish(struct listener *listener, char **error_r)
{
	struct stat status;
	if (listener->inherited >= 0) {
		atomic_store(&listener->reached_by, 1);
		return true;
	}
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
		*error_r = text("%s %s: %s%s", listener->option, listener->public, strerror(errno),
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

const char *listener_problem(const struct listener *listener)
{
	int place = atomic_load(&listener->reached_by);
	const struct sockaddr_storage *address = &listener->addresses[place];
	struct stat status;
	if (listener->public != NULL && (lstat(place == 1 ? listener->public : listener->private, &status) != 0 ||
	                                 status.st_dev != listener->device || status.st_ino != listener->inode)) {
		return "the socket is not there, or another process has put its own in its place";
	}
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool good = fd >= 0 && connect(fd, (const struct sockaddr *)address, listener->address_size[place]) == 0;
	int problem = errno;
	if (fd >= 0) {
		close(fd);
	}
	return good || problem == EINPROGRESS ? NULL
	       : problem == EAGAIN            ? "connections wait, and are not taken"
	                                      : "nobody can connect";
}

/* Of a socket whose backlog is full: EAGAIN. Of one of another host, which we are not: in progress. */
static int reach(const struct listener *listener, int flags, int *error_r)
{
	int by = atomic_load(&listener->reached_by);
	const struct sockaddr_storage *address = &listener->addresses[by];
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	*error_r = fd >= 0 && connect(fd, (const struct sockaddr *)address, listener->address_size[by]) == 0 ? 0 : errno;
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
