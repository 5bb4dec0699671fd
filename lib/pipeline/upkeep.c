#include "lib/pipeline/upkeep.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_quarantine.h"
#include "lib/pipeline/stages.h"

#include <pthread.h>
#include <stdlib.h>

enum { INTERVAL = 600 }; /* seconds */

struct upkeep {
	struct engine *engine;
	pthread_t thread;
	pthread_mutex_t lock; /* guards stopped */
	pthread_cond_t changed;
	bool stopped;
};

static void expire_quarantine(struct engine *engine)
{
	struct config *config = engine_config(engine);
	const struct quarantine_settings *settings = config_settings(config, stages_section(&stage_quarantine));
	uint64_t expired = 0;
	enum quarantine_result result =
	    quarantine_expire(engine_store(engine), (uint64_t)time(NULL), settings->keep / CLOCK_NS_PER_S, &expired);
	if (result == QUARANTINE_OK && expired > 0) {
		log_info("quarantine: %llu copies have expired", (unsigned long long)expired);
	}
	config_release(config);
}

static void *upkeep_run(void *argument)
{
	struct upkeep *upkeep = argument;
	pthread_mutex_lock(&upkeep->lock);
	while (!upkeep->stopped) {
		pthread_mutex_unlock(&upkeep->lock);
		expire_quarantine(upkeep->engine);
		struct timespec until = clock_timespec(clock_now() + INTERVAL * CLOCK_NS_PER_S);
		pthread_mutex_lock(&upkeep->lock);
		while (!upkeep->stopped &&
		       pthread_cond_clockwait(&upkeep->changed, &upkeep->lock, CLOCK_MONOTONIC, &until) == 0) {
		}
	}
	pthread_mutex_unlock(&upkeep->lock);
	return NULL;
}

struct upkeep *upkeep_start(struct engine *engine)
{
	struct upkeep *upkeep = calloc(1, sizeof *upkeep);
	if (upkeep == NULL) {
		abort();
	}
	upkeep->engine = engine;
	pthread_mutex_init(&upkeep->lock, NULL);
	pthread_cond_init(&upkeep->changed, NULL);
	if (pthread_create(&upkeep->thread, NULL, upkeep_run, upkeep) != 0) {
		log_error("no thread for the upkeep of the store: nothing expires");
		free(upkeep);
		return NULL;
	}
	return upkeep;
}

void upkeep_stop(struct upkeep *upkeep)
{
	if (upkeep == NULL) {
		return;
	}
	pthread_mutex_lock(&upkeep->lock);
	upkeep->stopped = true;
	pthread_cond_signal(&upkeep->changed);
	pthread_mutex_unlock(&upkeep->lock);
	pthread_join(upkeep->thread, NULL);
	pthread_cond_destroy(&upkeep->changed);
	pthread_mutex_destroy(&upkeep->lock);
	free(upkeep);
}
