/* What is learnt, against a real store: SQLite in a folder of its own, or the one that MAILREEVE_TEST_STORE names.
 * `bayes_store_suite bench N` measures: N messages learnt in several ways, then read. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/bayes_cache.h"
#include "lib/store/bayes.h"
#include "t/tap.h"
#include "t/test_store.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DAY = 86400, NOW = 1764028800, MESSAGES = 40, TOKENS = 60, TOKEN_KINDS = 150, VERSION = 3 };

/* A generator of our own: the same numbers everywhere. */
static uint64_t random_state = 88172645463325252u;
static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Well spread, some with the highest bit, some small. */
static uint64_t token_of(size_t kind)
{
	uint64_t x = (uint64_t)kind * 0x9e3779b97f4a7c15u;
	return kind < 3 ? kind : x ^ x >> 29;
}

/* The messages of all tests: their tokens do not change. */
static struct {
	uint8_t digest[BAYES_DIGEST_SIZE];
	size_t kinds[TOKENS];
	uint64_t tokens[TOKENS];
	size_t count;
} pool[MESSAGES];

static void pool_make(void)
{
	for (size_t m = 0; m < MESSAGES; m++) {
		bool has[TOKEN_KINDS] = {false};
		for (size_t i = 0; i < sizeof pool[m].digest; i++) {
			pool[m].digest[i] = (uint8_t)random_next();
		}
		size_t tries = m == 0 ? 0 : TOKENS; /* one has no tokens at all */
		for (size_t i = 0; i < tries; i++) {
			size_t kind = (size_t)(random_next() % TOKEN_KINDS);
			if (!has[kind]) {
				has[kind] = true;
				pool[m].kinds[pool[m].count] = kind;
				pool[m].tokens[pool[m].count++] = token_of(kind);
			}
		}
	}
}

/* What an owner should have. */
struct model {
	enum bayes_class classes[MESSAGES]; /* 0: not learnt */
};

static bool model_same(struct store *store, const char *owner, const struct model *model)
{
	struct bayes_counts want[TOKEN_KINDS] = {{0, 0}}, got[TOKEN_KINDS], total = {0, 0}, totals[1];
	uint64_t tokens[TOKEN_KINDS];
	bool same = true;
	for (size_t kind = 0; kind < TOKEN_KINDS; kind++) {
		tokens[kind] = token_of(kind);
	}
	for (size_t m = 0; m < MESSAGES; m++) {
		bool spam = model->classes[m] == BAYES_SPAM;
		if (model->classes[m] != 0) {
			++*(spam ? &total.spam : &total.ham);
			for (size_t i = 0; i < pool[m].count; i++) {
				struct bayes_counts *counts = &want[pool[m].kinds[i]];
				++*(spam ? &counts->spam : &counts->ham);
			}
		}
	}
	if (bayes_read(store, &owner, 1, tokens, TOKEN_KINDS, totals, got) != STORE_OK) {
		return false;
	}
	for (size_t kind = 0; kind < TOKEN_KINDS; kind++) {
		if (want[kind].spam != got[kind].spam || want[kind].ham != got[kind].ham) {
			diag("token %zu: %u/%u, wanted %u/%u", kind, got[kind].spam, got[kind].ham, want[kind].spam,
			     want[kind].ham);
			same = false;
		}
	}
	return same && totals[0].spam == total.spam && totals[0].ham == total.ham;
}

/* What the store says was learnt. */
static bool model_read(struct store *store, const char *owner, struct model *model_r)
{
	for (size_t m = 0; m < MESSAGES; m++) {
		bool found;
		struct bayes_learnt learnt;
		if (bayes_find(store, owner, pool[m].digest, &found, &learnt) != STORE_OK) {
			return false;
		}
		model_r->classes[m] = found ? learnt.class : (enum bayes_class)0;
	}
	return true;
}

static enum bayes_outcome learn(struct store *store, const char *owner, enum bayes_class class, size_t m)
{
	enum bayes_outcome outcome;
	enum store_result result =
	    bayes_learn(store, owner, class, pool[m].digest, VERSION, pool[m].tokens, pool[m].count, NOW, &outcome);
	return result == STORE_OK ? outcome : BAYES_NOT_WRITTEN;
}

static enum bayes_outcome unlearn(struct store *store, const char *owner, size_t m)
{
	enum bayes_outcome outcome;
	return bayes_unlearn(store, owner, pool[m].digest, NOW, &outcome) == STORE_OK ? outcome : BAYES_NOT_WRITTEN;
}

/* ---- one at a time ---- */

static void test_outcomes(struct store *store)
{
	struct model model = {{0}};
	bool found;
	struct bayes_learnt learnt;
	is_int(unlearn(store, "o", 1), BAYES_NOT_LEARNT, "what is not there cannot be un-learnt");
	is_int(learn(store, "o", BAYES_SPAM, 1), BAYES_LEARNT, "new");
	is_int(learn(store, "o", BAYES_SPAM, 1), BAYES_KNOWN, "learnt once");
	model.classes[1] = BAYES_SPAM;
	ok(model_same(store, "o", &model), "its tokens count once");
	is_int(learn(store, "o", BAYES_HAM, 1), BAYES_MOVED, "moved");
	model.classes[1] = BAYES_HAM;
	ok(model_same(store, "o", &model), "its tokens have moved with it");
	is_int(learn(store, "o", BAYES_SPAM, 0), BAYES_LEARNT, "a message without tokens");
	model.classes[0] = BAYES_SPAM;
	ok(model_same(store, "o", &model), "counts as a message");
	is_int(unlearn(store, "o", 0), BAYES_UNLEARNT, "and is un-learnt");
	bayes_find(store, "o", pool[1].digest, &found, &learnt);
	ok(found && learnt.class == BAYES_HAM && learnt.time == NOW && learnt.version == VERSION, "what is known of it");
	is_int(unlearn(store, "o", 1), BAYES_UNLEARNT, "un-learnt");
	model = (struct model){{0}};
	ok(model_same(store, "o", &model), "nothing is left");
	bayes_find(store, "o", pool[1].digest, &found, &learnt);
	ok(!found, "not of the message either");
}

static void test_limits(struct store *store)
{
	static uint64_t many[BAYES_TOKENS_MAX + 1];
	struct bayes_counts totals[BAYES_OWNERS_MAX], *counts = calloc(BAYES_TOKENS_MAX, sizeof *counts);
	enum bayes_outcome outcome;
	char owner[BAYES_OWNER_MAX + 2];
	const char *owners[] = {"limits"};
	memset(owner, 'a', sizeof owner);
	owner[sizeof owner - 1] = '\0';
	for (size_t i = 0; i <= BAYES_TOKENS_MAX; i++) {
		many[i] = (uint64_t)i * 0x9e3779b97f4a7c15u;
	}
	is_int(bayes_learn(store, "limits", BAYES_SPAM, pool[2].digest, 1, many, BAYES_TOKENS_MAX + 1, NOW, &outcome),
	       STORE_REFUSED, "too many tokens");
	is_int(bayes_learn(store, "limits", BAYES_SPAM, pool[2].digest, 0, many, 1, NOW, &outcome), STORE_REFUSED,
	       "no version");
	is_int(bayes_learn(store, owner, BAYES_SPAM, pool[2].digest, 1, many, 1, NOW, &outcome), STORE_REFUSED,
	       "an owner that is too long");
	is_int(bayes_learn(store, "limits", BAYES_SPAM, pool[2].digest, 1, many, BAYES_TOKENS_MAX, NOW, &outcome), STORE_OK,
	       "as many as there may be");
	bayes_read(store, owners, 1, many, BAYES_TOKENS_MAX, totals, counts);
	size_t good = 0;
	for (size_t i = 0; i < BAYES_TOKENS_MAX; i++) {
		good += counts[i].spam == 1 && counts[i].ham == 0;
	}
	is_int((long long)good, BAYES_TOKENS_MAX, "all of them are read");
	free(counts);
}

static void test_owners(struct store *store)
{
	const char *owners[] = {"", "@one.example", "user@one.example"};
	struct bayes_counts totals[3], counts[3 * TOKENS];
	size_t n = pool[5].count;
	learn(store, "", BAYES_HAM, 5);
	learn(store, "@one.example", BAYES_HAM, 6);
	learn(store, "user@one.example", BAYES_SPAM, 5);
	bayes_read(store, owners, 3, pool[5].tokens, n, totals, counts);
	ok(totals[0].ham == 1 && totals[0].spam == 0 && totals[1].ham == 1 && totals[2].spam == 1 && totals[2].ham == 0,
	   "totals of three owners in one query");
	ok(counts[0].ham == 1 && counts[0].spam == 0 && counts[2 * n].spam == 1 && counts[2 * n].ham == 0 &&
	       counts[3 * n - 1].spam == 1,
	   "and what each has learnt of the tokens");
	bayes_read(store, owners + 1, 1, pool[5].tokens, 0, totals, counts);
	is_int(totals[0].ham, 1, "totals alone");
	unlearn(store, "", 5);
	bayes_read(store, owners, 3, pool[5].tokens, n, totals, counts);
	ok(totals[0].ham == 0 && totals[2].spam == 1, "one owner's un-learning is not another's");
}

/* ---- what caches read, and what goes ---- */

struct seen {
	size_t tokens, wrong, changes, told;
	int64_t change;
	uint64_t last;
};

static void see_token(void *context, uint64_t token, struct bayes_counts counts)
{
	struct seen *seen = context;
	seen->wrong += (seen->tokens++ > 0 && token <= seen->last) || counts.spam + counts.ham != 1;
	seen->last = token;
}

static void see_change(void *context, int64_t change, struct slice owner, const uint64_t *tokens, size_t count)
{
	struct seen *seen = context;
	(void)tokens;
	seen->changes += slice_equal(owner, slice_from("cached")) && change > seen->change;
	seen->told += count;
	seen->change = change;
}

static void test_cache_reads(struct store *store)
{
	struct seen seen = {.tokens = 0};
	int64_t before;
	store_counter(store, "bayes", &before);
	learn(store, "cached", BAYES_SPAM, 7);
	bayes_load(store, "cached", NULL, 20, see_token, &seen);
	size_t first = seen.tokens;
	bayes_load(store, "cached", &seen.last, 1000, see_token, &seen);
	ok(first == 20 && seen.tokens == pool[7].count && seen.wrong == 0,
	   "all tokens of an owner, ascending, in two steps");
	seen.change = before;
	bayes_changes(store, before, see_change, &seen);
	ok(seen.changes == 1 && seen.told == pool[7].count, "a change names its tokens");
	before = seen.change;
	learn(store, "cached", BAYES_SPAM, 7);
	bayes_changes(store, before, see_change, &seen);
	ok(seen.changes == 1, "what is known already changes nothing");
	unlearn(store, "cached", 7);
	bayes_changes(store, before, see_change, &seen);
	ok(seen.changes == 2 && seen.told == 2 * pool[7].count, "un-learning is a change");
}

static void see_owner(void *context, const struct bayes_owner *owner)
{
	*(struct bayes_owner *)context = *owner;
}

static uint64_t expire(struct store *store, int64_t before)
{
	struct bayes_walk walk = {.done = false};
	uint64_t all = 0;
	for (int i = 0; i < 1000 && !walk.done; i++) {
		uint64_t removed;
		if (bayes_expire(store, before, NOW, &walk, &removed) != STORE_OK) {
			return UINT64_MAX;
		}
		all += removed;
	}
	return all;
}

/* Before the other tests: what they learn would go, too. */
static void test_expiry(struct store *store)
{
	struct bayes_owner owner = {.tokens = 0};
	struct bayes_message old = {.class = BAYES_SPAM, .version = 1, .tokens = pool[8].tokens, .count = pool[8].count};
	struct bayes_walk walk = {.done = false};
	bool more, common[TOKEN_KINDS] = {false};
	uint64_t removed, once = pool[8].count;
	expire(store, NOW + 10);
	memcpy(old.digest, pool[8].digest, sizeof old.digest);
	bayes_learn_many(store, "expiry", &old, 1, NOW - 10 * DAY);
	learn(store, "expiry", BAYES_HAM, 9);
	for (size_t i = 0; i < pool[9].count; i++) {
		common[pool[9].kinds[i]] = true;
	}
	for (size_t i = 0; i < pool[8].count; i++) {
		once -= common[pool[8].kinds[i]];
	}
	bayes_list(store, "expiry", see_owner, &owner);
	ok(owner.learnt.spam == 1 && owner.learnt.ham == 1 && owner.kept == 2 && owner.oldest == NOW - 10 * DAY &&
	       owner.tokens == once + pool[9].count,
	   "what is told of an owner");
	is_int((long long)expire(store, NOW - 11 * DAY), 0, "nothing is so old");
	ok(bayes_forget(store, NOW - 5 * DAY, NOW, &more) == STORE_OK && !more, "old messages' tokens are no longer kept");
	is_int(unlearn(store, "expiry", 8), BAYES_FORGOTTEN, "such a message is not un-learnt");
	is_int(learn(store, "expiry", BAYES_HAM, 8), BAYES_FORGOTTEN, "nor moved");
	is_int(learn(store, "expiry", BAYES_SPAM, 8), BAYES_KNOWN, "nor learnt again");
	is_int((long long)expire(store, NOW - 5 * DAY), (long long)once, "tokens that say nothing go");
	is_int(unlearn(store, "expiry", 9), BAYES_UNLEARNT, "the others can be un-learnt");
	bayes_list(store, "expiry", see_owner, &owner);
	ok(owner.tokens == pool[8].count - once && owner.learnt.spam == 1 && owner.learnt.ham == 0, "exactly");
	ok(bayes_expire(store, NOW, NOW, &walk, &removed) == STORE_OK, "a step");
}

/* ---- against a model ---- */

/* One random step, of one message or of several at once; false: an outcome is not what the model says. */
static bool random_step(struct store *store, const char *owner, struct model *model)
{
	struct bayes_message messages[12];
	enum bayes_outcome want[12];
	size_t count = 1 + (size_t)(random_next() % 12);
	for (size_t i = 0; i < count; i++) {
		size_t m = (size_t)(random_next() % MESSAGES);
		unsigned what = (unsigned)(random_next() % 3);
		messages[i] = (struct bayes_message){.unlearn = what == 0,
		                                     .class = what == 1 ? BAYES_SPAM : BAYES_HAM,
		                                     .version = VERSION,
		                                     .tokens = pool[m].tokens,
		                                     .count = pool[m].count};
		memcpy(messages[i].digest, pool[m].digest, BAYES_DIGEST_SIZE);
		enum bayes_class now = model->classes[m];
		enum bayes_class next = what == 0 ? (enum bayes_class)0 : messages[i].class;
		want[i] = what == 0     ? (now == 0 ? BAYES_NOT_LEARNT : BAYES_UNLEARNT)
		          : now == 0    ? BAYES_LEARNT
		          : now == next ? BAYES_KNOWN
		                        : BAYES_MOVED;
		model->classes[m] = next;
	}
	bool good = bayes_learn_many(store, owner, messages, count, NOW) == STORE_OK;
	for (size_t i = 0; i < count; i++) {
		good = good && messages[i].outcome == want[i];
	}
	return good;
}

static void test_random(struct store *store)
{
	static const char *const owners[] = {"random", "other@random.example"};
	struct model models[2] = {{{0}}, {{0}}};
	bool outcomes = true, same = true;
	for (int i = 0; i < 150; i++) {
		size_t owner = (size_t)(random_next() % 2);
		outcomes = random_step(store, owners[owner], &models[owner]) && outcomes;
		if (i % 10 == 9) {
			same = model_same(store, owners[0], &models[0]) && model_same(store, owners[1], &models[1]) && same;
		}
	}
	ok(outcomes, "150 random steps have the outcomes of a model");
	ok(same, "and its counts");
	for (size_t m = 0; m < MESSAGES; m++) {
		unlearn(store, owners[0], m);
	}
	models[0] = (struct model){{0}};
	ok(model_same(store, owners[0], &models[0]) && model_same(store, owners[1], &models[1]),
	   "all un-learnt: nothing is left, and the other owner has his");
}

/* ---- several processes ---- */

/* Learns and un-learns at random until it is killed, or so many times. */
static void child_main(const char *folder, const char *owner, uint64_t seed, int steps)
{
	struct store *store = open_store(folder);
	struct model ignored = {{0}};
	random_state = seed;
	for (int i = 0; steps == 0 || i < steps; i++) {
		random_step(store, owner, &ignored);
	}
	store_close(store);
	_exit(0);
}

static pid_t child_start(const char *folder, const char *owner, uint64_t seed, int steps)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		child_main(folder, owner, seed, steps);
	}
	return pid;
}

static void check_whole(const char *folder, const char *owner, const char *name)
{
	struct store *store = open_store(folder);
	struct model model;
	ok(model_read(store, owner, &model) && model_same(store, owner, &model), "%s", name);
	store_close(store);
}

static void test_processes(const char *folder)
{
	pid_t pids[3];
	int good = 0;
	for (size_t i = 0; i < 3; i++) {
		pids[i] = child_start(folder, "shared", 1000 + 77 * i, 60);
	}
	for (size_t i = 0; i < 3; i++) {
		int status;
		good += waitpid(pids[i], &status, 0) == pids[i] && status == 0;
	}
	is_int(good, 3, "three processes learn, move and un-learn the same messages at once");
	check_whole(folder, "shared", "no count is lost");
}

/* Has the owner learnt anything since? */
static bool learnt_since(struct store *store, int64_t *change)
{
	int64_t now = *change;
	uint64_t deadline = clock_now() + 60 * CLOCK_NS_PER_S;
	while (clock_now() < deadline && now < *change + 5) {
		store_counter(store, "bayes", &now);
		usleep(1000);
	}
	bool since = now >= *change + 5;
	*change = now;
	return since;
}

static void test_kill(const char *folder)
{
	int killed = 0;
	for (uint64_t i = 0; i < 5; i++) {
		pid_t pid = child_start(folder, "killed", 5000 + i, 0);
		struct store *store = open_store(folder);
		int64_t change = 0;
		int status;
		store_counter(store, "bayes", &change);
		killed += learnt_since(store, &change);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		store_close(store);
	}
	is_int(killed, 5, "one that learns is killed, five times");
	check_whole(folder, "killed", "counts and messages agree");
}

/* ---- how fast ---- */

enum { BENCH_TOKENS = 500 };

/* As in mail: a third of the tokens are common ones, a third are seen now and then, a third is new. */
static void bench_tokens(uint64_t *tokens, uint64_t message)
{
	for (size_t i = 0; i < BENCH_TOKENS; i++) {
		uint64_t kind = i % 3 == 0 ? random_next() % 3000 : i % 3 == 1 ? 3000 + random_next() % 200000 : 0;
		uint64_t x = kind != 0 ? kind : 1000000 + message * BENCH_TOKENS + i;
		x *= 0x9e3779b97f4a7c15u;
		tokens[i] = x ^ x >> 31;
	}
}

static size_t bench_unique(uint64_t *tokens)
{
	size_t n = 0;
	for (size_t i = 0; i < BENCH_TOKENS; i++) {
		bool again = false;
		for (size_t j = 0; j < n && !again; j++) {
			again = tokens[j] == tokens[i];
		}
		if (!again) {
			tokens[n++] = tokens[i];
		}
	}
	return n;
}

static void bench_learn(struct store *store, uint64_t from, uint64_t count, size_t together)
{
	struct bayes_message *messages = calloc(together, sizeof *messages);
	uint64_t *tokens = calloc(together * BENCH_TOKENS, sizeof *tokens);
	uint64_t spent = 0;
	for (uint64_t at = 0; at < count; at += together) {
		for (size_t i = 0; i < together; i++) {
			uint64_t *own = tokens + i * BENCH_TOKENS;
			uint64_t number = from + at + i;
			bench_tokens(own, number);
			messages[i] = (struct bayes_message){
			    .class = i % 2 == 0 ? BAYES_SPAM : BAYES_HAM, .version = 1, .tokens = own, .count = bench_unique(own)};
			memcpy(messages[i].digest, &number, sizeof number);
		}
		uint64_t start = clock_now();
		if (bayes_learn_many(store, "", messages, together, NOW) != STORE_OK) {
			diag("the store is not available");
			exit(1);
		}
		spent += clock_now() - start;
	}
	diag("%8llu messages, %zu at a time: %.0f a second", (unsigned long long)count, together,
	     (double)count / ((double)spent / 1e9));
	free(tokens);
	free(messages);
}

static void bench_read(struct store *store, uint64_t learnt)
{
	static const char *const owners[] = {"", "nobody@example.com"};
	static struct bayes_counts totals[2], counts[2 * BENCH_TOKENS];
	enum { READS = 300 };
	for (size_t owners_count = 1; owners_count <= 2; owners_count++) {
		uint64_t start = clock_now();
		for (uint64_t i = 0; i < READS; i++) {
			uint64_t tokens[BENCH_TOKENS];
			bench_tokens(tokens, learnt + i);
			bayes_read(store, owners, owners_count, tokens, BENCH_TOKENS, totals, counts);
		}
		diag("reading %d tokens of %zu owners: %.2f ms", BENCH_TOKENS, owners_count,
		     (double)(clock_now() - start) / READS / 1e6);
	}
}

static void bench_cache(struct store *store, uint64_t learnt)
{
	static struct bayes_counts totals, counts[BENCH_TOKENS];
	enum { READS = 20000 };
	const char *owner = "";
	uint64_t tokens[BENCH_TOKENS];
	struct bayes_cache *cache = bayes_cache_open(store, true, (uint64_t)1 << 30);
	struct bayes_cache_status status = {.owners = 0};
	uint64_t start = clock_now();
	while (status.owners == 0) {
		usleep(10000);
		bayes_cache_get_status(cache, &status);
	}
	diag("in memory after %.2f s, %.1f MB", (double)(clock_now() - start) / 1e9, (double)status.bytes / 1e6);
	bench_tokens(tokens, learnt + 1);
	start = clock_now();
	for (uint64_t i = 0; i < READS; i++) {
		bayes_cache_read(cache, &owner, 1, tokens, BENCH_TOKENS, &totals, counts);
	}
	diag("the same from memory: %.1f us", (double)(clock_now() - start) / READS / 1e3);
	bayes_cache_close(cache);
}

static void bench_owner(void *context, const struct bayes_owner *owner)
{
	(void)context;
	diag("%llu tokens, %llu of them in one message", (unsigned long long)owner->tokens,
	     (unsigned long long)owner->once);
}

static void bench_whole(struct store *store)
{
	struct bayes_walk walk = {.done = false};
	uint64_t all = 0;
	bayes_list(store, "", bench_owner, NULL);
	uint64_t start = clock_now();
	while (!walk.done) {
		uint64_t removed;
		if (bayes_expire(store, NOW + 1, NOW, &walk, &removed) != STORE_OK) {
			return;
		}
		all += removed;
	}
	diag("%llu of them forgotten in %.1f s", (unsigned long long)all, (double)(clock_now() - start) / 1e9);
}

static int bench(struct store *store, const char *folder, uint64_t count)
{
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", folder);
	bench_learn(store, 0, 64, 1);
	bench_learn(store, 64, count - count % 128, 128);
	bench_learn(store, 64 + count, 64, 1);
	bench_read(store, 128 + count);
	bench_cache(store, 128 + count);
	if (getenv("MAILREEVE_BENCH_KEEP") == NULL) {
		bench_whole(store);
	}
	store_close(store);
	return system(command);
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/bayes-suite-XXXXXX";
	char command[64];
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	pool_make();
	if (argc == 3 && strcmp(argv[1], "bench") == 0) {
		return bench(open_store(folder), folder, strtoull(argv[2], NULL, 10));
	}
	test_processes(folder);
	test_kill(folder);
	struct store *store = open_store(folder);
	test_expiry(store);
	test_outcomes(store);
	test_cache_reads(store);
	test_limits(store);
	test_owners(store);
	test_random(store);
	store_close(store);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? done_testing() : 1;
}
