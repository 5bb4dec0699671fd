#include "milter/signals.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/config_files.h"
#include "lib/policy/globals.h"
#include "milter/callbacks.h"
#include "milter/notify.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WATCH_SECONDS = 5 };

static struct engine *engine;
static const char *path;

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

/* Line by line: an error may have several. */
static void log_lines(const char *text)
{
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		log_error("%.*s", (int)(end - text), text);
	}
	log_error("%s", text);
}

/* What the service manager is to show. */
static const char *reload_config(void)
{
	size_t count;
	char *error = NULL;
	const struct section *const *sections = stages_sections(&count);
	struct config *config = config_load(path, sections, count, &error);
	if (config == NULL) {
		log_lines(error);
		log_error("reload: the configuration stays as it was");
		free(error);
		return "Serving; the new configuration has an error, the old one stays";
	}
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	log_set_level((enum log_level)globals->log_level);
	engine_publish(engine, config);
	config_release(config);
	log_info("reload: %s is in force for new connections", path == NULL ? "the default configuration" : path);
	return "Serving";
}

static void reload(void)
{
	notify_reloading();
	notify_ready(reload_config());
}

/* Files that the configuration names are read again when they have changed; what cannot be read is tried once. */
static void watch_files(uint64_t *tried)
{
	struct config *config = engine_config(engine);
	uint64_t now;
	bool changed = config_files_changed(config, &now) && now != *tried;
	config_release(config);
	if (changed) {
		*tried = now;
		log_info("reload: a file that the configuration names has changed");
		reload();
	}
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
	uint64_t tried = 0;
	(void)unused;
	our_signals(&set);
	for (;;) {
		int number = sigtimedwait(&set, NULL, &patience);
		if (number < 0 && errno == EAGAIN && !stopping) {
			watch_files(&tried);
		} else if (number == SIGHUP) {
			reload();
		} else if (number > 0 && stopping) {
			log_warning("stopping at once");
			callbacks_stop();
		} else if (number > 0) {
			pthread_t thread;
			stopping = true;
			notify_stopping();
			log_info("stopping: running transactions are finished first");
			if (pthread_create(&thread, NULL, drain, NULL) == 0) {
				pthread_detach(thread);
			} else {
				callbacks_stop();
			}
		}
	}
	return NULL;
}

bool signals_start(struct engine *the_engine, const char *config_path)
{
	pthread_t thread;
	engine = the_engine;
	path = config_path;
	return pthread_create(&thread, NULL, wait_for_signals, NULL) == 0 && pthread_detach(thread) == 0;
}
