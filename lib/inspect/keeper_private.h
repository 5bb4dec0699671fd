/* keeper_private: what keeper.c (requests), keeper_watch.c (the thread) and keeper_test.c (the self-test) share. */
#ifndef MAILREEVE_INSPECT_KEEPER_PRIVATE_H
#define MAILREEVE_INSPECT_KEEPER_PRIVATE_H

#include "lib/inspect/clamd.h"
#include "lib/inspect/databases.h"
#include "lib/inspect/keeper.h"

#include <pthread.h>

/* A pool with its settings; immutable but for users. */
struct generation {
	struct arena *arena; /* of the settings' texts */
	struct keeper_settings settings;
	struct clamd clamd;
	struct databases_print print;     /* of the database before it was loaded: what came later is seen as a change */
	struct inspect_database database; /* clamd's; the keeper's lock guards it */
	struct pool *pool;
	unsigned users; /* threads in it; the keeper's lock guards it */
};

struct keeper {
	pthread_t thread;
	bool watching; /* there is a thread */

	pthread_mutex_t lock; /* guards all below; nothing blocks while it is held */
	pthread_cond_t changed;
	struct generation *current;
	struct arena *wanted_arena;
	struct keeper_settings wanted; /* what keeper_configure() was told last */
	bool asked;                    /* and it has not been looked at yet */
	bool closing;
	struct keeper_status status; /* but for pool: that counts the pools that are gone */
};

/* A copy that lives in the arena. */
void keeper_copy_settings(struct arena *arena, const struct keeper_settings *settings, struct keeper_settings *copy_r);

/* NULL with *error_r (free()) when its workers cannot be started. */
struct generation *generation_open(const struct keeper_settings *settings, char **error_r);
void generation_close(struct generation *generation); /* nobody uses it */
enum pool_result generation_inspect(struct generation *generation, const struct inspect_request *request,
                                    uint64_t deadline, struct arena *arena, struct inspect_reply *reply_r);

/* EICAR through the whole path. NULL: it is found, or there is nothing to find it with (no signatures are loaded, which
 * is another finding), or all workers are busy, which tells nothing. Else what is wrong, in arena. */
const char *keeper_test(struct generation *generation, struct arena *arena);

/* The keeper's thread. */
void *keeper_watch(void *keeper);
/* Where there is a clamd: what it has loaded, for keeper->current->database. */
void keeper_ask_clamd(struct keeper *keeper, struct arena *arena);
/* Runs the self-test of the current generation, and logs what has changed. */
void keeper_run_test(struct keeper *keeper);

#endif
