#include "lib/pipeline/alive.h"

#include "lib/base/clock.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char message[] = "From: watchdog@localhost\r\nSubject: watchdog\r\n\r\nwatchdog\r\n";

/* A message through a worker and back. */
static enum pool_result ask_worker(struct keeper *keeper, uint64_t patience)
{
	static const struct dkim_keys none = {.count = 0};
	enum pool_result result = POOL_BUSY;
	int fd = memfd_create("mailreeve-watchdog", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, message, sizeof message - 1) == (ssize_t)sizeof message - 1) {
		struct inspect_reply reply;
		struct arena *arena = arena_create(4096);
		struct inspect_request request = {
		    .tasks = INSPECT_FILES,
		    .message_fd = fd,
		    .message_size = sizeof message - 1,
		    .now = (uint64_t)time(NULL),
		    .deadline_ms = (uint32_t)(patience / CLOCK_NS_PER_MS),
		    .keys = &none,
		};
		result = keeper_inspect(keeper, &request, clock_now() + patience, arena, &reply);
		arena_destroy(arena);
	}
	if (fd >= 0) {
		close(fd);
	}
	return result;
}

/* A nursery that cannot be started, and is tried again, has a cause that the daemon's own restart would meet too. */
static uint64_t work_done(struct keeper *keeper)
{
	struct keeper_status status;
	keeper_get_status(keeper, &status);
	return status.pool.answered + status.pool.restarts + status.reloads;
}

static uint64_t content_deadline(struct engine *engine)
{
	struct config *config = engine_config(engine);
	const struct content_options *content = config_settings(config, SECTION_CONTENT);
	uint64_t deadline = content->deadline;
	config_release(config);
	return deadline;
}

/* With every worker busy on other mail nobody answers us, and nothing is wrong: until the last of them must have ended. */
static bool workers_alive(struct alive *alive, uint64_t patience)
{
	struct keeper *keeper = engine_keeper(alive->engine);
	bool good = ask_worker(keeper, patience) == POOL_OK;
	uint64_t worked = work_done(keeper);
	uint64_t now = clock_now();
	if (good || worked != alive->worked || alive->worked_at == 0) {
		alive->worked = worked;
		alive->worked_at = now;
	}
	return now - alive->worked_at <= content_deadline(alive->engine);
}

const char *alive_check(struct alive *alive, uint64_t patience)
{
	struct store *store = engine_store(alive->engine);
	if (!dns_alive(engine_dns(alive->engine), clock_now() + patience)) {
		return "the resolver";
	}
	if (store != NULL && !store_alive(store, clock_now() + patience)) {
		return "the store";
	}
	return workers_alive(alive, patience) ? NULL : "the content workers";
}
