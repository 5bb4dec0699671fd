#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/pool_private.h"
#include "lib/inspect/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

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

struct worker *pool_worker_find(struct pool *pool, enum worker_state state)
{
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		if (pool->workers[i].state == state) {
			return &pool->workers[i];
		}
	}
	return NULL;
}

void pool_worker_forget(struct worker *worker)
{
	close(worker->socket);
	*worker = (struct worker){.state = WORKER_NONE, .socket = -1};
}

void pool_worker_offer(struct pool *pool, struct worker *worker)
{
	struct waiter *first = pool->waiters;
	worker->state = WORKER_IDLE;
	if (first != NULL) {
		pool->waiters = first->next;
		worker->state = WORKER_BUSY;
		pool->status.busy++;
		first->worker = worker;
		pthread_cond_signal(&first->given);
	}
	pthread_cond_broadcast(&pool->changed);
}

/* ---- requests ---- */

static void waiter_leave(struct pool *pool, const struct waiter *waiter)
{
	struct waiter **at = &pool->waiters;
	while (*at != waiter) {
		at = &(*at)->next;
	}
	*at = waiter->next;
}

static void waiter_wait(struct pool *pool, struct waiter *waiter, uint64_t deadline)
{
	struct timespec until = clock_timespec(deadline);
	struct waiter **last = &pool->waiters;
	int error = 0;
	while (*last != NULL) {
		last = &(*last)->next;
	}
	*last = waiter;
	pthread_cond_init(&waiter->given, NULL);
	while (waiter->worker == NULL && error == 0 && !pool->closing) {
		error = pthread_cond_clockwait(&waiter->given, &pool->lock, CLOCK_MONOTONIC, &until);
	}
	if (waiter->worker == NULL) {
		waiter_leave(pool, waiter);
	}
	pthread_cond_destroy(&waiter->given);
}

/* A worker, now busy. NULL at the deadline, with *down_r set when there was nobody to wait for. */
static struct worker *worker_acquire(struct pool *pool, uint64_t deadline, struct worker *copy_r, bool *down_r)
{
	struct waiter waiter = {.worker = NULL};
	uint64_t start = clock_now();
	pthread_mutex_lock(&pool->lock);
	struct worker *worker = pool_worker_find(pool, WORKER_IDLE);
	if (worker != NULL) {
		worker->state = WORKER_BUSY;
		pool->status.busy++;
	} else {
		pool->status.waiting++;
		waiter_wait(pool, &waiter, deadline);
		pool->status.waiting--;
		worker = waiter.worker;
	}
	uint64_t waited = clock_now() - start;
	pool->status.wait[histogram_bucket(waited)]++;
	pool->status.wait[HISTOGRAM_SUM] += waited;
	if (worker != NULL && clock_now() >= deadline) {
		pool->status.busy--;
		pool_worker_offer(pool, worker); /* a request that has no time left would only kill it */
		worker = NULL;
	}
	if (worker != NULL) {
		*copy_r = *worker;
	}
	*down_r = pool_worker_find(pool, WORKER_BUSY) == NULL && pool_worker_find(pool, WORKER_IDLE) == NULL;
	pthread_mutex_unlock(&pool->lock);
	return worker;
}

static void worker_release(struct pool *pool, struct worker *worker)
{
	pthread_mutex_lock(&pool->lock);
	pool->status.busy--;
	pool_worker_offer(pool, worker);
	pthread_mutex_unlock(&pool->lock);
}

/* It is dead or has to die, whatever it looks like from here: a worker that was taken over may close its socket and
 * live on. Its nursery replaces it. A nursery that has no room for a note does not read them, and is replaced too. */
static void worker_discard(struct pool *pool, struct worker *worker)
{
	char packet[256];
	struct wire_note note = {.kind = WIRE_KILL, .number = (uint32_t)worker->pid};
	size_t n = wire_put_note(&note, packet);
	pthread_mutex_lock(&pool->lock);
	if (pool->control >= 0 && !wire_offer(pool->control, packet, n, -1)) {
		shutdown(pool->control, SHUT_RDWR);
	}
	pool_worker_forget(worker);
	pool->status.busy--;
	pthread_mutex_unlock(&pool->lock);
}

/* A worker may lie about what it was asked, but not tell of anything else. */
static bool reply_fits(const struct inspect_reply *reply, const struct inspect_request *request)
{
	size_t expected = (request->tasks & INSPECT_DKIM) != 0 ? request->keys->count : 0;
	bool asked = (request->tasks & INSPECT_VIRUS) != 0;
	bool tokens = (request->tasks & INSPECT_TOKENS) != 0;
	if (reply->name_count != (tokens ? request->named_count : 0) || (!tokens && reply->token_count > 0)) {
		return false;
	}
	bool files = (request->tasks & (INSPECT_VIRUS | INSPECT_FILES | INSPECT_EXPORT)) != 0;
	if (reply->signature_count != expected || asked != (reply->virus != INSPECT_VIRUS_NOT_ASKED) ||
	    (!files && (reply->part_count > 0 || reply->classes != 0))) {
		return false;
	}
	for (size_t i = 0; i < expected; i++) {
		const struct inspect_signature *signature = &reply->signatures[i];
		const struct dkim_key *key = &request->keys->items[i];
		bool passed = signature->result == AUTH_PASS;
		if (strcmp(signature->domain, key->domain) != 0 || strcmp(signature->selector, key->selector) != 0 ||
		    passed != (signature->problem == NULL) || (passed && key->status != DKIM_KEY_FOUND)) {
			return false;
		}
	}
	return true;
}

/* A worker may send any descriptor that it has. */
static bool file_fits(const struct inspect_request *request)
{
	struct stat status;
	return request->files_fd_r == NULL || *request->files_fd_r < 0 ||
	       (fstat(*request->files_fd_r, &status) == 0 && S_ISREG(status.st_mode));
}

static void drop_file(const struct inspect_request *request)
{
	if (request->files_fd_r != NULL && *request->files_fd_r >= 0) {
		close(*request->files_fd_r);
		*request->files_fd_r = -1;
	}
}

/* POOL_DOWN: it died before it had read the request. */
static enum pool_result worker_answer(int socket, uint64_t deadline, char *packet, struct arena *arena,
                                      const struct inspect_request *request, struct inspect_reply *reply_r)
{
	struct pollfd fd = {.fd = socket, .events = POLLIN};
	int ready;
	do {
		ready = poll(&fd, 1, clock_poll_timeout(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready == 0) {
		return POOL_TIMEOUT;
	}
	ssize_t n = wire_receive(socket, packet, request->files_fd_r);
	if (n < 0 && errno == ECONNRESET) {
		return POOL_DOWN; /* so the kernel says that packets were left unread */
	}
	if (n == 0 || (n < 0 && errno != EMSGSIZE)) {
		return POOL_CRASHED;
	}
	bool good =
	    n > 0 && wire_get_reply((struct slice){packet, (size_t)n}, arena, reply_r) && reply_fits(reply_r, request) &&
	    file_fits(request);
	return good ? POOL_OK : POOL_NONSENSE;
}

static void worker_give_back(struct pool *pool, struct worker *worker, enum pool_result result)
{
	if (result == POOL_OK) {
		worker_release(pool, worker);
	} else {
		worker_discard(pool, worker);
	}
}

static void pool_count(struct pool *pool, enum pool_result result)
{
	pthread_mutex_lock(&pool->lock);
	pool->status.requests++;
	pool->status.answered += result == POOL_OK;
	pool->status.crashed += result == POOL_CRASHED;
	pool->status.timed_out += result == POOL_TIMEOUT;
	pool->status.nonsense += result == POOL_NONSENSE;
	pthread_mutex_unlock(&pool->lock);
}

/* An idle worker has nothing to say: what can be read now is its end, or an answer to a question not yet put. */
static bool worker_quiet(int socket)
{
	struct pollfd fd = {.fd = socket, .events = POLLIN};
	return poll(&fd, 1, 0) == 0;
}

/* packet: room for the largest. */
static enum pool_result inspect(struct pool *pool, const struct inspect_request *request, uint64_t deadline, char *packet,
                                struct arena *arena, struct inspect_reply *reply_r)
{
	struct worker copy;
	struct worker *worker;
	bool down;
	while ((worker = worker_acquire(pool, deadline, &copy, &down)) != NULL) {
		if (worker_quiet(copy.socket)) {
			/* What is left of the time is what the worker has. */
			struct inspect_request now = *request;
			now.deadline_ms = (uint32_t)clock_poll_timeout(deadline);
			size_t n = wire_put_request(&now, packet);
			if (wire_offer(copy.socket, packet, n, request->message_fd)) {
				enum pool_result result = worker_answer(copy.socket, deadline, packet, arena, request, reply_r);
				worker_give_back(pool, worker, result);
				if (result == POOL_DOWN) {
					continue;
				}
				return result == POOL_TIMEOUT && now.deadline_ms < request->deadline_ms / 2 ? POOL_BUSY : result;
			}
			if (errno != EPIPE && errno != ECONNRESET && errno != EAGAIN) {
				log_error("content workers: a request cannot be sent: %s", strerror(errno));
				worker_give_back(pool, worker, POOL_OK);
				return POOL_DOWN;
			}
		}
		worker_discard(pool, worker); /* it died, or retired, while it was idle: no message is to blame */
	}
	return down ? POOL_DOWN : POOL_BUSY;
}

enum pool_result pool_inspect(struct pool *pool, const struct inspect_request *request, uint64_t deadline,
                              struct arena *arena, struct inspect_reply *reply_r)
{
	pthread_mutex_lock(&pool->lock);
	pool->inside++;
	pthread_mutex_unlock(&pool->lock);
	if (request->files_fd_r != NULL) {
		*request->files_fd_r = -1;
	}
	char *packet = malloc(WIRE_PACKET_MAX); /* of which most is never touched: an arena would clear it */
	if (packet == NULL) {
		abort();
	}
	enum pool_result result = inspect(pool, request, deadline, packet, arena, reply_r);
	free(packet);
	if (result != POOL_OK) {
		drop_file(request);
	}
	pool_count(pool, result);
	pthread_mutex_lock(&pool->lock);
	pool->inside--;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return result;
}

/* ---- open and close ---- */

static const char *const *list_copy(struct arena *arena, const char *const *texts)
{
	size_t n = 0;
	while (texts != NULL && texts[n] != NULL) {
		n++;
	}
	const char **copy = arena_alloc(arena, (n + 1) * sizeof *copy);
	for (size_t i = 0; i < n; i++) {
		copy[i] = arena_strdup(arena, texts[i]);
	}
	return copy;
}

static void settings_copy(struct pool *pool, const struct pool_settings *settings)
{
	pool->settings = *settings;
	pool->settings.databases = list_copy(pool->arena, settings->databases);
	pool->settings.ignored = list_copy(pool->arena, settings->ignored);
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
	if (pipe2(pool->stop, O_CLOEXEC) != 0 || !pool_manager_start(pool)) {
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

/* Nobody waits for a worker any more, and those who have one are done with it. */
static void pool_drain(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	for (struct waiter *waiter = pool->waiters; waiter != NULL; waiter = waiter->next) {
		pthread_cond_signal(&waiter->given);
	}
	while (pool->inside > 0) {
		pthread_cond_wait(&pool->changed, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool)
{
	if (pool == NULL) {
		return;
	}
	pool_drain(pool);
	pool_manager_end(pool);
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
	status_r->nursery = pool->nursery;
	pthread_mutex_unlock(&pool->lock);
}

void pool_status_add(struct pool_status *sum, const struct pool_status *more)
{
	sum->requests += more->requests;
	sum->answered += more->answered;
	sum->crashed += more->crashed;
	sum->timed_out += more->timed_out;
	sum->nonsense += more->nonsense;
	sum->restarts += more->restarts;
	for (size_t i = 0; i < HISTOGRAM_CELLS; i++) {
		sum->wait[i] += more->wait[i];
	}
}
