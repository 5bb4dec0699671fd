/* The thread takes what is queued, in order. It writes it, or, while the store is down or behind, appends it to the
 * spill file; and what is in the file comes before what is in the queue.
 *
 * Exactly once: each batch of a queue has a number, and its first statement moves the queue's row in store_spool
 * forward to it; a batch that is there already violates a check of that table, so it is refused as a whole. That holds
 * too when the connection broke during a commit, and when another process replays the file of one that was killed.
 *
 * Lock: `lock` guards the queue and the counters; it is not held while the store or the disk works. The files are the
 * thread's alone. */
#include "lib/store/later.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/pulse.h"
#include "lib/store/batch_code.h"
#include "lib/store/spill.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define RETRY_FIRST_NS (CLOCK_NS_PER_S / 4)
#define RETRY_MAX_NS (5 * CLOCK_NS_PER_S)
#define ADOPT_NS (60 * CLOCK_NS_PER_S)
#define CLOSE_NS (5 * CLOCK_NS_PER_S)
enum { FORGET_SECONDS = 90 * 24 * 3600 };
enum { GROUP_MAX = 64, GROUP_BYTES = 4 << 20, QUEUE_BYTES_MAX = 64 << 20, QUEUE_BYTES_BEHIND = 8 << 20 };

struct item {
	struct item *next;
	uint64_t sequence;
	size_t size;
	char data[];
};

struct later {
	struct store *store;
	char *dir;
	uint64_t spill_max;
	struct spill *spill;   /* of this queue */
	struct spill *adopted; /* of a process that is gone, NULL: none */
	uint64_t retry_at, retry_ns, adopt_at;
	struct item *group; /* taken from the queue, neither written nor spilled yet */

	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct item *first, **end;
	size_t bytes, count; /* in the queue and in the group */
	uint64_t sequence;   /* the last one given */
	bool stopping;
	struct pulse pulse; /* its lock is taken within `lock` */
	uint64_t spilled, replayed, lost;
	uint64_t lost_logged; /* monotonic: when it was last said */
};

/* ---- a batch with its number ---- */

static const char move_forward[] =
    "INSERT INTO store_spool (id, sequence, step, changed) VALUES ($1, $2, 1, $3) ON CONFLICT (id) DO UPDATE SET "
    "step = EXCLUDED.sequence - store_spool.sequence, sequence = EXCLUDED.sequence, changed = EXCLUDED.changed";

/* What is handed to the driver at a time. */
struct group {
	struct arena *arena;
	const char *id;
	struct store_batch batches[GROUP_MAX];
	uint64_t sequences[GROUP_MAX];
	size_t count;
};

/* False: the bytes are no batch, which is counted as written: it never will be. */
static bool group_add(struct group *group, uint64_t sequence, struct slice bytes, unsigned flags)
{
	size_t count;
	const struct store_statement *statements = batch_decode(bytes, group->arena, &count);
	if (statements == NULL) {
		return false;
	}
	struct store_value *values = arena_alloc(group->arena, 3 * sizeof *values);
	values[0] = store_text(group->id);
	values[1] = store_integer((int64_t)sequence);
	values[2] = store_integer(time(NULL));
	struct store_statement *all = arena_alloc(group->arena, (count + 1) * sizeof *all);
	all[0] = (struct store_statement){move_forward, values, 3};
	if (count > 0) {
		memcpy(all + 1, statements, count * sizeof *all);
	}
	group->sequences[group->count] = sequence;
	group->batches[group->count++] = (struct store_batch){.statements = all, .count = count + 1, .flags = flags};
	return true;
}

static bool on_sequence(void *context, const struct store_value *columns, size_t count)
{
	uint64_t *sequence = context;
	*sequence = count == 1 ? (uint64_t)columns[0].integer : 0;
	return false;
}

/* The number that the queue has reached in the store. */
static enum store_result reached(struct later *later, const char *id, uint64_t *sequence_r)
{
	struct store_value value = store_text(id);
	const struct store_statement statement = {"SELECT sequence FROM store_spool WHERE id = $1", &value, 1};
	*sequence_r = 0;
	return later->store->ops->query(later->store->driver, &statement, clock_now() + later->store->timeout_ns,
	                                on_sequence, sequence_r);
}

static void note_lost(struct later *later, const char *why)
{
	pthread_mutex_lock(&later->lock);
	uint64_t lost = ++later->lost;
	bool say = later->lost_logged == 0 || clock_now() - later->lost_logged > 10 * CLOCK_NS_PER_S;
	if (say) {
		later->lost_logged = clock_now();
	}
	pthread_mutex_unlock(&later->lock);
	if (say) {
		log_error("store: a batch is lost: %s; %llu so far", why, (unsigned long long)lost);
	}
}

/* Refused: when it is our own statement that is at fault it was written before, by an attempt whose answer did not
 * reach us. */
static enum store_result settle_refused(struct later *later, const char *id, uint64_t sequence, bool by_number)
{
	uint64_t at = 0;
	enum store_result result = by_number ? reached(later, id, &at) : STORE_OK;
	if (result == STORE_OK && at < sequence) {
		note_lost(later, "the store refuses it");
	}
	return result == STORE_UNAVAILABLE ? STORE_UNAVAILABLE : STORE_OK;
}

/* Writes the group; the number of batches at its front that are done with. */
static size_t group_write(struct later *later, struct group *group)
{
	struct store *store = later->store;
	size_t done = 0;
	if (group->count == 0) {
		return 0;
	}
	uint64_t start = clock_now();
	store->ops->write(store->driver, group->batches, group->count, start + store->timeout_ns);
	metrics_observe(store->times, HISTOGRAM_CELLS, clock_now() - start);
	while (done < group->count) {
		enum store_result result = group->batches[done].result;
		if (result == STORE_REFUSED) {
			result = settle_refused(later, group->id, group->sequences[done], group->batches[done].refused_at == 0);
		}
		store_note(store, result);
		if (result != STORE_OK) {
			break;
		}
		done++;
	}
	atomic_fetch_add_explicit(&store->writes, done, memory_order_relaxed);
	return done;
}

/* ---- waiting for a store that is down ---- */

static void retry_later(struct later *later)
{
	later->retry_ns = later->retry_ns == 0 ? RETRY_FIRST_NS : later->retry_ns * 2;
	later->retry_ns = later->retry_ns > RETRY_MAX_NS ? RETRY_MAX_NS : later->retry_ns;
	later->retry_at = clock_now() + later->retry_ns;
}

static void retry_reset(struct later *later)
{
	later->retry_ns = 0;
	later->retry_at = 0;
}

static bool may_try(const struct later *later)
{
	return clock_now() >= later->retry_at;
}

/* ---- the files ---- */

static bool anything_spilled(const struct later *later)
{
	return later->adopted != NULL || spill_size(later->spill) > 0;
}

static void adopt(struct later *later)
{
	if (later->adopted == NULL && clock_now() >= later->adopt_at) {
		later->adopted = spill_adopt(later->dir);
		later->adopt_at = later->adopted != NULL ? 0 : clock_now() + ADOPT_NS;
		if (later->adopted != NULL) {
			log_info("store: %llu bytes of batches that a former process left are written now",
			         (unsigned long long)spill_size(later->adopted));
		}
	}
}

/* Fills the group from the file, without those that the store has. False: the end was reached before the first. */
static bool group_read(struct group *group, struct spill *spill, uint64_t at, char **blocks)
{
	size_t bytes = 0;
	size_t read = 0;
	struct slice batch;
	uint64_t sequence;
	while (read < GROUP_MAX && bytes < GROUP_BYTES &&
	       spill_next(spill, &sequence, &batch, &blocks[read]) == SPILL_RECORD) {
		read++;
		bytes += batch.len;
		if (sequence > at && !group_add(group, sequence, batch, STORE_DURABLE)) {
			log_error("store: a batch that waited is unreadable in spite of its checksum");
		}
	}
	return read > 0;
}

/* A group from the file. Those that were written are read once more when the rest was not: the store has their numbers.
 */
static bool replay_group(struct later *later, struct spill *spill)
{
	char *blocks[GROUP_MAX] = {NULL};
	struct group group = {.arena = arena_create(65536), .id = spill_id(spill)};
	uint64_t at = 0;
	enum store_result result = reached(later, group.id, &at);
	bool good = result == STORE_OK;
	bool more = good && group_read(&group, spill, at, blocks);
	size_t done = more ? group_write(later, &group) : 0;
	good = good && done == group.count;
	store_note(later->store, result);
	if (good) {
		spill_remove_read(spill);
	} else {
		spill_rewind(spill);
	}
	for (size_t i = 0; i < GROUP_MAX; i++) {
		free(blocks[i]);
	}
	arena_destroy(group.arena);
	pthread_mutex_lock(&later->lock);
	later->replayed += done;
	pthread_mutex_unlock(&later->lock);
	return good;
}

static void replay(struct later *later)
{
	adopt(later);
	while (anything_spilled(later) && may_try(later)) {
		struct spill *spill = later->adopted != NULL ? later->adopted : later->spill;
		if (!replay_group(later, spill)) {
			retry_later(later);
			return;
		}
		retry_reset(later);
		if (later->adopted != NULL && spill_size(later->adopted) == 0) {
			spill_close(later->adopted);
			later->adopted = NULL;
			adopt(later);
		}
		/* What came meanwhile goes behind; and who stops is not kept waiting. */
		pthread_mutex_lock(&later->lock);
		bool leave = later->first != NULL || later->stopping;
		pthread_mutex_unlock(&later->lock);
		if (leave) {
			return;
		}
	}
}

/* ---- the group that was taken from the queue ---- */

/* The lock is held. */
static void count_spilled(struct later *later)
{
	later->spilled = spill_size(later->spill) + (later->adopted == NULL ? 0 : spill_size(later->adopted));
}

/* Away from the front of the group: what was spilled is counted there from the same moment on. */
static void group_drop(struct later *later, size_t n)
{
	pthread_mutex_lock(&later->lock);
	count_spilled(later);
	for (; n > 0; n--) {
		struct item *item = later->group;
		later->group = item->next;
		later->bytes -= item->size;
		later->count--;
		free(item);
	}
	pthread_mutex_unlock(&later->lock);
}

static void spill_group(struct later *later)
{
	size_t done = 0;
	const char *problem = NULL;
	bool room = spill_folder_size(later->dir) < later->spill_max;
	for (struct item *item = later->group; item != NULL && room && problem == NULL; item = item->next) {
		if (spill_append(later->spill, item->sequence, (struct slice){item->data, item->size})) {
			done++;
		} else {
			problem = strerror(errno);
		}
	}
	if (done > 0 && !spill_sync(later->spill)) {
		problem = strerror(errno);
	}
	if (problem != NULL) {
		log_error("store: %s: %s", later->dir, problem);
	}
	group_drop(later, done);
}

static void write_group(struct later *later)
{
	struct group group = {.arena = arena_create(65536), .id = spill_id(later->spill)};
	for (const struct item *item = later->group; item != NULL; item = item->next) {
		if (!group_add(&group, item->sequence, (struct slice){item->data, item->size},
		               later->store->ops->later_flags)) {
			abort(); /* we have encoded it ourselves */
		}
	}
	size_t done = group_write(later, &group);
	bool all = done == group.count;
	arena_destroy(group.arena);
	group_drop(later, done);
	if (all) {
		retry_reset(later);
	} else {
		retry_later(later);
	}
}

static void take_group(struct later *later)
{
	struct item **end = &later->group;
	size_t n = 0;
	for (size_t bytes = 0; later->first != NULL && n < GROUP_MAX && bytes < GROUP_BYTES; n++) {
		struct item *item = later->first;
		bytes += item->size;
		later->first = item->next;
		item->next = NULL;
		*end = item;
		end = &item->next;
	}
	if (later->first == NULL) {
		later->end = &later->first;
	}
}

/* ---- the thread ---- */

/* Until there is something to do; the lock is held. */
static void later_wait(struct later *later)
{
	while (later->first == NULL && later->group == NULL && !later->stopping && !pulse_asked(&later->pulse)) {
		uint64_t wake = anything_spilled(later) ? later->retry_at : later->adopt_at;
		struct timespec limit = clock_timespec(wake);
		if (pthread_cond_clockwait(&later->work, &later->lock, CLOCK_MONOTONIC, &limit) == ETIMEDOUT) {
			return;
		}
	}
	/* A group that found no room anywhere waits for the store, not for more. */
	if (later->group != NULL && !later->stopping && !may_try(later)) {
		struct timespec limit = clock_timespec(later->retry_at);
		pthread_cond_clockwait(&later->work, &later->lock, CLOCK_MONOTONIC, &limit);
	}
}

static void later_step(struct later *later, bool behind)
{
	replay(later);
	if (later->group == NULL) {
		return;
	}
	if (!anything_spilled(later) && !behind && may_try(later)) {
		write_group(later);
	}
	if (later->group != NULL) {
		spill_group(later);
	}
}

/* Rows of processes that are long gone. One that lives and is idle makes its row again. */
static void forget_old(struct later *later)
{
	struct store_value before = store_integer(time(NULL) - FORGET_SECONDS);
	const struct store_statement statement = {"DELETE FROM store_spool WHERE changed < $1", &before, 1};
	struct store_batch batch = {.statements = &statement, .count = 1};
	later->store->ops->write(later->store->driver, &batch, 1, clock_now() + later->store->timeout_ns);
}

static void *later_main(void *context)
{
	struct later *later = context;
	bool working = true;
	pthread_setname_np(pthread_self(), "store-queue");
	forget_old(later);
	while (working) {
		pthread_mutex_lock(&later->lock);
		later_wait(later);
		pulse_beat(&later->pulse);
		if (later->group == NULL) {
			take_group(later);
		}
		bool behind = later->bytes > QUEUE_BYTES_BEHIND;
		pthread_mutex_unlock(&later->lock);
		later_step(later, behind);
		pthread_mutex_lock(&later->lock);
		count_spilled(later);
		if (later->count == 0) {
			pthread_cond_broadcast(&later->idle);
		}
		/* Who stops gets each batch written, spilled, or tried once. */
		working = !later->stopping || (later->count > 0 && later->group == NULL);
		pthread_mutex_unlock(&later->lock);
	}
	return NULL;
}

/* ---- from outside ---- */

bool later_add(struct later *later, const struct store_statement *statements, size_t count)
{
	size_t size = batch_size(statements, count);
	struct item *item = size > QUEUE_BYTES_MAX ? NULL : malloc(sizeof *item + size);
	if (item == NULL) {
		note_lost(later, "it is too large");
		return false;
	}
	batch_encode(statements, count, item->data);
	item->size = size;
	item->next = NULL;
	pthread_mutex_lock(&later->lock);
	bool room = !later->stopping && later->bytes + size <= QUEUE_BYTES_MAX;
	if (room) {
		item->sequence = ++later->sequence;
		*later->end = item;
		later->end = &item->next;
		later->bytes += size;
		later->count++;
		pthread_cond_signal(&later->work);
	}
	pthread_mutex_unlock(&later->lock);
	if (!room) {
		free(item);
		note_lost(later, "neither store nor store.spill_dir takes any");
	}
	return room;
}

bool later_flush(struct later *later, uint64_t timeout_ns)
{
	struct timespec limit = clock_timespec(clock_now() + timeout_ns);
	int error = 0;
	pthread_mutex_lock(&later->lock);
	while (later->count > 0 && error == 0) {
		error = pthread_cond_clockwait(&later->idle, &later->lock, CLOCK_MONOTONIC, &limit);
	}
	bool good = later->count == 0;
	pthread_mutex_unlock(&later->lock);
	return good;
}

bool later_alive(struct later *later, uint64_t deadline)
{
	uint64_t ticket = pulse_ask(&later->pulse);
	pthread_mutex_lock(&later->lock);
	bool stopping = later->stopping;
	pthread_cond_signal(&later->work);
	pthread_mutex_unlock(&later->lock);
	return stopping || pulse_wait(&later->pulse, ticket, deadline);
}

void later_get_status(struct later *later, struct store_status *status_r)
{
	pthread_mutex_lock(&later->lock);
	status_r->queued = later->count;
	status_r->spilled_bytes = later->spilled;
	status_r->replayed = later->replayed;
	status_r->lost = later->lost;
	pthread_mutex_unlock(&later->lock);
}

static void random_id(char *id_r)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[SPILL_ID_SIZE - 1];
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
		abort();
	}
	for (size_t i = 0; i < sizeof bytes; i++) {
		id_r[i] = digits[bytes[i] % 16];
	}
	id_r[sizeof bytes] = '\0';
}

struct later *later_open(struct store *store, const struct store_options *options, char **error_r)
{
	char id[SPILL_ID_SIZE];
	if (!spill_folder(options->spill_dir, error_r)) {
		return NULL;
	}
	random_id(id);
	struct later *later = calloc(1, sizeof *later);
	if (later == NULL || (later->dir = strdup(options->spill_dir)) == NULL) {
		abort();
	}
	later->store = store;
	later->spill_max = options->spill_max;
	later->spill = spill_create(later->dir, id);
	later->end = &later->first;
	pthread_mutex_init(&later->lock, NULL);
	pthread_cond_init(&later->work, NULL);
	pthread_cond_init(&later->idle, NULL);
	pulse_init(&later->pulse);
	later->running = pthread_create(&later->thread, NULL, later_main, later) == 0;
	if (!later->running) {
		later_close(later);
		driver_fail(error_r, "no thread for the store's queue");
		return NULL;
	}
	return later;
}

void later_stop(struct later *later)
{
	if (!later->running) {
		return;
	}
	later_flush(later, CLOSE_NS);
	pthread_mutex_lock(&later->lock);
	later->stopping = true;
	pthread_cond_signal(&later->work);
	pthread_mutex_unlock(&later->lock);
	pthread_join(later->thread, NULL);
	later->running = false;
	if (later->count > 0) {
		log_error("store: %zu batches are lost: neither store nor store.spill_dir takes any", later->count);
	}
}

void later_close(struct later *later)
{
	if (later == NULL) {
		return;
	}
	later_stop(later);
	spill_close(later->spill);
	spill_close(later->adopted);
	for (struct item *item = later->group, *next; item != NULL; item = next) {
		next = item->next;
		free(item);
	}
	for (struct item *item = later->first, *next; item != NULL; item = next) {
		next = item->next;
		free(item);
	}
	pthread_mutex_destroy(&later->lock);
	pthread_cond_destroy(&later->work);
	pthread_cond_destroy(&later->idle);
	pulse_destroy(&later->pulse);
	free(later->dir);
	free(later);
}
