/* Rate limits and greylist on a real store, with a clock of the test's own: MAILREEVE_STORE_LOCATION names it (an empty
 * database), else it is a new SQLite file. */
#include "lib/policy/rate_rule.h"
#include "lib/store/greylist.h"
#include "lib/store/rates.h"
#include "t/tap.h"

#include <pthread.h>
#include <unistd.h>

#define T0 UINT64_C(1800000000)
#define NS UINT64_C(1000000000)

static char folder[] = "/var/tmp/mailreeve-limits-XXXXXX";
static struct store_options options = {.timeout = 20 * NS, .migrate = true, .connections = 8, .spill_max = 1 << 20};

static struct store *open_store(unsigned flags)
{
	char *error = NULL;
	struct store *store = store_open(&options, flags, &error);
	if (store == NULL) {
		printf("Bail out! %s\n", error);
		exit(1);
	}
	return store;
}

/* What was queued is written. */
static void settle(struct store *store)
{
	store_flush(store, 10 * NS);
}

struct limit {
	struct arena *arena;
	struct rate_rule rule;
	char key[200];
};

static struct limit *limit_make(struct arena *arena, const char *text)
{
	struct limit *limit = arena_alloc(arena, sizeof *limit);
	const char *expected = "";
	ok(rate_rule_parse(arena, text, &limit->rule, &expected), "limit %s", text);
	snprintf(limit->key, sizeof limit->key, "outbound %s", limit->rule.text);
	return limit;
}

static struct rates_check check_of(const struct limit *limit, const char *name, uint64_t units)
{
	return (struct rates_check){.rule = &limit->rule, .key = limit->key, .name = name, .units = units, .value = ""};
}

static struct rates_check take(struct store *store, const struct limit *limit, const char *name, uint64_t now,
                               uint64_t units, bool look)
{
	struct rates_check check = check_of(limit, name, units);
	check.look = look;
	if (rates_check(store, &check, 1, now) != STORE_OK) {
		ok(false, "the store answers");
	}
	return check;
}

static bool see(struct store *store, const struct limit *limit, const char *name, const char *value, uint64_t now,
                bool look)
{
	struct rates_check check = check_of(limit, name, 0);
	check.value = value;
	check.look = look;
	return rates_check(store, &check, 1, now) == STORE_OK && check.allowed;
}

/* A sequence over time: how many are taken, and what comes of it. */
struct step {
	uint64_t at, units;
	bool look, allowed;
	uint64_t left, wait;
	const char *what;
};

static const struct step steps[] = {
    {0, 1, true, true, 3, 0, "a look at a bucket that is not there: it is full"},
    {0, 1, false, true, 2, 0, "the first"},
    {0, 1, true, true, 2, 0, "a look takes nothing"},
    {0, 1, false, true, 1, 0, "the second"},
    {0, 2, false, false, 1, 1200, "two at once do not fit, and take nothing"},
    {0, 1, false, true, 0, 0, "the third"},
    {0, 1, false, false, 0, 1200, "the fourth waits 20 minutes"},
    {0, 1, true, false, 0, 1200, "so says a look"},
    {600, 1, false, false, 0, 600, "half of that is not enough"},
    {1199, 1, false, false, 0, 1, "nor a second less"},
    {1200, 1, false, true, 0, 0, "then one fits"},
    {1200, 1, false, false, 0, 1200, "and no other"},
    {700, 1, false, false, 0, 1200, "a clock that was set back: it is empty, not worse"},
    {1900, 1, false, true, 0, 0, "and fills as ever"},
    {20000, 1, true, true, 3, 0, "after hours it is full"},
    {20000, 9, false, true, 0, 0, "more than it holds at once takes all of it"},
    {20001, 1, false, false, 0, 1199, "which counts"},
    {40000, 9, true, false, 3, 0, "but a look says that it does not fit"},
};

static void test_bucket(struct arena *arena, struct store *store)
{
	struct limit *limit = limit_make(arena, "user 3/1h");
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		const struct step *s = &steps[i];
		struct rates_check check = take(store, limit, "steps", T0 + s->at, s->units, s->look);
		if (!ok(check.allowed == s->allowed && check.left == s->left && check.wait == s->wait, "%s", s->what)) {
			diag("allowed %d, left %llu, wait %llu", check.allowed, (unsigned long long)check.left,
			     (unsigned long long)check.wait);
		}
	}
	struct limit *burst = limit_make(arena, "user 1/1h burst 5");
	size_t passed = 0;
	for (size_t i = 0; i < 8; i++) {
		passed += take(store, burst, "burst", T0, 1, false).allowed;
	}
	is_int((long long)passed, 5, "a burst of five");
	ok(!take(store, burst, "burst", T0 + 3599, 1, false).allowed &&
	       take(store, burst, "burst", T0 + 3600, 1, false).allowed,
	   "then one in an hour");
	ok(take(store, burst, "other", T0, 1, false).allowed, "another name has a bucket of its own");
	ok(take(store, limit, "burst", T0, 1, false).allowed, "and so has another rule");
}

static void test_refund(struct arena *arena, struct store *store)
{
	struct limit *limit = limit_make(arena, "user 2/1h");
	struct rates_check check = take(store, limit, "refund", T0, 1, false);
	rates_refund(store, &check, 1);
	settle(store);
	is_int((long long)take(store, limit, "refund", T0, 1, true).left, 2, "what is given back is there again");
	take(store, limit, "refund", T0, 2, false);
	check = take(store, limit, "refund", T0, 1, false);
	rates_refund(store, &check, 1);
	settle(store);
	is_int((long long)take(store, limit, "refund", T0, 1, true).left, 0, "what was refused gives nothing back");
	check = check_of(limit, "charge", 1);
	rates_charge(store, &check, T0);
	settle(store);
	is_int((long long)take(store, limit, "charge", T0, 1, true).left, 1, "a charge takes without asking");
	check.units = 1000;
	rates_charge(store, &check, T0);
	rates_charge(store, &check, T0);
	settle(store);
	is_int((long long)take(store, limit, "charge", T0, 1, true).wait, 1800, "down to an empty bucket, not further");
}

static void test_window(struct arena *arena, struct store *store)
{
	struct limit *limit = limit_make(arena, "user 3/1h distinct");
	ok(see(store, limit, "w", "a", T0, true), "a look");
	ok(see(store, limit, "w", "a", T0, false) && see(store, limit, "w", "b", T0 + 10, false) &&
	       see(store, limit, "w", "c", T0 + 20, false),
	   "three different ones");
	ok(!see(store, limit, "w", "d", T0 + 30, false), "not a fourth");
	ok(see(store, limit, "w", "a", T0 + 30, false), "those that are known go on");
	ok(!see(store, limit, "w", "d", T0 + 30, true) && see(store, limit, "w", "c", T0 + 30, true),
	   "a look says the same");
	ok(!see(store, limit, "w", "d", T0 + 3609, false), "an hour after the second has not passed");
	ok(see(store, limit, "w", "d", T0 + 3610, false), "then there is room");
	ok(see(store, limit, "v", "d", T0 + 30, false), "for others there always was");
}

/* 2N threads' worth of takes at once: exactly N pass. */
enum { THREADS = 8, TAKES = 25 };
struct parallel {
	struct store *store;
	const struct limit *limit;
	const char *name;
	size_t passed, failed;
};

static void *parallel_run(void *context)
{
	struct parallel *parallel = context;
	for (size_t i = 0; i < TAKES; i++) {
		struct rates_check check = check_of(parallel->limit, parallel->name, 1);
		if (rates_check(parallel->store, &check, 1, T0) != STORE_OK) {
			parallel->failed++;
		} else {
			parallel->passed += check.allowed;
		}
	}
	return NULL;
}

static void test_parallel(struct arena *arena, struct store *store, struct store *other)
{
	struct limit *limit = limit_make(arena, "user 100/1h");
	struct parallel parallels[THREADS];
	pthread_t threads[THREADS];
	size_t passed = 0, failed = 0;
	for (size_t i = 0; i < THREADS; i++) {
		parallels[i] = (struct parallel){.store = i % 2 == 0 ? store : other, .limit = limit, .name = "parallel"};
		pthread_create(&threads[i], NULL, parallel_run, &parallels[i]);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		passed += parallels[i].passed;
		failed += parallels[i].failed;
	}
	is_int((long long)failed, 0, "200 at once through two openings of the store: it answers all");
	is_int((long long)passed, 100, "exactly 100 of them pass");
}

/* Two rules and names crosswise, in both orders: no deadlock. */
static void *crosswise_run(void *context)
{
	struct parallel *parallel = context;
	for (size_t i = 0; i < TAKES; i++) {
		struct rates_check checks[] = {check_of(parallel->limit, parallel->name, 1),
		                               check_of(parallel->limit, parallel->name[0] == 'x' ? "y" : "x", 1)};
		parallel->failed += rates_check(parallel->store, checks, 2, T0) != STORE_OK;
	}
	return NULL;
}

static void test_crosswise(struct arena *arena, struct store *store, struct store *other)
{
	struct limit *limit = limit_make(arena, "user 1000/1h");
	struct parallel parallels[THREADS];
	pthread_t threads[THREADS];
	size_t failed = 0;
	for (size_t i = 0; i < THREADS; i++) {
		parallels[i] =
		    (struct parallel){.store = i < 4 ? store : other, .limit = limit, .name = i % 2 == 0 ? "x" : "y"};
		pthread_create(&threads[i], NULL, crosswise_run, &parallels[i]);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		failed += parallels[i].failed;
	}
	is_int((long long)failed, 0, "batches over the same rows in different orders all succeed");
	is_int((long long)take(store, limit, "x", T0, 1, true).left, 800, "and each has counted");
}

/* ---- locks, lists ---- */

static bool count_lock(void *context, const struct rates_lock *lock)
{
	(void)lock;
	++*(size_t *)context;
	return true;
}

static void test_locks(struct store *store)
{
	struct rates_lock lock;
	size_t count = 0;
	uint64_t gone;
	ok(rates_lock_find(store, "anna", T0, &lock) == STORE_OK && lock.until == 0, "nobody is locked");
	ok(rates_lock(store, "anna", "why", T0, T0 + 100) == STORE_OK, "a lock");
	ok(rates_lock_find(store, "anna", T0 + 99, &lock) == STORE_OK && lock.until == T0 + 100, "is found");
	is_text(lock.reason, "why", "with its reason");
	ok(rates_lock_find(store, "Anna", T0, &lock) == STORE_OK && lock.until == 0, "for that name only");
	rates_lock(store, "anna", "other", T0 + 10, T0 + 50);
	rates_lock_find(store, "anna", T0 + 20, &lock);
	ok(lock.until == T0 + 100 && lock.since == T0 && strcmp(lock.reason, "why") == 0, "it is not made shorter");
	rates_lock(store, "anna", "other", T0 + 10, T0 + 500);
	rates_lock_find(store, "anna", T0 + 200, &lock);
	ok(lock.until == T0 + 500, "but longer");
	rates_lock_find(store, "anna", T0 + 500, &lock);
	ok(lock.until == 0, "and ends");
	rates_lock(store, "anna", "again", T0 + 600, T0 + 700);
	rates_lock_find(store, "anna", T0 + 600, &lock);
	ok(lock.since == T0 + 600 && strcmp(lock.reason, "again") == 0, "one that was over begins anew");
	rates_list_locks(store, NULL, T0 + 600, count_lock, &count);
	is_int((long long)count, 1, "it is listed");
	ok(rates_reset(store, "anna", &gone) == STORE_OK && gone == 1, "reset lifts it");
	rates_lock_find(store, "anna", T0 + 600, &lock);
	ok(lock.until == 0, "at once");
}

struct rows {
	size_t count, windows;
	uint64_t refused;
};

static bool count_rates(void *context, const struct rates_row *row)
{
	struct rows *rows = context;
	rows->count++;
	rows->windows += row->window;
	rows->refused += row->refused;
	return true;
}

static void test_listing(struct arena *arena, struct store *store)
{
	struct limit *limit = limit_make(arena, "user 2/1h");
	struct limit *window = limit_make(arena, "user 2/1h networks");
	struct rows rows = {0};
	uint64_t gone;
	for (size_t i = 0; i < 5; i++) {
		take(store, limit, "listed", T0, 1, false);
	}
	see(store, window, "listed", "a", T0, false);
	rates_list(store, "listed", T0, 100, count_rates, &rows);
	ok(rows.count == 2 && rows.windows == 1 && rows.refused == 3, "a bucket with three refusals, and a window");
	rows = (struct rows){0};
	rates_list(store, NULL, T0, 1, count_rates, &rows);
	ok(rows.count == 1 && rows.refused == 100, "of all, the one with most refusals first");
	ok(rates_reset(store, "listed", &gone) == STORE_OK && gone == 2, "reset takes both");
	ok(take(store, limit, "listed", T0, 1, false).allowed, "and the bucket is full");
	rates_reset(store, "listed", &gone);
}

static void test_expire(struct arena *arena, struct store *store)
{
	struct limit *limit = limit_make(arena, "user 1/1h");
	struct limit *window = limit_make(arena, "user 5/1h distinct");
	struct rows rows = {0};
	char name[32];
	uint64_t late = T0 + 50 * 86400;
	settle(store);
	is_int(rates_expire(store, late, 1000), STORE_OK, "what is over is forgotten");
	rates_list(store, NULL, T0, 10000, count_rates, &rows);
	is_int((long long)rows.count, 0, "after weeks nothing is left");
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "e%d", i);
		take(store, limit, name, late + (uint64_t)i, 1, false);
		see(store, window, "e", name, late + (uint64_t)i, false);
	}
	settle(store);
	is_int(rates_expire(store, late, 20), STORE_OK, "and the oldest of too many");
	rates_list(store, NULL, late, 10000, count_rates, &rows);
	is_int((long long)rows.count, 20 + 1, "of too many the newest stay");
	ok(take(store, limit, "e0", late + 60, 1, true).allowed && !take(store, limit, "e49", late + 60, 1, true).allowed,
	   "the newest ones");
}

/* ---- greylist ---- */

struct greylist_step {
	uint64_t at;
	const char *key, *network;
	bool look, pass;
	uint64_t wait;
	const char *what;
};

/* delay 300, window 3600, lifetime 86400, a network after 2 */
static const struct greylist_step greylist_steps[] = {
    {0, "a", "n1", true, false, 300, "a look at nobody"},
    {0, "a", "n1", false, false, 300, "a first try waits"},
    {1, "a", "n1", true, false, 299, "a look"},
    {100, "a", "n1", false, false, 200, "a second one too early waits for the rest"},
    {299, "a", "n1", false, false, 1, "to the second"},
    {300, "b", "n2", false, false, 300, "another one waits by himself"},
    {300, "a", "n1", true, true, 0, "a look at one whose time has come"},
    {300, "a", "n1", false, true, 0, "then he passes"},
    {301, "a", "n1", false, true, 0, "and again"},
    {86700, "a", "n1", false, true, 0, "for a lifetime after the last one"},
    {86700 + 86399, "a", "n1", false, true, 0, "which each begins anew"},
    {3900, "b", "n2", false, false, 300, "a try after the window is a first one"},
    {4200, "b", "n2", false, true, 0, "whose second passes"},
    {86700 + 86399 + 86400, "a", "n1", false, false, 300, "after a lifetime he is nobody again"},
    {200000, "c", "n3", false, false, 300, "one of a network"},
    {200300, "c", "n3", false, true, 0, "has passed"},
    {200300, "d", "n3", false, false, 300, "another one waits"},
    {200600, "d", "n3", false, true, 0, "and has passed"},
    {200600, "e", "n3", true, true, 0, "so a third"},
    {200600, "e", "n3", false, true, 0, "passes at once, by the network"},
    {200600, "e", "n4", false, false, 300, "but not from elsewhere"},
    {200600, "f", "", false, false, 300, "no network is none"},
    {200900, "f", "", false, true, 0, "to be counted for"},
    {900, "g", "n5", false, false, 300, "a first try"},
    {100, "g", "n5", false, false, 300, "and one of a clock that was set back: a first one"},
    {400, "g", "n5", false, true, 0, "with its second"},
};

static const struct greylist_terms terms = {.delay = 300, .window = 3600, .lifetime = 86400, .network_after = 2};

static void test_greylist(struct store *store)
{
	for (size_t i = 0; i < sizeof greylist_steps / sizeof *greylist_steps; i++) {
		const struct greylist_step *s = &greylist_steps[i];
		struct greylist_answer answer = {0};
		enum store_result result = greylist_check(store, &terms, s->key, s->network, T0 + s->at, s->look, &answer);
		if (!ok(result == STORE_OK && answer.pass == s->pass && answer.wait == s->wait, "%s", s->what)) {
			diag("result %d, pass %d, wait %llu", result, answer.pass, (unsigned long long)answer.wait);
		}
		settle(store);
	}
	struct greylist_terms never = terms;
	struct greylist_answer answer;
	never.network_after = 0;
	greylist_check(store, &never, "h", "n3", T0 + 200600, true, &answer);
	ok(!answer.pass, "network_after 0: no network passes");
}

struct greylist_rows {
	size_t count, waiting, networks;
};

static bool count_greylist(void *context, const struct greylist_row *row)
{
	struct greylist_rows *rows = context;
	rows->count++;
	rows->waiting += row->state == GREYLIST_WAITING;
	rows->networks += row->state == GREYLIST_NETWORK;
	return true;
}

static void test_greylist_operator(struct store *store)
{
	struct greylist_rows rows = {0};
	struct greylist_answer answer;
	uint64_t gone;
	uint64_t late = T0 + 100 * 86400;
	settle(store);
	is_int(greylist_expire(store, late, 1000), STORE_OK, "what is over is forgotten");
	greylist_list(store, NULL, T0, 1000, count_greylist, &rows);
	is_int((long long)rows.count, 0, "after months nothing is left");
	greylist_check(store, &terms, "n9 <a@b.example>", "n9", late, false, &answer);
	greylist_check(store, &terms, "n9 <a@b.example>", "n9", late + 300, false, &answer);
	settle(store);
	greylist_list(store, "n9", late + 300, 1000, count_greylist, &rows);
	ok(rows.count == 2 && rows.networks == 1 && rows.waiting == 0, "one that passed, and its network");
	rows = (struct greylist_rows){0};
	greylist_list(store, "%", late + 300, 1000, count_greylist, &rows);
	is_int((long long)rows.count, 0, "no signs of LIKE");
	ok(greylist_remove(store, "n9", &gone) == STORE_OK && gone == 1, "the network goes");
	ok(greylist_remove(store, "n9 <a@b.example>", &gone) == STORE_OK && gone == 1, "he goes");
	ok(greylist_remove(store, "n9", &gone) == STORE_OK && gone == 0, "and is gone");
	char key[32];
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof key, "flood %d", i);
		greylist_check(store, &terms, key, "n10", late + (uint64_t)i, false, &answer);
	}
	settle(store);
	is_int(greylist_expire(store, late + 60, 20), STORE_OK, "and the oldest of too many");
	rows = (struct greylist_rows){0};
	greylist_list(store, "flood", late + 60, 1000, count_greylist, &rows);
	is_int((long long)rows.count, 20, "a flood is cut to what is allowed");
}

static void *greylist_run(void *context)
{
	struct parallel *parallel = context;
	struct greylist_answer answer;
	for (size_t i = 0; i < TAKES; i++) {
		parallel->failed += greylist_check(parallel->store, &terms, parallel->name, "", T0, false, &answer) != STORE_OK;
		parallel->passed += answer.pass;
	}
	return NULL;
}

static void test_greylist_parallel(struct store *store, struct store *other)
{
	struct parallel parallels[THREADS];
	pthread_t threads[THREADS];
	size_t passed = 0, failed = 0;
	struct greylist_answer answer;
	for (size_t i = 0; i < THREADS; i++) {
		parallels[i] = (struct parallel){.store = i % 2 == 0 ? store : other, .name = "parallel"};
		pthread_create(&threads[i], NULL, greylist_run, &parallels[i]);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		passed += parallels[i].passed;
		failed += parallels[i].failed;
	}
	ok(failed == 0 && passed == 0, "first tries at once: none passes");
	greylist_check(store, &terms, "parallel", "", T0 + 300, false, &answer);
	ok(answer.pass && answer.tries == THREADS * TAKES + 1, "and all were counted");
}

/* ---- what does not write ---- */

static void test_read_only(struct arena *arena, struct store *store)
{
	struct limit *limit = limit_make(arena, "user 1/1h");
	struct store *reader = open_store(STORE_READ_ONLY);
	struct greylist_answer answer;
	ok(store_is_read_only(reader) && !store_is_read_only(store), "a store that is only read");
	take(store, limit, "reader", T0, 1, false);
	ok(!take(reader, limit, "reader", T0, 1, true).allowed, "a look sees what another has taken");
	ok(take(reader, limit, "reader", T0 + 3600, 1, true).allowed, "and when it is over");
	struct rates_check check = check_of(limit, "reader", 1);
	ok(rates_check(reader, &check, 1, T0 + 3600) != STORE_OK, "it does not take");
	ok(greylist_check(reader, &terms, "r", "n", T0, true, &answer) == STORE_OK && !answer.pass,
	   "nor does the greylist");
	ok(greylist_check(reader, &terms, "r", "n", T0, false, &answer) != STORE_OK, "write");
	store_close(reader);
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	char command[200];
	if (mkdtemp(folder) == NULL) {
		abort();
	}
	const char *location = getenv("MAILREEVE_STORE_LOCATION");
	options.location = location != NULL ? location : arena_printf(arena, "sqlite:%s/store.db", folder);
	options.spill_dir = arena_printf(arena, "%s/spill", folder);
	struct store *store = open_store(STORE_MIGRATE | STORE_LATER);
	struct store *other = open_store(0);
	test_bucket(arena, store);
	test_refund(arena, store);
	test_window(arena, store);
	test_parallel(arena, store, other);
	test_crosswise(arena, store, other);
	test_locks(store);
	test_listing(arena, store);
	test_expire(arena, store);
	test_greylist(store);
	test_greylist_operator(store);
	test_greylist_parallel(store, other);
	test_read_only(arena, store);
	store_close(other);
	store_close(store);
	arena_destroy(arena);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? done_testing() : 1;
}
