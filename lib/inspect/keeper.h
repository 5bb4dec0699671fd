/* keeper: what the daemon asks about messages' content. It keeps a pool of workers with the newest virus database: when
 * the files of the database or the settings change, a second pool is started beside the first, proves itself, and takes
 * its place; requests under way end where they began. Or it lets a clamd look for viruses. Safe from any thread. */
#ifndef MAILREEVE_INSPECT_KEEPER_H
#define MAILREEVE_INSPECT_KEEPER_H

#include "lib/inspect/pool.h"

struct keeper_settings {
	struct pool_settings pool;
	const char *clamd_socket;   /* NULL: libclamav in the workers; else clamd looks for viruses, and pool.databases is unused */
	uint64_t check_interval_ns; /* how often the files of the database are looked at, and a failed self-test is repeated */
	uint64_t test_interval_ns;  /* how often the self-test is run; a clamd's at each check_interval_ns */
	bool watch;                 /* a thread for the database and the self-test: the daemon's; explain has none */
	bool self_test;             /* EICAR must be found: at the start, in each new database, and from time to time */
};

struct keeper;

/* Returns when the workers are ready. NULL with a text in *error_r (free()) otherwise. A self-test that fails then is
 * logged, and shows in the answers. */
struct keeper *keeper_open(const struct keeper_settings *settings, char **error_r);
/* Nobody is in keeper_inspect() any more. Takes NULL. */
void keeper_close(struct keeper *keeper);

/* Other settings, or the same: the database is looked at now. Returns at once; what comes of it is logged. What cannot be
 * started, or proves no good, leaves everything as it was. */
void keeper_configure(struct keeper *keeper, const struct keeper_settings *settings);

/* As pool_inspect(). While the self-test fails, what seems clean is INSPECT_VIRUS_NOT_SCANNED. */
enum pool_result keeper_inspect(struct keeper *keeper, const struct inspect_request *request, uint64_t deadline,
                                struct arena *arena, struct inspect_reply *reply_r);

struct keeper_status {
	struct pool_status pool; /* counters: of all pools since the start */
	uint64_t reloads;        /* pools that took the place of another */
	uint64_t refused;        /* pools that did not */
	uint64_t not_scanned;    /* requests for a virus scan without one */
	bool clamd;
	char problem[256];       /* why the last self-test failed; "": it did not */
};
void keeper_get_status(struct keeper *keeper, struct keeper_status *status_r);

#endif
