/* pool: the daemon's side of mailreeve-inspect: starts the nursery, holds one socket for each worker, hands requests
 * to idle ones, and replaces what crashes or hangs. Safe from any thread. */
#ifndef MAILREEVE_INSPECT_POOL_H
#define MAILREEVE_INSPECT_POOL_H

#include "lib/base/metrics.h"
#include "lib/inspect/inspect.h"

#include <sys/types.h>

struct pool_settings {
	const char *program;            /* path of mailreeve-inspect */
	unsigned workers;               /* 1..256; 0: one for each processor */
	const char *tmp_dir;            /* the nursery makes its workers' private folders here */
	const char *const *databases;   /* ClamAV signature files and folders, NULL-ended; those that do not exist are skipped */
	uint64_t start_timeout_ns;      /* the nursery must be ready (database loaded) by then */
	uint64_t memory_max;            /* RLIMIT_AS of a worker over what the nursery has, bytes */
	uint64_t scan_size_max;         /* ClamAV MAX_SCANSIZE, bytes */
	uint64_t file_size_max;         /* ClamAV MAX_FILESIZE, bytes */
	unsigned scan_recursion_max, scan_files_max;
	uint32_t scan_time_ms;          /* ClamAV MAX_SCANTIME (soft; the pool's deadline kills) */
	bool scan_heuristics;           /* phishing, encrypted archives and the like as findings: off by default */
	bool scan_pua;                  /* signatures of programs that are only unwanted (PUA.*) */
	const char *const *ignored;     /* names of signatures that are not acted on, NULL-ended */
};
void pool_settings_default(struct pool_settings *settings_r);

enum pool_result {
	POOL_OK,
	POOL_BUSY,     /* no worker was free before the deadline, or so late that it did not have half of the time */
	POOL_TIMEOUT,  /* the worker did not answer before the deadline; it was killed and is being replaced */
	POOL_CRASHED,  /* the worker died on this message */
	POOL_NONSENSE, /* its answer could not be read; it was killed */
	POOL_DOWN      /* the nursery is not there; it is being restarted */
};
const char *pool_result_text(enum pool_result result); /* "the content worker crashed" */

struct pool;

/* Returns when the workers are ready. NULL with a text in *error_r (free()) otherwise. */
struct pool *pool_open(const struct pool_settings *settings, char **error_r);
/* Waits for requests under way, then ends the nursery. Takes NULL. */
void pool_close(struct pool *pool);

/* Blocks until the answer or the deadline (monotonic). Strings of *reply_r live in arena. */
enum pool_result pool_inspect(struct pool *pool, const struct inspect_request *request, uint64_t deadline,
                              struct arena *arena, struct inspect_reply *reply_r);

struct pool_status {
	unsigned workers, busy;
	unsigned waiting; /* requests without a worker */
	uint64_t requests, answered, crashed, timed_out, nonsense, restarts; /* since start; restarts: of the nursery */
	uint64_t wait[HISTOGRAM_CELLS]; /* how long requests waited for a worker, those too that got none */
	struct inspect_database database;
	pid_t nursery;     /* -1: it is not there */
	char sandbox[128]; /* what holds: "seccomp landlock netns userns rlimits" */
};
void pool_get_status(struct pool *pool, struct pool_status *status_r);
/* The counters of another pool to those of sum. */
void pool_status_add(struct pool_status *sum, const struct pool_status *more);

#endif
