#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/keeper_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { TEST_SECONDS = 60, CLAMD_SECONDS = 10, TRIES = 2 };

/* The test file of the antivirus industry as an attachment; in pieces, so that no scanner trips over this program. */
static const char *const pieces[] = {
    "From: self-test@localhost\r\nSubject: self-test\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nself-test\r\n"
    "--b\r\nContent-Type: application/octet-stream; name=eicar.com\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNU",
    "QU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=\r\n--b--\r\n",
};

/* The message in a memfd. -1: there can be none. */
static int message_open_test(uint64_t *size_r)
{
	int fd = memfd_create("mailreeve-self-test", MFD_CLOEXEC);
	*size_r = 0;
	for (size_t i = 0; fd >= 0 && i < sizeof pieces / sizeof *pieces; i++) {
		size_t n = strlen(pieces[i]);
		*size_r += n;
		if (write(fd, pieces[i], n) != (ssize_t)n) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

static const char *judge(const struct inspect_reply *reply, struct arena *arena)
{
	switch (reply->virus) {
	case INSPECT_VIRUS_FOUND:
	case INSPECT_VIRUS_NO_DATABASE:
		return NULL;
	case INSPECT_VIRUS_CLEAN:
		return reply->virus_ignored != NULL
		           ? NULL
		           : "the EICAR test file is not found; do the databases hold a signature of it?";
	case INSPECT_VIRUS_LIMIT:
		return arena_printf(arena, "the EICAR test file was not fully scanned: %s", reply->virus_name);
	case INSPECT_VIRUS_ERROR:
	case INSPECT_VIRUS_NOT_SCANNED:
		return reply->virus_problem;
	case INSPECT_VIRUS_NOT_ASKED:
		break;
	}
	return "the EICAR test file was not scanned";
}

/* One scan. *again_r: a worker that died may have died of something else. */
static const char *test_once(struct generation *generation, int fd, uint64_t size, struct arena *arena, bool *again_r)
{
	static const struct dkim_keys none = {.count = 0};
	struct inspect_reply reply;
	struct inspect_request request = {
	    .tasks = INSPECT_VIRUS,
	    .message_fd = fd,
	    .message_size = size,
	    .now = (uint64_t)time(NULL),
	    .deadline_ms = TEST_SECONDS * 1000,
	    .keys = &none,
	};
	enum pool_result result =
	    generation_inspect(generation, &request, clock_now() + TEST_SECONDS * CLOCK_NS_PER_S, arena, &reply);
	*again_r = false;
	switch (result) {
	case POOL_OK:
		return judge(&reply, arena);
	case POOL_BUSY:
	case POOL_DOWN:
		return NULL;
	case POOL_TIMEOUT:
	case POOL_CRASHED:
	case POOL_NONSENSE:
		break;
	}
	*again_r = true;
	return pool_result_text(result);
}

const char *keeper_test(struct generation *generation, struct arena *arena)
{
	uint64_t size;
	int fd = message_open_test(&size);
	bool again = true;
	const char *problem = NULL;
	if (fd < 0) {
		return arena_printf(arena, "no test message: %s", strerror(errno));
	}
	for (int i = 0; again && i < TRIES; i++) {
		problem = test_once(generation, fd, size, arena, &again);
	}
	close(fd);
	return problem;
}

/* clamd reloads its database by itself: what it has now. */
void keeper_ask_clamd(struct keeper *keeper, struct arena *arena)
{
	struct generation *generation = keeper->current;
	struct inspect_database database;
	if (generation->settings.clamd_socket != NULL &&
	    clamd_database(&generation->clamd, clock_now() + CLAMD_SECONDS * CLOCK_NS_PER_S, arena, &database) == NULL) {
		pthread_mutex_lock(&keeper->lock);
		generation->database = database;
		pthread_mutex_unlock(&keeper->lock);
	}
}

/* Only the keeper's thread, and whoever opens it, replaces the current generation: it stays while we are here. */
void keeper_run_test(struct keeper *keeper)
{
	struct generation *generation = keeper->current;
	struct arena *arena = arena_create(1024);
	char before[sizeof keeper->status.problem];
	keeper_ask_clamd(keeper, arena);
	const char *problem = generation->settings.self_test ? keeper_test(generation, arena) : NULL;
	problem = problem == NULL ? "" : problem;
	pthread_mutex_lock(&keeper->lock);
	memcpy(before, keeper->status.problem, sizeof before);
	snprintf(keeper->status.problem, sizeof keeper->status.problem, "%s", problem);
	pthread_mutex_unlock(&keeper->lock);
	if (problem[0] != '\0' && strncmp(before, problem, sizeof before - 1) != 0) {
		log_error("virus self-test: %s: until it is well again, mail counts as not scanned (virus.not_scanned)",
		          problem);
	} else if (problem[0] == '\0' && before[0] != '\0') {
		log_info("virus self-test: well again");
	}
	arena_destroy(arena);
}
