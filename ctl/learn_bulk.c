/* Many messages into the store: several threads have them inspected, and those that are there are written together. */
#include "ctl/command.h"
#include "ctl/learn.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	THREADS_MAX = 16,
	WAITING_MAX = 64,
	WAITING_BYTES = 64 << 20, /* of those that wait; one may be more */
	TOGETHER = 128,           /* messages of a write */
	TOGETHER_TOKENS = 100000
};

struct job {
	char *name;
	struct slice message;
};

/* What is written together. */
struct batch {
	struct arena *arena;
	struct learner_entries entries;
	size_t tokens;
	uint64_t messages;
};

struct bulk {
	struct learn_command *command;
	struct learner_order order;
	struct keeper *keeper;
	struct store *store;
	/* lock guards all below, and what the command counts; not held while one inspects or writes. writing is taken
	 * before it: two who write would only wait for each other in the store. */
	pthread_mutex_t writing, lock;
	pthread_cond_t changed;
	struct job jobs[WAITING_MAX];
	size_t first, count, bytes;
	bool ended, broken;
	struct batch batch;
};

static struct batch batch_new(void)
{
	return (struct batch){.arena = arena_create(1 << 20)};
}

static void write_batch(struct bulk *bulk, struct batch *batch)
{
	struct learner_counts counts = {{0}};
	const char *problem = NULL;
	pthread_mutex_lock(&bulk->writing);
	bool good = learner_write(bulk->store, &bulk->order, &batch->entries, &counts, &problem);
	pthread_mutex_unlock(&bulk->writing);
	pthread_mutex_lock(&bulk->lock);
	for (size_t i = 0; i < LEARNER_OUTCOMES; i++) {
		bulk->command->counts.of[i] += counts.of[i];
	}
	if (!good) {
		learn_refuse("%s", problem);
		bulk->command->failed += counts.of[BAYES_NOT_WRITTEN];
		bulk->broken = true;
		pthread_cond_broadcast(&bulk->changed);
	}
	pthread_mutex_unlock(&bulk->lock);
	arena_destroy(batch->arena);
}

static void copy_entry(struct batch *batch, const struct bayes_message *entry)
{
	struct bayes_message copy = *entry;
	copy.tokens =
	    (const uint64_t *)(const void *)arena_memdup(batch->arena, entry->tokens, entry->count * sizeof *entry->tokens);
	batch->entries.items =
	    arena_grow(batch->arena, batch->entries.items, sizeof copy, batch->entries.count, &batch->entries.capacity);
	batch->entries.items[batch->entries.count++] = copy;
	batch->tokens += entry->count;
}

/* Into the batch; a full one is written by who has filled it. */
static void collect(struct bulk *bulk, const struct learner_entries *entries)
{
	struct batch full = {.arena = NULL};
	pthread_mutex_lock(&bulk->lock);
	for (size_t i = 0; i < entries->count; i++) {
		copy_entry(&bulk->batch, &entries->items[i]);
	}
	if (bulk->batch.entries.count >= TOGETHER || bulk->batch.tokens > TOGETHER_TOKENS) {
		full = bulk->batch;
		bulk->batch = batch_new();
	}
	pthread_mutex_unlock(&bulk->lock);
	if (full.arena != NULL) {
		write_batch(bulk, &full);
	}
}

static bool take_job(struct bulk *bulk, struct job *job_r)
{
	pthread_mutex_lock(&bulk->lock);
	while (bulk->count == 0 && !bulk->ended) {
		pthread_cond_wait(&bulk->changed, &bulk->lock);
	}
	bool there = bulk->count > 0;
	if (there) {
		*job_r = bulk->jobs[bulk->first];
		bulk->first = (bulk->first + 1) % WAITING_MAX;
		bulk->count--;
		bulk->bytes -= job_r->message.len;
		pthread_cond_broadcast(&bulk->changed);
	}
	pthread_mutex_unlock(&bulk->lock);
	return there;
}

static void free_job(struct job *job)
{
	free(job->name);
	free((char *)(uintptr_t)job->message.data);
}

static void *work(void *context)
{
	struct bulk *bulk = context;
	struct arena *arena = arena_create(1 << 16);
	struct job job;
	while (take_job(bulk, &job)) {
		struct learner_entries entries = {.count = 0};
		const char *problem = NULL;
		if (learner_read(bulk->keeper, bulk->command->config, &bulk->order, job.message, arena, &entries, &problem)) {
			collect(bulk, &entries);
		} else {
			pthread_mutex_lock(&bulk->lock);
			learn_failed(bulk->command, job.name, problem);
			pthread_mutex_unlock(&bulk->lock);
		}
		free_job(&job);
		arena_reset(arena);
	}
	arena_destroy(arena);
	return NULL;
}

/* Waits for room. False: it is of no use any more. */
static bool give_job(struct bulk *bulk, struct job job)
{
	pthread_mutex_lock(&bulk->lock);
	while (!bulk->broken && (bulk->count == WAITING_MAX || (bulk->count > 0 && bulk->bytes > WAITING_BYTES))) {
		pthread_cond_wait(&bulk->changed, &bulk->lock);
	}
	bool good = !bulk->broken;
	if (good) {
		bulk->jobs[(bulk->first + bulk->count++) % WAITING_MAX] = job;
		bulk->bytes += job.message.len;
		bulk->command->messages++;
		learn_progress(bulk->command, false);
		pthread_cond_broadcast(&bulk->changed);
	}
	pthread_mutex_unlock(&bulk->lock);
	return good;
}

static void read_jobs(struct bulk *bulk, struct learn_reader *reader)
{
	struct job job;
	enum learn_next next;
	while ((next = learn_reader_next(reader, &job.name, &job.message)) != LEARN_END) {
		if (next == LEARN_PROBLEM) {
			pthread_mutex_lock(&bulk->lock);
			learn_failed(bulk->command, job.name, job.message.data);
			pthread_mutex_unlock(&bulk->lock);
			free_job(&job);
		} else if (!give_job(bulk, job)) {
			free_job(&job);
			break;
		}
	}
	pthread_mutex_lock(&bulk->lock);
	bulk->ended = true;
	pthread_cond_broadcast(&bulk->changed);
	pthread_mutex_unlock(&bulk->lock);
}

static void run(struct bulk *bulk, struct learn_reader *reader, unsigned threads)
{
	pthread_t ids[THREADS_MAX];
	unsigned started = 0;
	pthread_mutex_init(&bulk->writing, NULL);
	pthread_mutex_init(&bulk->lock, NULL);
	pthread_cond_init(&bulk->changed, NULL);
	bulk->batch = batch_new();
	while (started < threads && pthread_create(&ids[started], NULL, work, bulk) == 0) {
		started++;
	}
	if (started == 0) {
		abort();
	}
	read_jobs(bulk, reader);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(ids[i], NULL);
	}
	if (bulk->batch.entries.count > 0 && !bulk->broken) {
		write_batch(bulk, &bulk->batch);
	} else {
		arena_destroy(bulk->batch.arena);
	}
	pthread_cond_destroy(&bulk->changed);
	pthread_mutex_destroy(&bulk->lock);
	pthread_mutex_destroy(&bulk->writing);
}

bool learn_by_store(struct learn_command *command, struct learn_reader *reader)
{
	char *error = NULL;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (unsigned)processors;
	struct bulk bulk = {.command = command,
	                    .order = {.class = command->class,
	                              .forget = command->forget,
	                              .attached = command->attached,
	                              .owner = "",
	                              .now = (int64_t)time(NULL)}};
	if (command->user != NULL) {
		bulk.order.owner = learner_owner(command->config, command->user, command->arena);
	}
	bulk.store = command_open_store(command->config, 0);
	bulk.keeper = bulk.store == NULL ? NULL : learner_open(command->config, threads, &error);
	if (error != NULL) {
		learn_refuse("%s", error);
		free(error);
	}
	if (bulk.keeper != NULL) {
		run(&bulk, reader, threads);
	}
	keeper_close(bulk.keeper);
	store_close(bulk.store);
	return bulk.keeper != NULL && !bulk.broken;
}
