#include "lib/inspect/pool.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 512, CONTROL_FD = 3, RESTART_WAIT_MS = 200 };

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_IDLE, WORKER_BUSY };

struct worker {
	enum worker_state state;
	pid_t pid;
	int socket;
};

struct pool {
	struct pool_settings settings;
	struct arena *arena; /* of the settings' texts */
	pthread_t manager;
	int stop[2]; /* pipe: closing the write end ends the manager */

	pthread_mutex_t lock; /* guards all below; nothing blocks while it is held */
	pthread_cond_t changed;
	struct worker workers[WORKERS_MAX];
	int control; /* to the nursery, -1: it is not there */
	pid_t nursery;
	bool closing;
	bool loaded;
	char *failure; /* why the nursery could not start */
	struct pool_status status;
};

void pool_settings_default(struct pool_settings *settings_r)
{
	*settings_r = (struct pool_settings){
		.tmp_dir = "/var/tmp",
		.start_timeout_ns = 120 * CLOCK_NS_PER_S,
		.memory_max = UINT64_C(1) << 30,
		.scan_size_max = UINT64_C(100) << 20,
		.file_size_max = UINT64_C(100) << 20,
		.scan_recursion_max = 17,
		.scan_files_max = 10000,
		.scan_time_ms = 30000,
	};
}

const char *pool_result_text(enum pool_result result)
{
	switch (result) {
	case POOL_OK:
		return "the content worker answered";
	case POOL_BUSY:
		return "no content worker was free in time";
	case POOL_TIMEOUT:
		return "the content worker did not answer in time";
	case POOL_CRASHED:
		return "the content worker crashed";
	case POOL_NONSENSE:
		return "the content worker gave an answer that cannot be read";
	case POOL_DOWN:
		return "the content workers are not running";
	}
	return NULL;
}

/* ---- the table of workers; the lock is held ---- */

static struct worker *worker_find(struct pool *pool, enum worker_state state)
{
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		if (pool->workers[i].state == state) {
			return &pool->workers[i];
		}
	}
	return NULL;
}

/* A busy worker's socket is closed by the thread that has it. */
static void worker_forget(struct worker *worker)
{
	close(worker->socket);
	*worker = (struct worker){.state = WORKER_NONE, .socket = -1};
}

static void workers_forget(struct pool *pool, pid_t pid)
{
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *worker = &pool->workers[i];
		bool ours = worker->state == WORKER_STARTING || worker->state == WORKER_IDLE;
		if (ours && (pid == 0 || worker->pid == pid)) {
			worker_forget(worker);
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
	struct worker *worker = worker_find(pool, WORKER_NONE);
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
		pool->status.signatures_loaded = note->number;
		pool->status.official_database = note->flag;
		pthread_mutex_unlock(&pool->lock);
		return;
	case WIRE_FAILED:
		pthread_mutex_lock(&pool->lock);
		if (pool->failure == NULL) {
			pool->failure = strdup(note->text);
		}
		pthread_mutex_unlock(&pool->lock);
		log_error("content workers: %s", note->text);
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
			worker->state = WORKER_IDLE;
			snprintf(pool->status.sandbox, sizeof pool->status.sandbox, "%s", note.text);
			pthread_cond_broadcast(&pool->changed);
		} else {
			worker_forget(worker);
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
		wait_ms = wait_ms == 0 ? 1 : wait_ms * 2 > RESTART_WAIT_MS * 10 ? RESTART_WAIT_MS * 10 : wait_ms * 2;
	}
	free(packet);
	return NULL;
}

/* ---- requests ---- */

/* An idle worker, now busy. NULL at the deadline, with *down_r set when there was nobody to wait for. */
static struct worker *worker_acquire(struct pool *pool, uint64_t deadline, struct worker *copy_r, bool *down_r)
{
	struct timespec until = clock_timespec(deadline);
	struct worker *worker;
	int error = 0;
	pthread_mutex_lock(&pool->lock);
	while ((worker = worker_find(pool, WORKER_IDLE)) == NULL && error == 0 && !pool->closing) {
		error = pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &until);
	}
	if (worker != NULL) {
		worker->state = WORKER_BUSY;
		*copy_r = *worker;
		pool->status.busy++;
	}
	*down_r = worker_find(pool, WORKER_BUSY) == NULL;
	pthread_mutex_unlock(&pool->lock);
	return worker;
}

static void worker_release(struct pool *pool, struct worker *worker)
{
	pthread_mutex_lock(&pool->lock);
	worker->state = WORKER_IDLE;
	pool->status.busy--;
	pthread_cond_signal(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

/* It is dead, or has to die. Its nursery replaces it. */
static void worker_discard(struct pool *pool, struct worker *worker, bool dead)
{
	char packet[256];
	struct wire_note note = {.kind = WIRE_KILL, .number = (uint32_t)worker->pid};
	size_t n = wire_put_note(&note, packet);
	pthread_mutex_lock(&pool->lock);
	if (!dead && pool->control >= 0) {
		wire_send(pool->control, packet, n, -1);
	}
	worker_forget(worker);
	pool->status.busy--;
	pthread_mutex_unlock(&pool->lock);
}

static enum pool_result worker_answer(int socket, uint64_t deadline, char *packet, struct arena *arena,
                                      struct inspect_reply *reply_r)
{
	struct pollfd fd = {.fd = socket, .events = POLLIN};
	int ready;
	do {
		ready = poll(&fd, 1, clock_poll_timeout(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready == 0) {
		return POOL_TIMEOUT;
	}
	ssize_t n = wire_receive(socket, packet, NULL);
	if (n == 0 || (n < 0 && errno != EMSGSIZE)) {
		return POOL_CRASHED;
	}
	return n > 0 && wire_get_reply((struct slice){packet, (size_t)n}, arena, reply_r) ? POOL_OK : POOL_NONSENSE;
}

static void pool_count(struct pool *pool, enum pool_result result)
{
	pthread_mutex_lock(&pool->lock);
	pool->status.requests++;
	pool->status.crashed += result == POOL_CRASHED;
	pool->status.timed_out += result == POOL_TIMEOUT;
	pool->status.nonsense += result == POOL_NONSENSE;
	pthread_mutex_unlock(&pool->lock);
}

enum pool_result pool_inspect(struct pool *pool, const struct inspect_request *request, uint64_t deadline,
                              struct arena *arena, struct inspect_reply *reply_r)
{
	struct worker copy;
	bool down;
	char *packet = arena_alloc(arena, WIRE_PACKET_MAX);
	for (;;) {
		struct worker *worker = worker_acquire(pool, deadline, &copy, &down);
		if (worker == NULL) {
			return down ? POOL_DOWN : POOL_BUSY;
		}
		size_t n = wire_put_request(request, packet);
		if (!wire_send(copy.socket, packet, n, request->message_fd)) {
			worker_discard(pool, worker, false); /* it died while it was idle: no message is to blame */
			continue;
		}
		enum pool_result result = worker_answer(copy.socket, deadline, packet, arena, reply_r);
		if (result == POOL_OK) {
			worker_release(pool, worker);
		} else {
			worker_discard(pool, worker, result == POOL_CRASHED);
		}
		pool_count(pool, result);
		return result;
	}
}

/* ---- open and close ---- */

static void settings_copy(struct pool *pool, const struct pool_settings *settings)
{
	size_t n = 0;
	pool->settings = *settings;
	while (settings->databases != NULL && settings->databases[n] != NULL) {
		n++;
	}
	const char **databases = arena_alloc(pool->arena, (n + 1) * sizeof *databases);
	for (size_t i = 0; i < n; i++) {
		databases[i] = arena_strdup(pool->arena, settings->databases[i]);
	}
	pool->settings.databases = databases;
	pool->settings.program = arena_strdup(pool->arena, settings->program);
	pool->settings.tmp_dir = arena_strdup(pool->arena, settings->tmp_dir);
	if (pool->settings.workers == 0) {
		long processors = sysconf(_SC_NPROCESSORS_ONLN);
		pool->settings.workers = processors < 1 ? 1 : processors > 256 ? 256 : (unsigned)processors;
	}
	pool->status.workers = pool->settings.workers;
}

static size_t idle_count(const struct pool *pool)
{
	size_t n = 0;
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		n += pool->workers[i].state == WORKER_IDLE;
	}
	return n;
}

/* NULL when all workers are there, else why not; owned by the caller. */
static char *pool_wait_ready(struct pool *pool)
{
	struct timespec until = clock_timespec(clock_now() + pool->settings.start_timeout_ns);
	int error = 0;
	char *problem = NULL;
	pthread_mutex_lock(&pool->lock);
	while (idle_count(pool) < pool->settings.workers && pool->failure == NULL && error == 0) {
		error = pthread_cond_clockwait(&pool->changed, &pool->lock, CLOCK_MONOTONIC, &until);
	}
	if (idle_count(pool) < pool->settings.workers) {
		problem = strdup(pool->failure != NULL ? pool->failure : "not ready within content.start_timeout");
	}
	pthread_mutex_unlock(&pool->lock);
	return problem;
}

static bool manager_start(struct pool *pool)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&pool->manager, NULL, manager_run, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0;
}

struct pool *pool_open(const struct pool_settings *settings, char **error_r)
{
	struct pool *pool = calloc(1, sizeof *pool);
	if (pool == NULL) {
		abort();
	}
	pool->arena = arena_create(4096);
	pool->control = -1;
	pool->nursery = -1;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->changed, NULL);
	settings_copy(pool, settings);
	if (pipe2(pool->stop, O_CLOEXEC) != 0 || !manager_start(pool)) {
		abort(); /* out of descriptors or threads at the very start */
	}
	char *problem = pool_wait_ready(pool);
	if (problem == NULL) {
		return pool;
	}
	if (asprintf(error_r, "content workers (%s): %s", pool->settings.program, problem) < 0) {
		abort();
	}
	free(problem);
	pool_close(pool);
	return NULL;
}

void pool_close(struct pool *pool)
{
	if (pool == NULL) {
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	close(pool->stop[1]);
	pthread_join(pool->manager, NULL);
	if (pool->control >= 0) {
		close(pool->control); /* the nursery ends its workers and itself */
		waitpid(pool->nursery, NULL, 0);
	}
	workers_forget(pool, 0);
	close(pool->stop[0]);
	free(pool->failure);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	arena_destroy(pool->arena);
	free(pool);
}

void pool_get_status(struct pool *pool, struct pool_status *status_r)
{
	pthread_mutex_lock(&pool->lock);
	*status_r = pool->status;
	pthread_mutex_unlock(&pool->lock);
}
