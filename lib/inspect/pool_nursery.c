#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/pool_private.h"
#include "lib/inspect/wire.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONTROL_FD = 3, RESTART_WAIT_MAX_MS = 2000, NURSERY_END_MS = 5000 };

/* A nursery that ran that long was well: the next one is started at once. */
#define NURSERY_WELL_NS (60 * CLOCK_NS_PER_S)

static void workers_forget(struct pool *pool, pid_t pid)
{
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *worker = &pool->workers[i];
		bool ours = worker->state == WORKER_STARTING || worker->state == WORKER_IDLE;
		if (ours && (pid == 0 || worker->pid == pid)) {
			pool_worker_forget(worker);
		}
	}
}

/* ---- the nursery ---- */

/* Between fork() and exec() of a process with threads: only what is safe there. */
static void nursery_exec(const char *program, int control)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control == CONTROL_FD) {
		fcntl(control, F_SETFD, 0);
	} else if (dup2(control, CONTROL_FD) < 0) {
		_exit(127);
	}
	close_range(CONTROL_FD + 1, ~0U, 0);
	execl(program, "mailreeve-inspect", (char *)NULL);
	_exit(127);
}

/* Starts the nursery and gives it its settings. */
static bool nursery_start(struct pool *pool)
{
	int pair[2];
	char *packet = malloc(WIRE_PACKET_MAX);
	size_t n = packet == NULL ? 0 : wire_put_settings(&pool->settings, packet);
	if (n == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		free(packet);
		return false;
	}
	pid_t pid = fork();
	if (pid == 0) {
		nursery_exec(pool->settings.program, pair[1]);
	}
	close(pair[1]);
	bool good = pid > 0 && wire_send(pair[0], packet, n, -1);
	free(packet);
	pthread_mutex_lock(&pool->lock);
	pool->nursery = pid;
	pool->control = pair[0];
	pthread_mutex_unlock(&pool->lock);
	return good;
}

/* Its end of the control socket is closed: it is gone, or going. */
static void nursery_gone(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pid_t pid = pool->nursery;
	close(pool->control);
	pool->control = -1;
	pool->nursery = -1;
	workers_forget(pool, 0);
	if (!pool->loaded && pool->failure == NULL) {
		pool->failure = strdup("mailreeve-inspect ended before it was ready; is the program where it should be?");
	}
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void worker_add(struct pool *pool, pid_t pid, int socket)
{
	pthread_mutex_lock(&pool->lock);
	struct worker *worker = pool_worker_find(pool, WORKER_NONE);
	if (worker != NULL && socket >= 0) {
		*worker = (struct worker){.state = WORKER_STARTING, .pid = pid, .socket = socket};
	} else if (socket >= 0) {
		close(socket);
	}
	pthread_mutex_unlock(&pool->lock);
}

static void control_note(struct pool *pool, const struct wire_note *note, int fd)
{
	switch (note->kind) {
	case WIRE_LOADED:
		pthread_mutex_lock(&pool->lock);
		pool->loaded = true;
		pool->status.database = note->database;
		pthread_mutex_unlock(&pool->lock);
		return;
	case WIRE_FAILED:
		pthread_mutex_lock(&pool->lock);
		if (pool->failure == NULL) {
			pool->failure = strdup(note->text);
		}
		bool loaded = pool->loaded;
		pthread_mutex_unlock(&pool->lock);
		if (loaded) { /* else pool_open() tells */
			log_error("content workers: %s", note->text);
		}
		return;
	case WIRE_WORKER:
		worker_add(pool, (pid_t)note->number, fd);
		return;
	case WIRE_DIED:
		pthread_mutex_lock(&pool->lock);
		workers_forget(pool, (pid_t)note->number);
		pthread_mutex_unlock(&pool->lock);
		return;
	case WIRE_KILL:
	case WIRE_READY:
		break;
	}
	log_error("content workers: a note that the nursery should not send");
}

/* False when the nursery is gone. */
static bool control_read(struct pool *pool, char *packet)
{
	int fd = -1;
	struct wire_note note;
	ssize_t n = wire_receive(pool->control, packet, &fd);
	if (n <= 0) {
		return false;
	}
	struct arena *arena = arena_create(1024);
	bool good = wire_get_note((struct slice){packet, (size_t)n}, arena, &note);
	if (good) {
		control_note(pool, &note, note.kind == WIRE_WORKER ? fd : -1);
	}
	if (fd >= 0 && (!good || note.kind != WIRE_WORKER)) {
		close(fd);
	}
	arena_destroy(arena);
	return good;
}

/* A starting worker says that it is ready, or has died. */
static void starting_read(struct pool *pool, int socket, char *packet)
{
	struct wire_note note;
	struct arena *arena = arena_create(1024);
	ssize_t n = wire_receive(socket, packet, NULL);
	bool ready = n > 0 && wire_get_note((struct slice){packet, (size_t)n}, arena, &note) && note.kind == WIRE_READY;
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *worker = &pool->workers[i];
		if (worker->state != WORKER_STARTING || worker->socket != socket) {
			continue;
		}
		if (ready) {
			snprintf(pool->status.sandbox, sizeof pool->status.sandbox, "%s", note.text);
			pool_worker_offer(pool, worker);
		} else {
			pool_worker_forget(worker);
		}
	}
	pthread_mutex_unlock(&pool->lock);
	arena_destroy(arena);
}

static size_t manager_fds(struct pool *pool, struct pollfd *fds)
{
	size_t n = 0;
	fds[n++] = (struct pollfd){.fd = pool->stop[0], .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = pool->control, .events = POLLIN};
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		if (pool->workers[i].state == WORKER_STARTING) {
			fds[n++] = (struct pollfd){.fd = pool->workers[i].socket, .events = POLLIN};
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return n;
}

/* Serves one nursery to its end. False when the pool is closing. */
static bool manager_serve(struct pool *pool, char *packet)
{
	struct pollfd fds[WORKERS_MAX + 2];
	for (;;) {
		size_t n = manager_fds(pool, fds);
		if (poll(fds, n, -1) < 0) {
			continue; /* EINTR: nothing else can happen to good descriptors */
		}
		if (fds[0].revents != 0) {
			return false;
		}
		for (size_t i = 2; i < n; i++) {
			if (fds[i].revents != 0) {
				starting_read(pool, fds[i].fd, packet);
			}
		}
		if (fds[1].revents != 0 && !control_read(pool, packet)) {
			return true;
		}
	}
}

static void *manager_run(void *data)
{
	struct pool *pool = data;
	char *packet = malloc(WIRE_PACKET_MAX);
	unsigned wait_ms = 0;
	while (packet != NULL) {
		uint64_t start = clock_now();
		struct pollfd stop = {.fd = pool->stop[0], .events = POLLIN};
		if (wait_ms > 0 && poll(&stop, 1, (int)wait_ms) > 0) {
			break;
		}
		if (!nursery_start(pool)) {
			log_error("content workers: the nursery cannot be started");
		} else if (!manager_serve(pool, packet)) {
			break;
		}
		nursery_gone(pool);
		pthread_mutex_lock(&pool->lock);
		pool->status.restarts++;
		bool give_up = !pool->loaded;
		pthread_mutex_unlock(&pool->lock);
		if (give_up) {
			break;
		}
		log_error("content workers: the nursery is gone and is started again");
		wait_ms = clock_now() - start > NURSERY_WELL_NS || wait_ms == 0 ? 1
		          : wait_ms * 2 > RESTART_WAIT_MAX_MS                   ? RESTART_WAIT_MAX_MS
		                                                                : wait_ms * 2;
	}
	free(packet);
	return NULL;
}

bool pool_manager_start(struct pool *pool)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&pool->manager, NULL, manager_run, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0;
}

/* The nursery ends its workers and itself when the control socket closes; one that does not is killed. */
static void nursery_end(struct pool *pool)
{
	struct pollfd gone = {.fd = pidfd_open(pool->nursery, 0), .events = POLLIN};
	close(pool->control);
	if (gone.fd < 0 || poll(&gone, 1, NURSERY_END_MS) <= 0) {
		kill(pool->nursery, SIGKILL);
	}
	if (gone.fd >= 0) {
		close(gone.fd);
	}
	waitpid(pool->nursery, NULL, 0);
}

void pool_manager_end(struct pool *pool)
{
	close(pool->stop[1]);
	pthread_join(pool->manager, NULL);
	if (pool->control >= 0) {
		nursery_end(pool);
	}
	workers_forget(pool, 0);
}
