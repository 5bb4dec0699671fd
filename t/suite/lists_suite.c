/* The lists of a process while others change them in the store: what a reader holds is of one moment and stays, what is
 * new comes within a second, and a store that fails takes nothing away. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/lists.h"
#include "lib/store/lists.h"
#include "t/tap.h"

#include <pthread.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

enum { READERS = 3, FLIPS = 60, NOW = 1764032400 };

static char folder[200], file[300];
static struct arena *arena;
static const struct store_lists_limits limits = {.user_max = 1000, .domain_max = 1000, .patterns_max = 100};

static struct store *open_store(unsigned flags)
{
	char location[400];
	char *error = NULL;
	snprintf(location, sizeof location, "sqlite:%s", file);
	struct store_options options = {.location = location,
	                                .timeout = 10 * CLOCK_NS_PER_S,
	                                .migrate = true,
	                                .connections = 4,
	                                .spill_dir = folder,
	                                .spill_max = 1 << 20};
	struct store *store = store_open(&options, flags, &error);
	if (store == NULL) {
		printf("Bail out! %s\n", error);
		exit(1);
	}
	return store;
}

static struct list_entry entry_of(const char *owner, const char *value, enum list_action action)
{
	struct list_entry entry = {.owner = owner, .by = "me", .note = "", .added = NOW};
	const char *problem;
	if (!list_value_parse(arena, slice_from(value), &entry, &problem)) {
		abort();
	}
	entry.action = action;
	return entry;
}

static enum list_action action_in(const struct list_set *set, const char *value)
{
	struct list_text owner = list_index_text(set->stored, "");
	struct list_text text = list_index_text(set->stored, value);
	const struct list_entry *entry = list_set_find(set, &owner, &text, NOW);
	return entry == NULL ? LIST_REMOVED : entry->action;
}

static enum list_action action_now(struct lists *lists, const char *value)
{
	struct list_set *set = lists_acquire(lists);
	enum list_action action = action_in(set, value);
	list_set_release(set);
	return action;
}

/* Polls; the milliseconds it took, or -1 after ten seconds. */
static long long wait_for(struct lists *lists, const char *value, enum list_action action)
{
	uint64_t start = clock_now();
	const struct timespec pause = {0, 5000000};
	while (action_now(lists, value) != action) {
		if (clock_now() - start > 10 * CLOCK_NS_PER_S) {
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	return (long long)((clock_now() - start) / CLOCK_NS_PER_MS);
}

/* ---- readers and a writer ---- */

struct reader {
	struct lists *lists;
	atomic_bool *stop;
	unsigned long rounds, torn, moved;
	pthread_t thread;
};

/* a and b change together, a blocked and b allowed or the other way; a set that is held does not change. */
static void *read_on(void *context)
{
	struct reader *reader = context;
	while (!atomic_load(reader->stop)) {
		struct list_set *set = lists_acquire(reader->lists);
		enum list_action a = action_in(set, "a.example");
		reader->torn += a == action_in(set, "b.example") && a != LIST_REMOVED;
		sched_yield();
		reader->moved += a != action_in(set, "a.example");
		list_set_release(set);
		reader->rounds++;
	}
	return NULL;
}

static void test_changes(struct lists *lists, struct store *store)
{
	atomic_bool stop = false;
	struct reader readers[READERS];
	size_t where;
	unsigned long rounds = 0;
	unsigned long torn = 0;
	unsigned long moved = 0;
	for (size_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.lists = lists, .stop = &stop};
		pthread_create(&readers[i].thread, NULL, read_on, &readers[i]);
	}
	const struct list_entry fixed = entry_of("", "fixed.example", LIST_BLOCK);
	for (size_t i = 0; i < FLIPS; i++) {
		const struct list_entry both[] = {entry_of("", "a.example", i % 2 == 0 ? LIST_BLOCK : LIST_ALLOW),
		                                  entry_of("", "b.example", i % 2 == 0 ? LIST_ALLOW : LIST_BLOCK)};
		const struct option_entries none = {0, NULL};
		const struct option_entries one = {i % 2, &fixed};
		if (store_lists_put(store, both, 2, &limits, NOW, &where) != STORE_LISTS_DONE) {
			ok(false, "a change could not be written");
		}
		lists_configure(lists, &none, &one);
		if (i % 10 == 9 && wait_for(lists, "a.example", LIST_ALLOW) < 0) {
			ok(false, "a change did not come");
		}
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		rounds += readers[i].rounds;
		torn += readers[i].torn;
		moved += readers[i].moved;
	}
	ok(rounds > 1000, "%lu looks by three threads while 60 changes came", rounds);
	is_int((long long)torn, 0, "none saw half a change");
	is_int((long long)moved, 0, "nor a change in what it held");
	is_int(action_now(lists, "fixed.example"), LIST_BLOCK, "entries of the configuration are there");
}

/* ---- the store ---- */

static void test_store(struct lists *lists, struct store *store)
{
	size_t where = 99;
	bool removed[3];
	struct list_entry enforced = entry_of("", "e.example", LIST_BLOCK);
	enforced.enforced = true;
	is_int(store_lists_put(store, &enforced, 1, &limits, NOW, &where), STORE_LISTS_DONE, "an enforced entry");
	long long took = wait_for(lists, "e.example", LIST_BLOCK);
	ok(took >= 0 && took < 1000, "comes within a second (%lld ms)", took);
	const struct list_entry three[] = {entry_of("", "c.example", LIST_BLOCK), entry_of("", "d.example", LIST_BLOCK),
	                                   entry_of("", "e.example", LIST_ALLOW)};
	is_int(store_lists_put(store, three, 3, &limits, NOW, &where), STORE_LISTS_ENFORCED, "is not replaced");
	is_int((long long)where, 2, "and named");
	is_int(action_now(lists, "c.example"), LIST_REMOVED, "nothing else is put in then");
	is_int(store_lists_put(store, three, 2, &limits, NOW, &where), STORE_LISTS_DONE, "two without it");
	const struct store_lists_limits few = {.user_max = 1, .domain_max = 1, .patterns_max = 1};
	const struct list_entry users[] = {entry_of("u@x.example", "c.example", LIST_BLOCK),
	                                   entry_of("u@x.example", "d.example", LIST_BLOCK)};
	is_int(store_lists_put(store, users, 2, &few, NOW, &where), STORE_LISTS_TOO_MANY, "a user's limit");
	is_int(store_lists_put(store, users, 1, &few, NOW, &where), STORE_LISTS_DONE, "as many as it says");
	is_int(store_lists_put(store, users, 1, &few, NOW, &where), STORE_LISTS_DONE, "the same again is not one more");
	is_int(store_lists_put(store, users + 1, 1, &few, NOW, &where), STORE_LISTS_TOO_MANY, "another one is");
	is_int(store_lists_remove(store, three, 3, false, NOW, removed), STORE_LISTS_DONE, "remove");
	ok(removed[0] && removed[1] && !removed[2], "removes what is there and not enforced");
	took = wait_for(lists, "c.example", LIST_REMOVED);
	ok(took >= 0 && took < 1000, "which is felt within a second (%lld ms)", took);
	is_int(action_now(lists, "e.example"), LIST_BLOCK, "the enforced one is still there");
	struct lists *again = lists_open(store, false);
	ok(action_now(again, "e.example") == LIST_BLOCK && action_now(again, "c.example") == LIST_REMOVED,
	   "whoever starts now sees the same");
	lists_close(again);
}

/* ---- a store that fails ---- */

static void run_sql(const char *sql)
{
	sqlite3 *db;
	char *error = NULL;
	if (sqlite3_open(file, &db) != SQLITE_OK || sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
	    sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) {
		ok(false, "%s: %s", sql, error);
	}
	sqlite3_close(db);
}

static void test_outage(struct lists *lists, struct store *store)
{
	const struct list_entry entry = entry_of("", "later.example", LIST_BLOCK);
	size_t where;
	run_sql("ALTER TABLE store_counter RENAME TO hidden");
	/* Asked for now, with an error: the thread, which asks four times a second, has met it too when this has taken a
	 * second. */
	int64_t newest;
	uint64_t until = clock_now() + CLOCK_NS_PER_S;
	const struct timespec pause = {0, 200000000};
	while (clock_now() < until) {
		if (store_lists_newest(store, &newest) == STORE_OK) {
			ok(false, "the store cannot be read");
		}
		nanosleep(&pause, NULL);
	}
	is_int(action_now(lists, "e.example"), LIST_BLOCK, "while the store fails the lists stay as they are");
	struct lists *late = lists_open(store, false);
	struct list_set *set = lists_acquire(late);
	ok(!set->known, "who starts then knows that he knows nothing");
	list_set_release(set);
	lists_close(late);
	run_sql("ALTER TABLE hidden RENAME TO store_counter");
	is_int(store_lists_put(store, &entry, 1, &limits, NOW, &where), STORE_LISTS_DONE, "when it is back");
	ok(wait_for(lists, "later.example", LIST_BLOCK) >= 0, "changes come again");
	/* Another store in its place, with less in it. */
	run_sql("UPDATE store_counter SET value = 1 WHERE subject = 'lists'; DELETE FROM list_entry WHERE value = "
	        "'later.example'");
	ok(wait_for(lists, "later.example", LIST_REMOVED) >= 0, "a store with an older state is read anew");
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%s/lists-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(folder) == NULL) {
		skip_all("no temporary folder");
	}
	snprintf(file, sizeof file, "%s/db", folder);
	log_set_level(LOG_LEVEL_ERROR);
	arena = arena_create(65536);
	struct store *store = open_store(STORE_MIGRATE);
	struct lists *lists = lists_open(store, true);
	test_changes(lists, store);
	test_store(lists, store);
	test_outage(lists, store);
	lists_close(lists);
	store_close(store);
	arena_destroy(arena);
	char command[400];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	ok(system(command) == 0, "cleaned up");
	return done_testing();
}
