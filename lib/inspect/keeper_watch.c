#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/keeper_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Files that change are looked at again so much later, and loaded when nothing has changed meanwhile. */
#define SETTLE_NS (2 * CLOCK_NS_PER_S)

/* What the thread remembers between two looks. */
struct watch {
	struct keeper *keeper;
	struct arena *arena;             /* of settings */
	struct keeper_settings settings; /* the wanted ones */
	struct databases_print seen;     /* at the last look */
	struct databases_print refused;  /* a database, with these settings, that proved no good: it is not tried again */
	bool any_refused;
	uint64_t next_look, next_test; /* monotonic */
};

/* ---- what has changed ---- */

static bool same_list(const char *const *a, const char *const *b)
{
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_settings(const struct keeper_settings *a, const struct keeper_settings *b)
{
	const struct pool_settings *p = &a->pool;
	const struct pool_settings *q = &b->pool;
	return same_text(a->clamd_socket, b->clamd_socket) && a->self_test == b->self_test &&
	       same_text(p->program, q->program) && p->workers == q->workers && same_text(p->tmp_dir, q->tmp_dir) &&
	       same_list(p->databases, q->databases) && p->start_timeout_ns == q->start_timeout_ns &&
	       p->memory_max == q->memory_max && p->scan_size_max == q->scan_size_max &&
	       p->file_size_max == q->file_size_max && p->scan_recursion_max == q->scan_recursion_max &&
	       p->scan_files_max == q->scan_files_max && p->scan_time_ms == q->scan_time_ms &&
	       p->scan_heuristics == q->scan_heuristics && p->scan_pua == q->scan_pua && same_list(p->ignored, q->ignored);
}

/* ---- one generation for another ---- */

/* Resident memory of a process, MB; 0: not known. */
static unsigned long resident_mb(pid_t pid)
{
	char path[64];
	unsigned long pages = 0;
	snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
	FILE *file = pid > 0 ? fopen(path, "re") : NULL;
	if (file != NULL) {
		if (fscanf(file, "%*u %lu", &pages) != 1) {
			pages = 0;
		}
		fclose(file);
	}
	return pages * ((unsigned long)sysconf(_SC_PAGESIZE) >> 10) >> 10;
}

static void log_database(const struct inspect_database *database, const char *what)
{
	char made[32] = "";
	char version[64] = "";
	time_t time = (time_t)database->time;
	struct tm utc;
	if (database->official && gmtime_r(&time, &utc) != NULL && strftime(made, sizeof made, "%Y-%m-%d", &utc) > 0) {
		snprintf(version, sizeof version, ", official version %u of %s", database->version, made);
	}
	log_info("virus database: %u signatures%s %s", database->signatures, version, what);
}

/* Waits for the requests that are still in it: each has a deadline. */
static void retire(struct keeper *keeper, struct generation *old)
{
	struct pool_status status;
	pthread_mutex_lock(&keeper->lock);
	while (old->users > 0) {
		pthread_cond_wait(&keeper->changed, &keeper->lock);
	}
	pool_get_status(old->pool, &status);
	keeper->status.pool.requests += status.requests;
	keeper->status.pool.answered += status.answered;
	keeper->status.pool.crashed += status.crashed;
	keeper->status.pool.timed_out += status.timed_out;
	keeper->status.pool.nonsense += status.nonsense;
	keeper->status.pool.restarts += status.restarts;
	pthread_mutex_unlock(&keeper->lock);
	generation_close(old);
}

static void switch_to(struct keeper *keeper, struct generation *next)
{
	struct pool_status before;
	struct pool_status after;
	pthread_mutex_lock(&keeper->lock);
	struct generation *old = keeper->current;
	keeper->current = next;
	keeper->status.reloads++;
	keeper->status.problem[0] = '\0';
	pthread_mutex_unlock(&keeper->lock);
	pool_get_status(old->pool, &before);
	pool_get_status(next->pool, &after);
	log_database(&after.database, "are in force");
	log_info("content workers: %u new ones took over; memory at the switch: old nursery %lu MB, new nursery %lu MB",
	         after.workers, resident_mb(before.nursery), resident_mb(after.nursery));
	retire(keeper, old);
}

/* The candidate's fault; NULL: it is fit to take over. */
static const char *prove(struct keeper *keeper, struct generation *next, struct arena *arena)
{
	struct pool_status before;
	struct pool_status after;
	pool_get_status(keeper->current->pool, &before);
	pool_get_status(next->pool, &after);
	bool own = keeper->current->settings.clamd_socket == NULL && next->settings.clamd_socket == NULL;
	if (own && before.database.signatures > 0 && after.database.signatures == 0) {
		return "no signatures at all are in it";
	}
	return next->settings.self_test ? keeper_test(next, arena) : NULL;
}

static void refuse(struct watch *watch, struct generation *next, const char *problem)
{
	log_error("content workers: the old ones with their virus database stay, since the new ones are no good: %s",
	          problem);
	generation_close(next);
	watch->refused = watch->seen;
	watch->any_refused = true;
	pthread_mutex_lock(&watch->keeper->lock);
	watch->keeper->status.refused++;
	pthread_mutex_unlock(&watch->keeper->lock);
}

static void replace(struct watch *watch)
{
	char *error = NULL;
	struct arena *arena = arena_create(1024);
	struct generation *next = generation_open(&watch->settings, &error);
	const char *problem = next == NULL ? error : prove(watch->keeper, next, arena);
	if (problem != NULL) {
		refuse(watch, next, problem);
	} else {
		watch->any_refused = false;
		switch_to(watch->keeper, next);
		keeper_run_test(watch->keeper);
	}
	free(error);
	arena_destroy(arena);
}

/* ---- the thread ---- */

/* A copy of the wanted settings, where they were given since the last look. */
static void take_wanted(struct watch *watch)
{
	struct keeper *keeper = watch->keeper;
	if (keeper->asked) {
		keeper->asked = false;
		arena_reset(watch->arena);
		keeper_copy_settings(watch->arena, &keeper->wanted, &watch->settings);
		watch->any_refused = false;
		watch->next_look = 0;
	}
}

/* Files of which some are still being written look otherwise at the second look. */
static void look(struct watch *watch)
{
	const struct generation *current = watch->keeper->current;
	struct databases_print print = databases_look(watch->settings.pool.databases);
	bool settled = databases_same(print, watch->seen);
	bool files = watch->settings.clamd_socket == NULL && !databases_same(print, current->print);
	bool known = watch->any_refused && databases_same(print, watch->refused);
	bool due = (files || !same_settings(&watch->settings, &current->settings)) && !known;
	watch->seen = print;
	if (due && (settled || !files)) {
		replace(watch);
		due = false;
	}
	uint64_t interval = watch->settings.check_interval_ns;
	watch->next_look = clock_now() + (due && interval > SETTLE_NS ? SETTLE_NS : interval);
}

/* A clamd may go away, and a scanner may be well again, at any time. */
static uint64_t next_test(struct watch *watch)
{
	struct keeper *keeper = watch->keeper;
	pthread_mutex_lock(&keeper->lock);
	bool soon = keeper->status.problem[0] != '\0' || keeper->current->settings.clamd_socket != NULL;
	pthread_mutex_unlock(&keeper->lock);
	return clock_now() + (soon ? watch->settings.check_interval_ns : watch->settings.test_interval_ns);
}

/* The next thing to do: false when the keeper closes. */
static bool wait_turn(struct watch *watch)
{
	struct keeper *keeper = watch->keeper;
	pthread_mutex_lock(&keeper->lock);
	for (;;) {
		take_wanted(watch);
		uint64_t next = watch->next_look < watch->next_test ? watch->next_look : watch->next_test;
		struct timespec until = clock_timespec(next);
		if (keeper->closing || clock_now() >= next) {
			break;
		}
		pthread_cond_clockwait(&keeper->changed, &keeper->lock, CLOCK_MONOTONIC, &until);
	}
	bool closing = keeper->closing;
	pthread_mutex_unlock(&keeper->lock);
	return !closing;
}

void *keeper_watch(void *data)
{
	struct keeper *keeper = data;
	struct watch watch = {.keeper = keeper, .arena = arena_create(4096)};
	keeper_copy_settings(watch.arena, &keeper->current->settings, &watch.settings);
	watch.seen = keeper->current->print;
	watch.next_look = clock_now() + watch.settings.check_interval_ns;
	watch.next_test = next_test(&watch);
	while (wait_turn(&watch)) {
		if (clock_now() >= watch.next_look) {
			look(&watch);
			watch.next_test = watch.next_test < next_test(&watch) ? watch.next_test : next_test(&watch);
		}
		if (clock_now() >= watch.next_test) {
			keeper_run_test(keeper);
			watch.next_test = next_test(&watch);
		}
	}
	arena_destroy(watch.arena);
	return NULL;
}
