#include "lib/pipeline/housekeeping.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/clock_guard.h"
#include "lib/pipeline/rate_whose.h"
#include "lib/pipeline/record.h"
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

struct housekeeping {
	struct engine *engine;
	pthread_t thread;
	pthread_mutex_t lock; /* guards stopping */
	pthread_cond_t changed;
	bool stopping;
	int64_t tick; /* seconds: so often is looked whose turn it is */
	struct clock_guard guard;
};

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

/* One bounded step, of one daemon of the fleet, every `interval` seconds (0: at each tick). *more_r: another one is wanted soon. */
static const struct {
	const char *name;
	int64_t interval;
	enum store_result (*step)(struct engine *engine, const struct config *config, int64_t now, bool *more_r);
} tasks[] = {
	{"history", 0, expire_history},
	{"dmarc", 0, send_dmarc_report},
	{"dmarc failures", 0, send_dmarc_failure},
	{"quarantine", 600, expire_quarantine},
	{"greylist", 60, expire_greylist},
	{"rates", 60, expire_rates},
};

/* False: the thread is to stop. */
static bool housekeeping_wait(struct housekeeping *housekeeping, uint64_t ns)
{
	struct timespec until = clock_timespec(clock_now() + ns);
	int error = 0;
	pthread_mutex_lock(&housekeeping->lock);
	while (!housekeeping->stopping && error == 0) {
		error = pthread_cond_clockwait(&housekeeping->changed, &housekeeping->lock, CLOCK_MONOTONIC, &until);
	}
	bool stopping = housekeeping->stopping;
	pthread_mutex_unlock(&housekeeping->lock);
	return !stopping;
}

static bool housekeeping_run_task(struct housekeeping *housekeeping, size_t i)
{
	struct store *store = engine_store(housekeeping->engine);
	struct config *config = engine_config(housekeeping->engine);
	int64_t interval = tasks[i].interval != 0 ? tasks[i].interval : housekeeping->tick;
	bool more = false;
	bool go_on = true;
	if (turn_take(store, tasks[i].name, (int64_t)time(NULL), interval, &more) != STORE_OK) {
		more = false;
	}
	while (more && go_on) {
		more = false;
		if (tasks[i].step(housekeeping->engine, config, (int64_t)time(NULL), &more) != STORE_OK) {
			break;
		}
		go_on = !more || housekeeping_wait(housekeeping, PAUSE);
	}
	config_release(config);
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
		for (size_t i = 0; believed && i < sizeof tasks / sizeof *tasks; i++) {
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
	housekeeping->tick = tick_seconds();
	pthread_mutex_init(&housekeeping->lock, NULL);
	pthread_cond_init(&housekeeping->changed, NULL);
	if (pthread_create(&housekeeping->thread, NULL, housekeeping_run, housekeeping) != 0) {
		free(housekeeping);
		return NULL;
	}
	return housekeeping;
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
