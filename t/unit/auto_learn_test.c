/* The queue of what is learnt by itself, and its caps, on a store in SQLite or the one that MAILREEVE_TEST_STORE names:
 * from many threads and two daemons at once. */
#include "lib/pipeline/auto_learn.h"
#include "lib/store/bayes_auto.h"
#include "t/tap.h"
#include "t/test_store.h"

#include <pthread.h>
#include <unistd.h>

enum { NOW = 1764028800, DAY = 86400, THREADS = 4, EACH = 12, CAP = 17, TOKENS = 20 };

static struct auto_learn_order order_of(enum bayes_class class, unsigned n, const uint64_t *tokens)
{
	struct auto_learn_order order = {.class = class,
	                                 .version = 1,
	                                 .tokens = tokens,
	                                 .count = TOKENS,
	                                 .now = NOW,
	                                 .support_id = "TEST",
	                                 .daily_max = CAP,
	                                 .client_max = 1000,
	                                 .balance = 1000};
	memcpy(order.digest, &n, sizeof n);
	snprintf(order.network, sizeof order.network, "192.0.%u.0/24", n % 3);
	return order;
}

struct sender {
	struct auto_learn *learn;
	enum bayes_class class;
	unsigned from;
};

static void *send_all(void *context)
{
	const struct sender *sender = context;
	for (unsigned i = 0; i < EACH; i++) {
		uint64_t tokens[TOKENS];
		for (size_t t = 0; t < TOKENS; t++) {
			tokens[t] = (uint64_t)(sender->from + i) * 1000 + t;
		}
		struct auto_learn_order order = order_of(sender->class, sender->from + i, tokens);
		auto_learn_add(sender->learn, &order);
		memset(tokens, 0xee, sizeof tokens); /* the queue has its own */
	}
	return NULL;
}

static uint64_t sum_of(const struct auto_learn_status *s)
{
	return s->spam + s->ham + s->known + s->unbalanced + s->capped + s->failed + s->dropped;
}

static struct auto_learn_status wait_for(struct auto_learn *learn, uint64_t count)
{
	struct auto_learn_status status;
	uint64_t until = clock_now() + 60 * CLOCK_NS_PER_S;
	do {
		usleep(1000);
		auto_learn_get_status(learn, &status);
	} while (sum_of(&status) < count && clock_now() < until);
	return status;
}

static struct bayes_counts learnt(struct store *store, uint64_t token, struct bayes_counts *counts_r)
{
	static const char *const owners[] = {""};
	struct bayes_counts total;
	bayes_read(store, owners, 1, &token, 1, &total, counts_r);
	return total;
}

static void test_threads(struct store *store)
{
	struct auto_learn *daemons[] = {auto_learn_start(store), auto_learn_start(store)};
	struct sender senders[THREADS];
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		senders[i] = (struct sender){daemons[i % 2], BAYES_SPAM, i * EACH};
		pthread_create(&threads[i], NULL, send_all, &senders[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	struct auto_learn_status a = wait_for(daemons[0], THREADS * EACH / 2);
	struct auto_learn_status b = wait_for(daemons[1], THREADS * EACH / 2);
	is_int(CAP, (long long)(a.spam + b.spam), "of many at once, from two daemons, just the cap is learnt");
	is_int(THREADS * EACH - CAP, (long long)(a.capped + b.capped), "and the others are not");
	struct bayes_counts counts;
	is_int(CAP, learnt(store, 0, &counts).spam, "which is what the store has");
	struct sender good = {daemons[0], BAYES_HAM, 1000};
	send_all(&good);
	a = wait_for(daemons[0], THREADS * EACH / 2 + EACH);
	is_int(EACH, (long long)a.ham, "the cap of the other class is its own");
	learnt(store, 1000 * 1000 + 3, &counts);
	is_int(1, counts.ham, "the tokens are those that were there when it was queued");
	send_all(&good);
	a = wait_for(daemons[0], THREADS * EACH / 2 + 2 * EACH);
	is_int(EACH, (long long)a.known, "what is learnt is known");
	auto_learn_stop(daemons[0]);
	struct auto_learn_order late = order_of(BAYES_HAM, 5000, (const uint64_t[TOKENS]){1});
	ok(!auto_learn_add(daemons[0], &late), "after the end nothing is taken");
	auto_learn_destroy(daemons[0]);
	auto_learn_destroy(daemons[1]);
}

static void test_take(struct store *store)
{
	bool taken[6];
	for (int i = 0; i < 3; i++) {
		bayes_auto_take(store, BAYES_SPAM, "net", 100, 2, NOW + 5 * DAY, &taken[i]);
	}
	ok(taken[0] && taken[1] && !taken[2], "a network has its own cap");
	bayes_auto_take(store, BAYES_HAM, "net", 100, 2, NOW + 5 * DAY, &taken[3]);
	ok(!taken[3], "for both classes together");
	bayes_auto_take(store, BAYES_SPAM, "other", 3, 2, NOW + 5 * DAY, &taken[4]);
	bayes_auto_take(store, BAYES_SPAM, "third", 3, 2, NOW + 5 * DAY, &taken[5]);
	ok(taken[4] && !taken[5], "what was refused took nothing of the class");
	bayes_auto_take(store, BAYES_SPAM, "net", 3, 2, NOW + 6 * DAY, &taken[0]);
	ok(taken[0], "the next day it begins anew");
}

/* Who writes nothing, as the store is busy, must not take memory without end. */
static void test_full(struct store *store)
{
	struct auto_learn *learn = auto_learn_start(store);
	uint64_t tokens[TOKENS] = {0};
	unsigned refused = 0;
	for (unsigned i = 0; i < 8 * AUTO_LEARN_QUEUE_MAX; i++) {
		struct auto_learn_order order = order_of(BAYES_SPAM, 100000 + i, tokens);
		refused += auto_learn_add(learn, &order) ? 0 : 1;
	}
	struct auto_learn_status status;
	auto_learn_get_status(learn, &status);
	ok(refused > 0, "a full queue takes no more");
	is_int(refused, (long long)status.dropped, "which is counted");
	auto_learn_destroy(learn);
}

static void test_person(struct store *store)
{
	uint64_t tokens[] = {77};
	struct bayes_message message = {
	    .only_new = true, .class = BAYES_SPAM, .version = 1, .tokens = tokens, .count = 1, .digest = "person"};
	enum bayes_outcome outcome;
	struct bayes_counts counts;
	bayes_learn(store, "", BAYES_HAM, message.digest, 1, tokens, 1, NOW, &outcome);
	bayes_learn_many(store, "", &message, 1, NOW);
	learnt(store, 77, &counts);
	ok(message.outcome == BAYES_KNOWN && counts.ham == 1 && counts.spam == 0, "only_new moves nothing");
}

int main(void)
{
	char folder[] = "/tmp/auto-learn-XXXXXX";
	char command[64];
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	struct store *store = open_store(folder);
	test_threads(store);
	test_take(store);
	test_person(store);
	test_full(store);
	store_close(store);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? done_testing() : 1;
}
