/* pool_private: what pool.c (requests) and pool_nursery.c (the thread that minds the nursery) share. */
#ifndef MAILREEVE_INSPECT_POOL_PRIVATE_H
#define MAILREEVE_INSPECT_POOL_PRIVATE_H

#include "lib/inspect/pool.h"

#include <pthread.h>
#include <sys/types.h>

enum { WORKERS_MAX = 512 };

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_IDLE, WORKER_BUSY };

struct worker {
	enum worker_state state;
	pid_t pid;
	int socket;
};

/* A thread that waits for a worker; on its own stack. First come, first served. */
struct waiter {
	struct waiter *next;
	pthread_cond_t given;
	struct worker *worker;
};

struct pool {
	struct pool_settings settings;
	struct arena *arena; /* of the settings' texts */
	pthread_t manager;
	int stop[2]; /* pipe: closing the write end ends the manager */

	pthread_mutex_t lock; /* guards all below; nothing blocks while it is held */
	pthread_cond_t changed;
	struct worker workers[WORKERS_MAX];
	int control; /* to the nursery, -1: it is not there */
	pid_t nursery;
	struct waiter *waiters; /* no worker is idle while somebody waits */
	unsigned inside;        /* threads in pool_inspect() */
	bool closing;
	bool loaded;
	char *failure; /* why the nursery could not start */
	struct pool_status status;
};

/* Of the table of workers; the lock is held. */
struct worker *pool_worker_find(struct pool *pool, enum worker_state state);
/* Closes its socket. A busy worker's is closed by the thread that has it. */
void pool_worker_forget(struct worker *worker);
/* A worker that can take a request: to the one who has waited longest. */
void pool_worker_offer(struct pool *pool, struct worker *worker);

/* Starts the thread that starts the nursery, and starts it again; false: there can be no thread. */
bool pool_manager_start(struct pool *pool);
/* Ends the thread, the nursery and the workers. Nobody is in pool_inspect(). */
void pool_manager_end(struct pool *pool);

#endif
