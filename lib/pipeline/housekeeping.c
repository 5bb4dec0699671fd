#include "lib/pipeline/housekeeping.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/clock_guard.h"
#include "lib/pipeline/rate_whose.h"
#include "lib/pipeline/record.h"
#include "lib/pipeline/stage_bayes.h"
#include "lib/pipeline/stage_digest.h"
#include "lib/pipeline/stage_greylist.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_quarantine.h"
#include "lib/pipeline/stages.h"
#include "lib/report/dmarc_failure.h"
#include "lib/report/dmarc_reports.h"
#include "lib/store/greylist.h"
#include "lib/store/history.h"
#include "lib/store/rates.h"
#include "lib/store/turn.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PAUSE (100 * CLOCK_NS_PER_MS) /* between two bounded steps: mail comes first */

enum { TICK = 15 }; /* seconds; MAILREEVE_TICK is a shorter one, for tests */

/* Rows older than history.keep, 0: all; and the ledger's. */
static enum store_result expire_history(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	const struct record_options *options = config_settings(config, SECTION_HISTORY);
	int64_t keep = (int64_t)(options->keep / CLOCK_NS_PER_S);
	int64_t tls_keep = (int64_t)(options->tls_keep / CLOCK_NS_PER_S);
	return history_expire(engine_store(engine), now - keep, now - tls_keep, more_r);
}

typedef enum store_result reporting_step(const struct dmarc_reporter *reporter, bool *more_r);

/* One report. Its MTA has a minute at most. */
static enum store_result send_report(struct engine *engine, const struct config *config, int64_t now,
                                     reporting_step *step, bool *more_r)
{
	struct arena *arena = arena_create(1024);
	struct dmarc_reporter reporter = {.options = config_settings(config, SECTION_DMARC_REPORTS),
	                                  .submitter = engine_name(config, arena),
	                                  .store = engine_store(engine),
	                                  .dns = engine_dns(engine),
	                                  .now = (uint64_t)now};
	enum store_result result = reporter.options->email[0] == '\0' ? STORE_OK : step(&reporter, more_r);
	arena_destroy(arena);
	return result;
}

static enum store_result send_dmarc_report(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	return send_report(engine, config, now, dmarc_reports_step, more_r);
}

static enum store_result send_dmarc_failure(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	return send_report(engine, config, now, dmarc_failure_step, more_r);
}

/* It goes through all messages, so not too often. */
static enum store_result expire_quarantine(struct engine *engine, const struct config *config, int64_t now,
                                           bool *more_r)
{
	const struct quarantine_settings *settings = config_settings(config, stages_section(&stage_quarantine));
	uint64_t expired = 0;
	*more_r = false;
	if (quarantine_expire(engine_store(engine), (uint64_t)now, settings->keep / CLOCK_NS_PER_S, &expired) !=
	    QUARANTINE_OK) {
		return STORE_UNAVAILABLE;
	}
	if (expired > 0) {
		log_info("quarantine: %llu copies have expired", (unsigned long long)expired);
	}
	return STORE_OK;
}

static enum store_result expire_greylist(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	const struct greylist_settings *settings = config_settings(config, stages_section(&stage_greylist));
	*more_r = false;
	return greylist_expire(engine_store(engine), (uint64_t)now, settings->rows_max);
}

static enum store_result expire_rates(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	const struct rate_settings *settings = config_settings(config, stages_section(&stage_rate));
	*more_r = false;
	return rates_expire(engine_store(engine), (uint64_t)now, settings->rows_max);
}

/* Of the housekeeping thread, of which there is one: where its walk through the tokens is. */
static struct bayes_walk bayes_walk;

static enum store_result forget_bayes(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	const struct bayes_settings *settings = config_settings(config, stages_section(&stage_bayes));
	return bayes_forget(engine_store(engine), now - (int64_t)(settings->keep / CLOCK_NS_PER_S), now, more_r);
}

/* A day later than it may be: what messages were made of goes before (bayes_expire()). */
static enum store_result expire_bayes(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	const struct bayes_settings *settings = config_settings(config, stages_section(&stage_bayes));
	int64_t before = now - (int64_t)(settings->expire / CLOCK_NS_PER_S) - 86400;
	uint64_t removed;
	enum store_result result = bayes_expire(engine_store(engine), before, now, &bayes_walk, &removed);
	*more_r = result == STORE_OK && !bayes_walk.done;
	if (bayes_walk.done) {
		bayes_walk = (struct bayes_walk){.done = false};
	}
	return result;
}

/* The next report to a user that is due, or a piece of the search for those. Its MTA has a minute at most. */
static enum store_result send_digest(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	struct arena *arena = arena_create(1024);
	struct digest_reporter reporter;
	enum store_result result = stage_digest_reporter(config, engine_store(engine), now, arena, &reporter)
	                               ? digest_step(&reporter, more_r)
	                               : STORE_OK;
	arena_destroy(arena);
	return result;
}

/* What a user asked for by reply. */
static enum store_result carry_out_reply(struct engine *engine, const struct config *config, int64_t now, bool *more_r)
{
	struct arena *arena = arena_create(1024);
	struct digest_reporter reporter;
	struct digest_action action;
	enum store_result result = STORE_OK;
	if (stage_digest_reporter(config, engine_store(engine), now, arena, &reporter)) {
		stage_digest_action(config, &reporter, &action);
		result = digest_action_step(&action, more_r);
	}
	arena_destroy(arena);
	return result;
}

/* Intervals that are no time. */
enum { EACH_TICK = 0, ANY_TIME = -1 /* whenever the thread comes by, or is woken; not of one daemon alone */ };

/* One bounded step, of one daemon of the fleet, every `interval` seconds. *more_r: another one is wanted soon. */
static const struct {
	const char *name;
	int64_t interval;
	enum store_result (*step)(struct engine *engine, const struct config *config, int64_t now, bool *more_r);
} tasks[] = {
	{"history", EACH_TICK, expire_history},
	{"dmarc", EACH_TICK, send_dmarc_report},
	{"dmarc failures", EACH_TICK, send_dmarc_failure},
	{"quarantine", 600, expire_quarantine},
	{"greylist", 60, expire_greylist},
	{"rates", 60, expire_rates},
	{"bayes", 600, forget_bayes},
	{"bayes tokens", 86400, expire_bayes},
	{"digest", EACH_TICK, send_digest},
	{"digest replies", ANY_TIME, carry_out_reply}, /* whose request it is the store knows, and a user waits */
};

enum { TASKS = sizeof tasks / sizeof *tasks };

/* The last turn of a task. */
struct turn_taken {
	uint64_t at, took_ns, turns, failed;
	bool good;
};

struct housekeeping {
	struct engine *engine;
	pthread_t thread;
	uint64_t started;     /* epoch seconds */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	bool woken; /* somebody has something to do for it */
	struct turn_taken turns[TASKS];

	/* the thread's own */
	int64_t tick; /* seconds: so often is looked whose turn it is */
	struct clock_guard guard;
};

static int64_t interval_of(const struct housekeeping *housekeeping, size_t i)
{
	int64_t interval = tasks[i].interval;
	return interval == EACH_TICK ? housekeeping->tick : interval == ANY_TIME ? 0 : interval;
}

/* False: the thread is to stop. */
static bool housekeeping_wait(struct housekeeping *housekeeping, uint64_t ns)
{
	struct timespec until = clock_timespec(clock_now() + ns);
	int error = 0;
	pthread_mutex_lock(&housekeeping->lock);
	while (!housekeeping->stopping && !housekeeping->woken && error == 0) {
		error = pthread_cond_clockwait(&housekeeping->changed, &housekeeping->lock, CLOCK_MONOTONIC, &until);
	}
	bool stopping = housekeeping->stopping;
	housekeeping->woken = false;
	pthread_mutex_unlock(&housekeeping->lock);
	return !stopping;
}

static void housekeeping_note(struct housekeeping *housekeeping, size_t i, uint64_t took_ns, bool good)
{
	struct turn_taken *turn = &housekeeping->turns[i];
	pthread_mutex_lock(&housekeeping->lock);
	turn->at = (uint64_t)time(NULL);
	turn->took_ns = took_ns;
	turn->turns++;
	turn->failed += !good;
	turn->good = good;
	pthread_mutex_unlock(&housekeeping->lock);
}

void housekeeping_each(struct housekeeping *housekeeping, housekeeping_visitor *visit, void *context)
{
	for (size_t i = 0; housekeeping != NULL && i < TASKS; i++) {
		pthread_mutex_lock(&housekeeping->lock);
		const struct turn_taken turn = housekeeping->turns[i];
		pthread_mutex_unlock(&housekeeping->lock);
		uint64_t since = turn.at != 0 ? turn.at : housekeeping->started;
		visit(context, &(struct housekeeping_status){.name = tasks[i].name,
		                                             .interval = interval_of(housekeeping, i),
		                                             .last = turn.at,
		                                             .next = since + (uint64_t)interval_of(housekeeping, i),
		                                             .took_ns = turn.took_ns,
		                                             .turns = turn.turns,
		                                             .failed = turn.failed,
		                                             .good = turn.good});
	}
}

static bool housekeeping_run_task(struct housekeeping *housekeeping, size_t i)
{
	struct store *store = engine_store(housekeeping->engine);
	struct config *config = engine_config(housekeeping->engine);
	int64_t interval = interval_of(housekeeping, i);
	bool more = false;
	bool go_on = true;
	bool good = true;
	uint64_t start = clock_now();
	if (turn_take(store, tasks[i].name, (int64_t)time(NULL), interval, &more) != STORE_OK) {
		more = false;
	}
	bool ours = more;
	while (more && go_on) {
		more = false;
		if (tasks[i].step(housekeeping->engine, config, (int64_t)time(NULL), &more) != STORE_OK) {
			good = false;
			break;
		}
		go_on = !more || housekeeping_wait(housekeeping, PAUSE);
	}
	config_release(config);
	if (ours) {
		housekeeping_note(housekeeping, i, clock_now() - start, good);
	}
	return go_on;
}

static bool clock_is_believed(struct housekeeping *housekeeping)
{
	struct timespec elapsed;
	clock_gettime(CLOCK_BOOTTIME, &elapsed);
	return clock_guard_believes(&housekeeping->guard, engine_store(housekeeping->engine), (int64_t)time(NULL),
	                            (int64_t)elapsed.tv_sec);
}

static int64_t tick_seconds(void)
{
	const char *text = getenv("MAILREEVE_TICK");
	int seconds = text == NULL ? TICK : atoi(text);
	return seconds >= 1 && seconds < TICK ? seconds : TICK;
}

static void *housekeeping_run(void *context)
{
	struct housekeeping *housekeeping = context;
	do {
		bool believed = clock_is_believed(housekeeping);
		for (size_t i = 0; believed && i < TASKS; i++) {
			if (!housekeeping_run_task(housekeeping, i)) {
				return NULL;
			}
		}
	} while (housekeeping_wait(housekeeping, (uint64_t)housekeeping->tick * CLOCK_NS_PER_S));
	return NULL;
}

struct housekeeping *housekeeping_start(struct engine *engine)
{
	struct housekeeping *housekeeping = calloc(1, sizeof *housekeeping);
	if (housekeeping == NULL) {
		abort();
	}
	housekeeping->engine = engine;
	housekeeping->started = (uint64_t)time(NULL);
	housekeeping->tick = tick_seconds();
	pthread_mutex_init(&housekeeping->lock, NULL);
	pthread_cond_init(&housekeeping->changed, NULL);
	if (pthread_create(&housekeeping->thread, NULL, housekeeping_run, housekeeping) != 0) {
		free(housekeeping);
		return NULL;
	}
	return housekeeping;
}

void housekeeping_wake(struct housekeeping *housekeeping)
{
	pthread_mutex_lock(&housekeeping->lock);
	housekeeping->woken = true;
	pthread_cond_broadcast(&housekeeping->changed);
	pthread_mutex_unlock(&housekeeping->lock);
}

void housekeeping_stop(struct housekeeping *housekeeping)
{
	if (housekeeping == NULL) {
		return;
	}
	pthread_mutex_lock(&housekeeping->lock);
	housekeeping->stopping = true;
	pthread_cond_broadcast(&housekeeping->changed);
	pthread_mutex_unlock(&housekeeping->lock);
	pthread_join(housekeeping->thread, NULL);
	pthread_cond_destroy(&housekeeping->changed);
	pthread_mutex_destroy(&housekeeping->lock);
	free(housekeeping);
}
