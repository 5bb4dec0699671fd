#include "ctl/command.h"
#include "ctl/history.h"
#include "lib/base/clock.h"
#include "lib/pipeline/stages.h"

#include <stdlib.h>

#define PATIENCE (300 * CLOCK_NS_PER_S) /* a report over millions of rows takes longer than mail may wait */

/* NULL with *error_r. */
static struct store *open_store(const struct store_options *options, char **error_r)
{
	char *location;
	if (options->location[0] == '\0') {
		*error_r = strdup("there is no store, so there is no history: see store.location in mailreeve.conf(5)");
		return NULL;
	}
	if (store_exists(options)) {
		struct store_options patient = *options;
		patient.timeout = patient.timeout > PATIENCE ? patient.timeout : PATIENCE;
		return store_open(&patient, STORE_READ_ONLY, error_r);
	}
	location = store_location_text(options->location);
	if (asprintf(error_r, "%s is not there: the daemon makes it when it starts", location) < 0) {
		abort();
	}
	free(location);
	return NULL;
}

bool history_open(const char *command, const char *config_path, bool as_daemon, struct history_access *access_r)
{
	char *error = NULL;
	*access_r = (struct history_access){.config = command_load_config(config_path)};
	if (access_r->config == NULL || (as_daemon && !command_become_daemon(access_r->config))) {
		history_close(access_r);
		return false;
	}
	access_r->store = open_store(config_settings(access_r->config, SECTION_STORE), &error);
	if (access_r->store == NULL) {
		fprintf(stderr, "mailreeve %s: %s\n", command, error);
		free(error);
		history_close(access_r);
		return false;
	}
	return true;
}

void history_close(struct history_access *access)
{
	store_close(access->store);
	config_release(access->config);
	*access = (struct history_access){.config = NULL};
}

bool history_worked(const char *command, enum store_result result)
{
	switch (result) {
	case STORE_OK:
		return true;
	case STORE_UNAVAILABLE:
		fprintf(stderr, "mailreeve %s: the store cannot be read now\n", command);
		return false;
	case STORE_REFUSED:
		fprintf(stderr, "mailreeve %s: the store does not take the question\n", command);
		return false;
	}
	return false;
}
