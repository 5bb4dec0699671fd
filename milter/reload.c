#include "milter/reload.h"

#include "lib/base/log.h"
#include "lib/pipeline/logging.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/config_files.h"
#include "milter/notify.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct engine *engine;
static const char *path;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* held while files are read and the snapshot is published */

void reload_init(struct engine *the_engine, const char *config_path)
{
	engine = the_engine;
	path = config_path;
}

/* Line by line: an error may have several. As events, of which none is held back. */
static void log_lines(const char *text)
{
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		char *line = strndup(text, (size_t)(end - text));
		log_event(LOG_LEVEL_ERROR, "configuration", line == NULL ? "" : line, NULL, 0);
		free(line);
	}
	log_event(LOG_LEVEL_ERROR, "configuration", text, NULL, 0);
}

static char *read_and_publish(void)
{
	size_t count;
	char *error = NULL;
	const struct section *const *sections = stages_sections(&count);
	struct config *config = config_load(path, sections, count, &error);
	if (config == NULL) {
		return error;
	}
	logging_apply(config);
	engine_publish(engine, config);
	config_release(config);
	return NULL;
}

char *reload(void)
{
	pthread_mutex_lock(&one_at_a_time);
	notify_reloading();
	char *error = read_and_publish();
	notify_ready(error == NULL ? "Serving" : "Serving; the new configuration has an error, the old one stays");
	pthread_mutex_unlock(&one_at_a_time);
	if (error != NULL) {
		engine_reload_refused(engine);
		log_lines(error);
		log_error("reload: the configuration stays as it was");
	} else {
		char *line;
		if (asprintf(&line, "reload: %s is in force for new connections", path == NULL ? "the default configuration" : path) >= 0) {
			log_event(LOG_LEVEL_INFO, "reload", line, NULL, 0);
			free(line);
		}
	}
	return error;
}

char *reload_check(void)
{
	size_t count;
	char *error = NULL;
	const struct section *const *sections = stages_sections(&count);
	pthread_mutex_lock(&one_at_a_time);
	config_release(config_load(path, sections, count, &error));
	pthread_mutex_unlock(&one_at_a_time);
	return error;
}

void reload_changed(void)
{
	static uint64_t tried;
	struct config *config = engine_config(engine);
	uint64_t now;
	bool changed = config_files_changed(config, &now) && now != tried;
	config_release(config);
	if (changed) {
		tried = now;
		log_info("reload: a file that the configuration names has changed");
		free(reload());
	}
}
