/* The cache of what was learnt, on a store in SQLite: that it says what the store says, while others learn. */
#include "lib/pipeline/bayes_cache.h"
#include "lib/pipeline/bayes_table.h"
#include "t/tap.h"
#include "t/test_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { TOKENS = 40, MESSAGES = 60, READERS = 3, MEGABYTES = 1 << 20 };

static uint64_t token_of(size_t message, size_t i)
{
	uint64_t x = (uint64_t)(message % 7 * 13 + i) * 0x9e3779b97f4a7c15u;
	return x ^ x >> 31; /* message 0, token 0: the token 0 */
}

static void message_make(size_t message, struct bayes_message *message_r, uint64_t *tokens)
{
	for (size_t i = 0; i < TOKENS; i++) {
		tokens[i] = token_of(message, i);
	}
	*message_r = (struct bayes_message){
	    .class = message % 2 == 0 ? BAYES_SPAM : BAYES_HAM, .version = 1, .tokens = tokens, .count = TOKENS};
	memcpy(message_r->digest, &message, sizeof message);
}

static bool learn(struct store *store, const char *owner, size_t message)
{
	struct bayes_message made;
	uint64_t tokens[TOKENS];
	message_make(message, &made, tokens);
	return bayes_learn_many(store, owner, &made, 1, time(NULL)) == STORE_OK;
}

static bool unlearn(struct store *store, const char *owner, size_t message)
{
	struct bayes_message made;
	uint64_t tokens[TOKENS];
	enum bayes_outcome outcome;
	message_make(message, &made, tokens);
	return bayes_unlearn(store, owner, made.digest, time(NULL), &outcome) == STORE_OK && outcome == BAYES_UNLEARNT;
}

/* Does the cache, without the store's help, say what the store says? */
static bool same(struct bayes_cache *cache, struct store *store, const char *owner)
{
	uint64_t tokens[7 * TOKENS];
	struct bayes_counts totals, want_totals, counts[7 * TOKENS], want[7 * TOKENS];
	struct bayes_cache_status before, after;
	for (size_t i = 0; i < (size_t)7 * TOKENS; i++) {
		tokens[i] = token_of(i % 7, i / 7);
	}
	bayes_cache_get_status(cache, &before);
	bool good = bayes_cache_read(cache, &owner, 1, tokens, (size_t)7 * TOKENS, &totals, counts) &&
	            bayes_read(store, &owner, 1, tokens, (size_t)7 * TOKENS, &want_totals, want) == STORE_OK;
	bayes_cache_get_status(cache, &after);
	return good && after.hits > before.hits && memcmp(counts, want, sizeof counts) == 0 &&
	       memcmp(&totals, &want_totals, sizeof totals) == 0;
}

static bool becomes_same(struct bayes_cache *cache, struct store *store, const char *owner)
{
	uint64_t deadline = clock_now() + 60 * CLOCK_NS_PER_S;
	while (clock_now() < deadline) {
		if (same(cache, store, owner)) {
			return true;
		}
		usleep(10000);
	}
	return false;
}

static void test_table(void)
{
	struct bayes_table *table = bayes_table_create("", 12345, 0);
	bool good = true;
	for (uint64_t i = 0; i < 5000; i++) {
		if (!bayes_table_set(table, i * 7, (struct bayes_counts){(uint32_t)i + 1, 3})) {
			struct bayes_table *larger = bayes_table_larger(table);
			bayes_table_release(table);
			table = larger;
			good = bayes_table_set(table, i * 7, (struct bayes_counts){(uint32_t)i + 1, 3}) && good;
		}
	}
	for (uint64_t i = 0; i < 5000; i++) {
		struct bayes_counts counts = bayes_table_find(table, i * 7);
		good = good && counts.spam == i + 1 && counts.ham == 3 && bayes_table_find(table, i * 7 + 1).ham == 0;
	}
	ok(good, "a table that grows finds 5000 tokens and no others");
	bayes_table_set(table, 7, (struct bayes_counts){0, 0});
	ok(bayes_table_find(table, 7).spam == 0 && bayes_table_find(table, 14).spam == 3, "one that is un-learnt is gone");
	bayes_table_release(table);
}

struct readers {
	struct bayes_cache *cache;
	atomic_bool stop;
	atomic_uint wrong, reads;
};

/* Totals and counts never say more than was ever learnt. */
static void *reader_main(void *context)
{
	struct readers *readers = context;
	const char *const owners[] = {"", "user@one.example"};
	uint64_t tokens[TOKENS];
	struct bayes_counts totals[2], counts[2 * TOKENS];
	for (size_t round = 0; !atomic_load(&readers->stop); round++) {
		for (size_t i = 0; i < TOKENS; i++) {
			tokens[i] = token_of(round, i);
		}
		bool good = bayes_cache_read(readers->cache, owners, 2, tokens, TOKENS, totals, counts);
		for (size_t i = 0; i < (size_t)2 * TOKENS && good; i++) {
			good = counts[i].spam <= MESSAGES && counts[i].ham <= MESSAGES;
		}
		atomic_fetch_add(&readers->wrong, !good);
		atomic_fetch_add(&readers->reads, 1);
	}
	return NULL;
}

static void test_changes(struct store *store)
{
	struct bayes_cache *cache = bayes_cache_open(store, true, 64 * MEGABYTES);
	struct readers readers = {.cache = cache};
	pthread_t threads[READERS];
	static const char *const owners[] = {"", "user@one.example"};
	bool good = true;
	for (size_t i = 0; i < READERS; i++) {
		pthread_create(&threads[i], NULL, reader_main, &readers);
	}
	ok(becomes_same(cache, store, ""), "an empty store is known to be empty");
	for (size_t i = 0; i < MESSAGES; i++) {
		good = learn(store, owners[i % 2], i) && good;
		good = i % 3 != 2 || (unlearn(store, owners[i % 2], i) && good);
	}
	ok(good && becomes_same(cache, store, owners[0]) && becomes_same(cache, store, owners[1]),
	   "what others learn and un-learn is known soon, of each owner");
	struct bayes_message many[100];
	static uint64_t tokens[100][TOKENS + 500];
	for (size_t i = 0; i < 100; i++) {
		message_make(1000 + i, &many[i], tokens[i]);
		for (size_t k = 0; k < 500; k++) {
			tokens[i][TOKENS + k] = 0x123456789u * (k + 1) * (i + 1) * 977;
		}
		many[i].count = i < 50 ? TOKENS + 300 : TOKENS;
	}
	ok(bayes_learn_many(store, "", many, 100, time(NULL)) == STORE_OK && becomes_same(cache, store, ""),
	   "and what is learnt of many messages at once");
	atomic_store(&readers.stop, true);
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
	}
	ok(atomic_load(&readers.wrong) == 0 && atomic_load(&readers.reads) > 0, "%u reads meanwhile saw nothing impossible",
	   atomic_load(&readers.reads));
	bayes_cache_close(cache);
}

static void test_memory(struct store *store)
{
	struct bayes_cache *cache = bayes_cache_open(store, true, 4096);
	struct bayes_cache_status status;
	const char *owner = "";
	struct bayes_counts totals, want, none[1];
	uint64_t deadline = clock_now() + 60 * CLOCK_NS_PER_S;
	do {
		bayes_cache_read(cache, &owner, 1, NULL, 0, &totals, none);
		bayes_cache_get_status(cache, &status);
		usleep(10000);
	} while (status.owners == 0 && clock_now() < deadline);
	bayes_read(store, &owner, 1, NULL, 0, &want, none);
	ok(status.owners == 1 && status.bytes <= 4096, "what is too large for the memory is not held");
	ok(bayes_cache_read(cache, &owner, 1, NULL, 0, &totals, none) && totals.spam == want.spam, "but read");
	bayes_cache_configure(cache, 64 * MEGABYTES);
	ok(becomes_same(cache, store, ""), "with more memory it is held");
	bayes_cache_configure(cache, 300000);
	for (char user = 'a'; user <= 'e'; user++) {
		char name[] = "x@many.example";
		const char *names[] = {name};
		name[0] = user;
		for (size_t i = 0; i < 7; i++) {
			learn(store, name, 2000 + i);
		}
		bayes_cache_read(cache, names, 1, NULL, 0, &totals, none);
	}
	ok(becomes_same(cache, store, "e@many.example"), "an owner is held when he is asked for");
	bayes_cache_get_status(cache, &status);
	ok(status.bytes <= 300000, "within the memory that is given");
	bayes_cache_close(cache);
}

static void test_none(struct store *store)
{
	struct bayes_cache *none = bayes_cache_open(NULL, true, MEGABYTES);
	struct bayes_cache *explain = bayes_cache_open(store, false, MEGABYTES);
	const char *owner = "";
	struct bayes_counts totals, counts[1];
	ok(!bayes_cache_read(none, &owner, 1, NULL, 0, &totals, counts), "without a store nothing is known");
	ok(bayes_cache_read(explain, &owner, 1, NULL, 0, &totals, counts) && totals.spam > 0,
	   "for explain the store is asked");
	bayes_cache_close(none);
	bayes_cache_close(explain);
}

int main(void)
{
	char folder[] = "/tmp/bayes-cache-XXXXXX";
	char command[64];
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	struct store *store = open_store(folder);
	test_table();
	test_changes(store);
	test_memory(store);
	test_none(store);
	store_close(store);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? done_testing() : 1;
}
