#include "milter/handover.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "milter/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The environment's word to the heir: a digit for each thing, 1: it is there; they have the descriptors from FIRST_FD, and
 * behind them the one on which it says that it is ready. */
#define VARIABLE "MAILREEVE_HANDOVER"

enum { FIRST_FD = 3, READY_FD = FIRST_FD + HANDOVER_COUNT, HIGH_FD = 64 };
#define PATIENCE (900 * CLOCK_NS_PER_S) /* a large virus database, a migration of the store */

struct thing {
	int fd;
	void (*let_go)(void *context);
	void *context;
};

static char **arguments;
static char *program; /* its path: an upgrade puts another file there */
static int inherited[HANDOVER_COUNT] = {-1, -1, -1, -1};
static int ready = -1;
static struct thing offered[HANDOVER_COUNT] = {{-1, NULL, NULL}, {-1, NULL, NULL}, {-1, NULL, NULL}, {-1, NULL, NULL}};
static pthread_mutex_t running = PTHREAD_MUTEX_INITIALIZER; /* held while there is an heir that is not ready */

extern char **environ;

void handover_init(char **argv)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	arguments = argv;
	program = n > 0 ? strndup(path, (size_t)n) : NULL;
	const char *things = getenv(VARIABLE);
	if (things == NULL || strlen(things) != HANDOVER_COUNT) {
		return;
	}
	for (int i = 0; i < HANDOVER_COUNT; i++) {
		inherited[i] = things[i] == '1' ? FIRST_FD + i : -1;
		if (inherited[i] >= 0) {
			fcntl(inherited[i], F_SETFD, FD_CLOEXEC);
		}
	}
	ready = READY_FD;
	fcntl(ready, F_SETFD, FD_CLOEXEC);
	unsetenv(VARIABLE);
}

bool handover_is_heir(void)
{
	return ready >= 0;
}

int handover_take(enum handover_thing thing)
{
	int fd = inherited[thing];
	inherited[thing] = -1;
	return fd;
}

void handover_offer(enum handover_thing thing, int fd, void (*let_go)(void *context), void *context)
{
	offered[thing] = (struct thing){fd, let_go, context};
}

int handover_offered(enum handover_thing thing)
{
	return offered[thing].fd;
}

void handover_ready(void)
{
	if (ready >= 0) {
		if (write(ready, "r", 1) != 1) {
			log_warning("handover: the older process does not listen");
		}
		close(ready);
		ready = -1;
	}
}

/* The heir gets all descriptors at fixed places, and no other: those of connections stay ours. All but the last are dup()s
 * of its own, so that none lies in the way. */
static bool spawn(int ready_end, pid_t *pid_r)
{
	posix_spawn_file_actions_t actions;
	char things[] = VARIABLE "=0000";
	int high[HANDOVER_COUNT + 1];
	size_t count = 0;
	bool good = true;
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i <= HANDOVER_COUNT; i++) {
		int fd = i == HANDOVER_COUNT ? ready_end : offered[i].fd;
		high[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
		good = good && (fd < 0 || high[i] >= 0);
		if (high[i] >= 0) {
			posix_spawn_file_actions_adddup2(&actions, high[i], FIRST_FD + i);
			if (i < HANDOVER_COUNT) {
				things[sizeof VARIABLE + (size_t)i] = '1';
			}
		} else {
			posix_spawn_file_actions_addclose(&actions, FIRST_FD + i);
		}
	}
	posix_spawn_file_actions_addclosefrom_np(&actions, READY_FD + 1);
	while (environ[count] != NULL) {
		count++;
	}
	const char *const *legacy = notify_legacy();
	char **environment = calloc(count + 4, sizeof *environment);
	if (environment == NULL) {
		abort();
	}
	memcpy(environment, environ, count * sizeof *environment);
	environment[count++] = things;
	for (; *legacy != NULL; legacy++) {
		environment[count++] = (char *)(uintptr_t)*legacy;
	}
	int error = good ? posix_spawn(pid_r, program, &actions, NULL, arguments, environment) : errno;
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i <= HANDOVER_COUNT; i++) {
		if (high[i] >= 0) {
			close(high[i]);
		}
	}
	free(environment);
	errno = error;
	return error == 0;
}

/* Does the heir say that it is ready? Else it has died, or does not get anywhere. */
static bool becomes_ready(int fd)
{
	uint64_t deadline = clock_now() + PATIENCE;
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char word;
	while (poll(&wait, 1, clock_poll_timeout(deadline)) < 0 && errno == EINTR) {
	}
	return wait.revents != 0 && read(fd, &word, 1) == 1;
}

static void let_go(void)
{
	for (int i = 0; i < HANDOVER_COUNT; i++) {
		if (offered[i].let_go != NULL) {
			offered[i].let_go(offered[i].context);
		}
	}
}

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

static char *run(void)
{
	int ends[2];
	pid_t pid;
	if (program == NULL || pipe2(ends, O_CLOEXEC) != 0) {
		return text("the new process cannot be started: %s", program == NULL ? "/proc is not there" : strerror(errno));
	}
	bool started = spawn(ends[1], &pid);
	int error = errno;
	close(ends[1]);
	if (!started) {
		close(ends[0]);
		return text("%s: %s", program, strerror(error));
	}
	log_info("handover: process %ld gets ready to take our place", (long)pid);
	bool good = becomes_ready(ends[0]);
	close(ends[0]);
	if (!good) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		log_error("handover: process %ld has not become ready: this one goes on", (long)pid);
		return text("the new process has not become ready, its log says why; the old one goes on");
	}
	log_info("handover: process %ld has taken our place", (long)pid);
	notify_hand_over(pid);
	let_go();
	kill(getpid(), SIGTERM);
	return NULL;
}

char *handover_run(void)
{
	/* It is never given back after success: this process ends. */
	if (pthread_mutex_trylock(&running) != 0) {
		return text("a new process is getting ready already");
	}
	char *error = run();
	if (error != NULL) {
		pthread_mutex_unlock(&running);
	}
	return error;
}
