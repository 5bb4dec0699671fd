#include "milter/signals.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"
#include "milter/callbacks.h"
#include "milter/notify.h"
#include "milter/reload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { WATCH_SECONDS = 5 };

static struct engine *engine;
static struct control *control;
static struct exporter *exporter;

static void our_signals(sigset_t *set_r)
{
	sigemptyset(set_r);
	sigaddset(set_r, SIGHUP);
	sigaddset(set_r, SIGTERM);
	sigaddset(set_r, SIGINT);
}

void signals_block(void)
{
	sigset_t set;
	our_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* In a thread of its own, so that a second signal is heard. */
static void *drain(void *unused)
{
	struct config *config = engine_config(engine);
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	uint64_t deadline = clock_now() + globals->drain_time;
	(void)unused;
	config_release(config);
	size_t left = callbacks_drain(deadline);
	if (left > 0) {
		log_warning("stopping with %zu transactions unfinished: the MTA will answer for them", left);
	}
	callbacks_stop();
	return NULL;
}

static void *wait_for_signals(void *unused)
{
	static const struct timespec patience = {.tv_sec = WATCH_SECONDS};
	sigset_t set;
	bool stopping = false;
	(void)unused;
	our_signals(&set);
	for (;;) {
		int number = sigtimedwait(&set, NULL, &patience);
		if (number < 0 && errno == EAGAIN && !stopping) {
			reload_changed();
		} else if (number == SIGHUP) {
			free(reload());
		} else if (number > 0 && stopping) {
			log_warning("stopping at once");
			callbacks_stop();
		} else if (number > 0) {
			pthread_t thread;
			stopping = true;
			notify_stopping();
			log_info("stopping: running transactions are finished first");
			/* Here, not in the thread: a second signal may end the daemon, and what is theirs, meanwhile. */
			control_withdraw(control);
			exporter_withdraw(exporter);
			if (pthread_create(&thread, NULL, drain, NULL) == 0) {
				pthread_detach(thread);
			} else {
				callbacks_stop();
			}
		}
	}
	return NULL;
}

bool signals_start(struct engine *the_engine, struct control *the_control, struct exporter *the_exporter)
{
	pthread_t thread;
	engine = the_engine;
	control = the_control;
	exporter = the_exporter;
	return pthread_create(&thread, NULL, wait_for_signals, NULL) == 0 && pthread_detach(thread) == 0;
}
