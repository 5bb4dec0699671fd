#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/keeper_private.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- settings ---- */

static const char *const *copy_list(struct arena *arena, const char *const *texts)
{
	size_t n = 0;
	while (texts != NULL && texts[n] != NULL) {
		n++;
	}
	const char **copy = arena_alloc(arena, (n + 1) * sizeof *copy);
	for (size_t i = 0; i < n; i++) {
		copy[i] = arena_strdup(arena, texts[i]);
	}
	copy[n] = NULL;
	return copy;
}

void keeper_copy_settings(struct arena *arena, const struct keeper_settings *settings, struct keeper_settings *copy_r)
{
	*copy_r = *settings;
	copy_r->pool.program = arena_strdup(arena, settings->pool.program);
	copy_r->pool.tmp_dir = arena_strdup(arena, settings->pool.tmp_dir);
	copy_r->pool.databases = copy_list(arena, settings->pool.databases);
	copy_r->pool.ignored = copy_list(arena, settings->pool.ignored);
	if (settings->clamd_socket != NULL) {
		copy_r->clamd_socket = arena_strdup(arena, settings->clamd_socket);
	}
}

/* ---- generations ---- */

/* clamd has a database of its own: the workers need none. */
static struct pool *open_workers(const struct keeper_settings *settings, char **error_r)
{
	static const char *const none[] = {NULL};
	struct pool_settings pool = settings->pool;
	if (settings->clamd_socket != NULL) {
		pool.databases = none;
	}
	return pool_open(&pool, error_r);
}

struct generation *generation_open(const struct keeper_settings *settings, char **error_r)
{
	struct generation *generation = calloc(1, sizeof *generation);
	if (generation == NULL) {
		abort();
	}
	generation->arena = arena_create(4096);
	keeper_copy_settings(generation->arena, settings, &generation->settings);
	generation->clamd = (struct clamd){generation->settings.clamd_socket, generation->settings.pool.tmp_dir};
	generation->print = databases_look(generation->settings.pool.databases);
	generation->pool = open_workers(&generation->settings, error_r);
	if (generation->pool == NULL) {
		generation_close(generation);
		return NULL;
	}
	return generation;
}

void generation_close(struct generation *generation)
{
	if (generation != NULL) {
		pool_close(generation->pool);
		arena_destroy(generation->arena);
		free(generation);
	}
}

/* The worker finds the files, in every reading of the message; clamd scans them, and the message as it reads it. */
static enum pool_result inspect_by_clamd(struct generation *generation, const struct inspect_request *request,
                                         uint64_t deadline, struct arena *arena, struct inspect_reply *reply_r)
{
	bool scan = (request->tasks & INSPECT_VIRUS) != 0;
	int files = -1;
	struct inspect_request rest = *request;
	rest.tasks &= ~(unsigned)INSPECT_VIRUS;
	if (scan) {
		rest.tasks |= INSPECT_EXPORT;
		rest.files_fd_r = &files;
	}
	enum pool_result result = pool_inspect(generation->pool, &rest, deadline, arena, reply_r);
	if (result == POOL_OK && scan) {
		uint64_t start = clock_now();
		clamd_scan(&generation->clamd, request->message_fd, request->message_size, deadline, arena, reply_r);
		if (files >= 0 && reply_r->virus != INSPECT_VIRUS_FOUND) {
			clamd_scan_files(&generation->clamd, files, deadline, arena, reply_r);
		}
		reply_r->virus_us += (uint32_t)((clock_now() - start) / 1000);
	}
	if (files >= 0) {
		close(files);
	}
	return result;
}

enum pool_result generation_inspect(struct generation *generation, const struct inspect_request *request,
                                    uint64_t deadline, struct arena *arena, struct inspect_reply *reply_r)
{
	if (generation->settings.clamd_socket == NULL) {
		return pool_inspect(generation->pool, request, deadline, arena, reply_r);
	}
	return inspect_by_clamd(generation, request, deadline, arena, reply_r);
}

/* ---- requests ---- */

/* What a scanner calls clean that does not find EICAR has not been scanned. */
static void doubt(const struct keeper *keeper, struct arena *arena, struct inspect_reply *reply)
{
	if (keeper->status.problem[0] != '\0' && reply->virus == INSPECT_VIRUS_CLEAN) {
		reply->virus = INSPECT_VIRUS_NOT_SCANNED;
		reply->virus_problem = arena_printf(arena, "the self-test fails: %s", keeper->status.problem);
	}
}

enum pool_result keeper_inspect(struct keeper *keeper, const struct inspect_request *request, uint64_t deadline,
                                struct arena *arena, struct inspect_reply *reply_r)
{
	pthread_mutex_lock(&keeper->lock);
	struct generation *generation = keeper->current;
	generation->users++;
	pthread_mutex_unlock(&keeper->lock);
	enum pool_result result = generation_inspect(generation, request, deadline, arena, reply_r);
	pthread_mutex_lock(&keeper->lock);
	if (result == POOL_OK) {
		doubt(keeper, arena, reply_r);
		if (generation->settings.clamd_socket != NULL) {
			reply_r->database = generation->database;
		}
	}
	bool scanned = result == POOL_OK && reply_r->virus != INSPECT_VIRUS_NOT_SCANNED;
	keeper->status.not_scanned += (request->tasks & INSPECT_VIRUS) != 0 && !scanned;
	if (--generation->users == 0) {
		pthread_cond_broadcast(&keeper->changed);
	}
	pthread_mutex_unlock(&keeper->lock);
	return result;
}

/* ---- open, configure, close ---- */

static bool start_thread(struct keeper *keeper)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	keeper->watching = pthread_create(&keeper->thread, NULL, keeper_watch, keeper) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return keeper->watching;
}

struct keeper *keeper_open(const struct keeper_settings *settings, char **error_r)
{
	struct generation *first = generation_open(settings, error_r);
	if (first == NULL) {
		return NULL;
	}
	struct keeper *keeper = calloc(1, sizeof *keeper);
	if (keeper == NULL) {
		abort();
	}
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_cond_init(&keeper->changed, NULL);
	keeper->current = first;
	keeper->wanted_arena = arena_create(4096);
	keeper_copy_settings(keeper->wanted_arena, settings, &keeper->wanted);
	keeper_ask_clamd(keeper, keeper->wanted_arena);
	if (settings->watch) {
		keeper_run_test(keeper);
		if (!start_thread(keeper)) {
			abort(); /* out of threads at the very start */
		}
	}
	return keeper;
}

void keeper_configure(struct keeper *keeper, const struct keeper_settings *settings)
{
	pthread_mutex_lock(&keeper->lock);
	arena_reset(keeper->wanted_arena);
	keeper_copy_settings(keeper->wanted_arena, settings, &keeper->wanted);
	keeper->asked = true;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
}

void keeper_close(struct keeper *keeper)
{
	if (keeper == NULL) {
		return;
	}
	pthread_mutex_lock(&keeper->lock);
	keeper->closing = true;
	pthread_cond_broadcast(&keeper->changed);
	pthread_mutex_unlock(&keeper->lock);
	if (keeper->watching) {
		pthread_join(keeper->thread, NULL);
	}
	generation_close(keeper->current);
	arena_destroy(keeper->wanted_arena);
	pthread_cond_destroy(&keeper->changed);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

void keeper_get_status(struct keeper *keeper, struct keeper_status *status_r)
{
	struct pool_status now;
	pthread_mutex_lock(&keeper->lock);
	*status_r = keeper->status;
	const struct generation *generation = keeper->current;
	pool_get_status(generation->pool, &now); /* its lock is taken within ours, never the other way round */
	status_r->clamd = generation->settings.clamd_socket != NULL;
	if (status_r->clamd) {
		now.database = generation->database;
	}
	pthread_mutex_unlock(&keeper->lock);
	now.requests += status_r->pool.requests;
	now.answered += status_r->pool.answered;
	now.crashed += status_r->pool.crashed;
	now.timed_out += status_r->pool.timed_out;
	now.nonsense += status_r->pool.nonsense;
	now.restarts += status_r->pool.restarts;
	status_r->pool = now;
}
