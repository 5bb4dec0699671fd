/* test_store: the store of a suite that runs on both drivers: SQLite in a folder of its own, or the one that
 * MAILREEVE_TEST_STORE names. Include behind tap.h. */
#ifndef MAILREEVE_T_TEST_STORE_H
#define MAILREEVE_T_TEST_STORE_H

#include "lib/base/clock.h"
#include "lib/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store *open_store(const char *folder)
{
	char *location = NULL;
	char *error = NULL;
	const char *given = getenv("MAILREEVE_TEST_STORE");
	if (given == NULL ? asprintf(&location, "sqlite:%s/test.db", folder) < 0 : (location = strdup(given)) == NULL) {
		abort();
	}
	struct store_options options = {.location = location,
	                                .timeout = 60 * CLOCK_NS_PER_S,
	                                .connections = 4,
	                                .spill_dir = folder,
	                                .spill_max = (uint64_t)1 << 30};
	struct store *store = store_open(&options, STORE_MIGRATE | STORE_LATER, &error);
	if (store == NULL) {
		printf("Bail out! %s: %s\n", location, error);
		exit(1);
	}
	free(location);
	return store;
}

#endif
