#include "lib/store/bayes_private.h"

#include <stdlib.h>

/* What is to be learnt is compared with what is there before the transaction, and everything that follows is worked out
 * here: the difference for each token, over all messages of the transaction. Within the transaction, when the counter's
 * row is ours, the row of bayes_change is only made if those messages are still as they were; all other statements
 * change something only if that row is there. Else nothing happens, and it begins again. */

enum {
	TOGETHER_MAX = 128,       /* messages of a transaction */
	TOGETHER_TOKENS = 131072, /* and their tokens; one message may have more than that only by itself */
	CHANGE_TOKENS_MAX = 8192, /* that caches are told of one by one */
	CHUNK_TOKENS = 4096,      /* of a statement */
	RECORD_SIZE = 12,         /* of a token and its differences */
	DIFFERENCE_ZERO = 32768,
	ATTEMPTS = 16
};

#define STILL_SO "EXISTS (SELECT 1 FROM bayes_change WHERE change = " BAYES_NOW_CHANGE ")"

/* $1: owner  $2: digests  $3: how many  $4: the class that each is to have, a byte; 0: none */
static const char sql_state[] = BAYES_NUMBERS(
    "$3") "SELECT n.i, l.class, l.version, CASE WHEN l.class <> get_byte($4, n.i) THEN l.tokens END"
          " FROM n CROSS JOIN bayes_learnt l WHERE l.owner = $1 AND l.digest = substr($2, n.i * 32 + 1, 32)";

/* $1: owner  $2: digests  $3: how many  $4: now  $5: tokens  $6: how many are there  $7: counter when they were read */
static const char sql_guard[] =
    BAYES_NUMBERS("$3") "INSERT INTO bayes_change (change, owner, time, tokens)"
                        " SELECT " BAYES_NOW_CHANGE ", $1, $4, $5"
                        " WHERE $6 = (SELECT count(*) FROM n CROSS JOIN bayes_learnt l"
                        " WHERE l.owner = $1 AND l.digest = substr($2, n.i * 32 + 1, 32) AND l.change <= $7)"
                        " AND $6 = (SELECT count(*) FROM n CROSS JOIN bayes_learnt l"
                        " WHERE l.owner = $1 AND l.digest = substr($2, n.i * 32 + 1, 32))"
                        " RETURNING change";

/* $1: owner  $2: digests  $3: how many */
static const char sql_remove[] = BAYES_NUMBERS("$3") "DELETE FROM bayes_learnt WHERE owner = $1 AND digest IN"
                                                     " (SELECT substr($2, n.i * 32 + 1, 32) FROM n) AND " STILL_SO;

static const char sql_insert[] = "INSERT INTO bayes_learnt (owner, digest, class, time, version, change, tokens)"
                                 " SELECT $1, $2, $3, $4, $5, " BAYES_NOW_CHANGE ", $6 WHERE " STILL_SO;

/* $1: owner  $2: records: token, difference of spam, of ham  $3: how many  $4: now */
#define DIFFERENCE(at) "get_byte($2, n.i * 12 + " at ") * 256 + get_byte($2, n.i * 12 + " at " + 1) - 32768"
static const char sql_tokens[] = BAYES_NUMBERS(
    "$3") "INSERT INTO bayes_token (owner, token, spam, ham, seen)"
          " SELECT $1, substr($2, n.i * 12 + 1, 8), " DIFFERENCE("8") ", " DIFFERENCE(
              "10") ", $4"
                    " FROM n WHERE " STILL_SO " ON CONFLICT (owner, token) DO UPDATE SET"
                    " spam = bayes_token.spam + EXCLUDED.spam, ham = bayes_token.ham + EXCLUDED.ham,"
                    " seen = CASE WHEN bayes_token.seen > EXCLUDED.seen THEN bayes_token.seen ELSE EXCLUDED.seen END";

/* Behind it where something was taken off: tokens that no message has, and (a clock that was set back may have let
 * them expire too soon) those that would have less than none. */
static const char sql_sweep[] =
    BAYES_NUMBERS("$3") "DELETE FROM bayes_token WHERE owner = $1 AND spam <= 0 AND ham <= 0 AND token IN"
                        " (SELECT substr($2, n.i * 12 + 1, 8) FROM n) AND " STILL_SO;
static const char sql_clamp[] =
    BAYES_NUMBERS("$3") "UPDATE bayes_token SET spam = CASE WHEN spam < 0 THEN 0 ELSE spam END, "
                        "ham = CASE WHEN ham < 0 THEN 0 ELSE ham END"
                        " WHERE owner = $1 AND (spam < 0 OR ham < 0) AND token IN"
                        " (SELECT substr($2, n.i * 12 + 1, 8) FROM n) AND " STILL_SO;

/* $1: owner  $2, $3: differences  $4: now */
static const char sql_owner[] =
    "INSERT INTO bayes_owner (owner, spam, ham, changed) SELECT $1, $2, $3, $4 WHERE " STILL_SO
    " ON CONFLICT (owner) DO UPDATE SET spam = bayes_owner.spam + EXCLUDED.spam,"
    " ham = bayes_owner.ham + EXCLUDED.ham, changed = EXCLUDED.changed";

struct state {
	enum bayes_class class; /* 0: not learnt */
	uint32_t version;
	struct slice tokens; /* where the class is not the one that is wanted */
};

struct difference {
	uint64_t token;
	int spam, ham;
};

struct writing {
	struct store *store;
	const char *owner;
	struct bayes_message *messages;
	size_t count;
	int64_t now;

	struct arena *arena;
	char *digests; /* of all */
	struct state *states;
	size_t there; /* how many are learnt */
	int64_t change;
	enum bayes_outcome *outcomes;
	struct difference *differences;
	size_t difference_count, difference_room;
	int64_t spam, ham; /* differences of messages */
	bool takes_off;
	struct store_statement *statements;
	size_t statement_count;
	bool done;
};

/* ---- what is there ---- */

static bool state_row(void *context, const struct store_value *columns, size_t count)
{
	struct writing *writing = context;
	size_t i = (size_t)columns[0].integer;
	if (count == 4 && i < writing->count) {
		struct state *state = &writing->states[i];
		struct slice tokens = columns[3].bytes;
		state->class = (enum bayes_class)columns[1].integer;
		state->version = (uint32_t)columns[2].integer;
		state->tokens = (struct slice){arena_memdup(writing->arena, tokens.data, tokens.len), tokens.len};
		writing->there++;
	}
	return true;
}

static enum store_result read_states(struct writing *writing)
{
	char *classes = arena_alloc(writing->arena, writing->count);
	writing->digests = arena_alloc(writing->arena, writing->count * BAYES_DIGEST_SIZE);
	writing->states = arena_alloc(writing->arena, writing->count * sizeof *writing->states);
	for (size_t i = 0; i < writing->count; i++) {
		const struct bayes_message *message = &writing->messages[i];
		memcpy(writing->digests + i * BAYES_DIGEST_SIZE, message->digest, BAYES_DIGEST_SIZE);
		classes[i] = message->unlearn ? 0 : (char)message->class;
	}
	const struct store_value values[] = {store_text(writing->owner),
	                                     store_blob(writing->digests, writing->count * BAYES_DIGEST_SIZE),
	                                     store_integer((int64_t)writing->count), store_blob(classes, writing->count)};
	/* The counter first: what is changed in between has a greater one. */
	enum store_result result = store_counter(writing->store, "bayes", &writing->change);
	return result != STORE_OK ? result : store_query(writing->store, sql_state, values, 4, state_row, writing);
}

/* ---- what is to change ---- */

static void add_difference(struct writing *writing, uint64_t token, enum bayes_class class, int by)
{
	writing->differences = arena_grow(writing->arena, writing->differences, sizeof *writing->differences,
	                                  writing->difference_count, &writing->difference_room);
	writing->differences[writing->difference_count++] =
	    (struct difference){.token = token, .spam = class == BAYES_SPAM ? by : 0, .ham = class == BAYES_HAM ? by : 0};
}

static void add_total(struct writing *writing, enum bayes_class class, int by)
{
	*(class == BAYES_SPAM ? &writing->spam : &writing->ham) += by;
}

static void take_off(struct writing *writing, const struct state *state)
{
	writing->takes_off = true;
	add_total(writing, state->class, -1);
	for (size_t at = 0; at + 8 <= state->tokens.len; at += 8) {
		add_difference(writing, bayes_take_token(state->tokens.data + at), state->class, -1);
	}
}

static int compare_tokens(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

static struct store_statement *add_statement(struct writing *writing, const char *sql, size_t count,
                                             struct store_value **values_r)
{
	struct store_statement *statement = &writing->statements[writing->statement_count++];
	*values_r = arena_alloc(writing->arena, count * sizeof **values_r);
	*statement = (struct store_statement){.sql = sql, .values = *values_r, .count = count};
	return statement;
}

static void add_learnt(struct writing *writing, const struct bayes_message *message)
{
	uint64_t *sorted = arena_alloc(writing->arena, message->count * sizeof *sorted);
	char *bytes = arena_alloc(writing->arena, message->count * 8);
	struct store_value *values;
	if (message->count > 0) {
		memcpy(sorted, message->tokens, message->count * sizeof *sorted);
		qsort(sorted, message->count, sizeof *sorted, compare_tokens);
	}
	bayes_put_tokens(sorted, message->count, bytes);
	for (size_t i = 0; i < message->count; i++) {
		add_difference(writing, sorted[i], message->class, 1);
	}
	add_total(writing, message->class, 1);
	add_statement(writing, sql_insert, 6, &values);
	values[0] = store_text(writing->owner);
	values[1] = store_blob(message->digest, BAYES_DIGEST_SIZE);
	values[2] = store_integer(message->class);
	values[3] = store_integer(writing->now);
	values[4] = store_integer(message->version);
	values[5] = store_blob(bytes, message->count * 8);
}

static enum bayes_outcome message_outcome(const struct bayes_message *message, const struct state *state)
{
	if (state->class == 0) {
		return message->unlearn ? BAYES_NOT_LEARNT : BAYES_LEARNT;
	}
	if (!message->unlearn && (message->only_new || state->class == message->class)) {
		return BAYES_KNOWN;
	}
	if (state->version == 0) {
		return BAYES_FORGOTTEN;
	}
	return message->unlearn ? BAYES_UNLEARNT : BAYES_MOVED;
}

/* The same token of several messages becomes one difference; ascending, as the rows lie. */
static void join_differences(struct writing *writing)
{
	size_t n = 0;
	if (writing->difference_count > 0) {
		qsort(writing->differences, writing->difference_count, sizeof *writing->differences, compare_tokens);
	}
	for (size_t i = 0; i < writing->difference_count; i++) {
		const struct difference *next = &writing->differences[i];
		struct difference *last = n == 0 ? NULL : &writing->differences[n - 1];
		if (last != NULL && last->token == next->token) {
			last->spam += next->spam;
			last->ham += next->ham;
		} else {
			writing->differences[n++] = *next;
		}
	}
	writing->difference_count = n;
}

/* ---- the statements ---- */

static void put_difference(char *at, int difference)
{
	unsigned number = (unsigned)(difference + DIFFERENCE_ZERO);
	at[0] = (char)(number >> 8);
	at[1] = (char)(number & 0xff);
}

static void add_chunk(struct writing *writing, const char *sql, const char *records, size_t count)
{
	struct store_value *values;
	struct store_statement *statement = add_statement(writing, sql, 4, &values);
	values[0] = store_text(writing->owner);
	values[1] = store_blob(records, count * RECORD_SIZE);
	values[2] = store_integer((int64_t)count);
	values[3] = store_integer(writing->now);
	statement->count = sql == sql_tokens ? 4 : 3;
}

static void add_tokens(struct writing *writing)
{
	for (size_t from = 0; from < writing->difference_count; from += CHUNK_TOKENS) {
		size_t left = writing->difference_count - from;
		size_t count = left < CHUNK_TOKENS ? left : CHUNK_TOKENS;
		char *records = arena_alloc(writing->arena, count * RECORD_SIZE);
		for (size_t i = 0; i < count; i++) {
			const struct difference *difference = &writing->differences[from + i];
			bayes_put_token(difference->token, records + i * RECORD_SIZE);
			put_difference(records + i * RECORD_SIZE + 8, difference->spam);
			put_difference(records + i * RECORD_SIZE + 10, difference->ham);
		}
		add_chunk(writing, sql_tokens, records, count);
		if (writing->takes_off) {
			add_chunk(writing, sql_sweep, records, count);
			add_chunk(writing, sql_clamp, records, count);
		}
	}
}

static void fill_guard(struct writing *writing, struct store_value *values)
{
	bool told = writing->difference_count <= CHANGE_TOKENS_MAX && writing->difference_count > 0;
	size_t count = told ? writing->difference_count : 0;
	char *tokens = arena_alloc(writing->arena, count * 8);
	for (size_t i = 0; i < count; i++) {
		bayes_put_token(writing->differences[i].token, tokens + i * 8);
	}
	values[0] = store_text(writing->owner);
	values[1] = store_blob(writing->digests, writing->count * BAYES_DIGEST_SIZE);
	values[2] = store_integer((int64_t)writing->count);
	values[3] = store_integer(writing->now);
	values[4] = store_blob(tokens, count * 8);
	values[5] = store_integer((int64_t)writing->there);
	values[6] = store_integer(writing->change);
}

/* False: nothing changes. */
static bool make_statements(struct writing *writing)
{
	static const struct store_value subject = {.type = STORE_TEXT, .bytes = SLICE_LITERAL("bayes")};
	size_t chunks = writing->count * (BAYES_TOKENS_MAX * 2 / CHUNK_TOKENS) + 1;
	struct store_value *guard, *removed, *owner;
	char *digests = arena_alloc(writing->arena, writing->count * BAYES_DIGEST_SIZE);
	size_t gone = 0;
	writing->outcomes = arena_alloc(writing->arena, writing->count * sizeof *writing->outcomes);
	writing->statements = arena_alloc(writing->arena, (4 + writing->count + 3 * chunks) * sizeof *writing->statements);
	writing->statements[writing->statement_count++] = store_bump(&subject);
	add_statement(writing, sql_guard, 7, &guard);
	add_statement(writing, sql_remove, 3, &removed);
	for (size_t i = 0; i < writing->count; i++) {
		enum bayes_outcome outcome = message_outcome(&writing->messages[i], &writing->states[i]);
		writing->outcomes[i] = outcome;
		if (outcome == BAYES_MOVED || outcome == BAYES_UNLEARNT) {
			take_off(writing, &writing->states[i]);
			memcpy(digests + gone++ * BAYES_DIGEST_SIZE, writing->messages[i].digest, BAYES_DIGEST_SIZE);
		}
		if (outcome == BAYES_LEARNT || outcome == BAYES_MOVED) {
			add_learnt(writing, &writing->messages[i]);
		}
	}
	removed[0] = store_text(writing->owner);
	removed[1] = store_blob(digests, gone * BAYES_DIGEST_SIZE);
	removed[2] = store_integer((int64_t)gone);
	join_differences(writing);
	fill_guard(writing, guard);
	add_tokens(writing);
	add_statement(writing, sql_owner, 4, &owner);
	owner[0] = store_text(writing->owner);
	owner[1] = store_integer(writing->spam);
	owner[2] = store_integer(writing->ham);
	owner[3] = store_integer(writing->now);
	return gone > 0 || writing->spam > 0 || writing->ham > 0;
}

static bool guard_row(void *context, const struct store_value *columns, size_t count)
{
	(void)columns, (void)count;
	*(bool *)context = true;
	return true;
}

/* One attempt; *done_r false with STORE_OK: another learner was quicker. */
static enum store_result write_once(struct writing *writing)
{
	enum store_result result = read_states(writing);
	if (result != STORE_OK) {
		return result;
	}
	if (make_statements(writing)) {
		result = store_write(writing->store, writing->statements, writing->statement_count, STORE_DURABLE, guard_row,
		                     &writing->done);
	} else {
		writing->done = true;
	}
	for (size_t i = 0; i < writing->count && result == STORE_OK && writing->done; i++) {
		writing->messages[i].outcome = writing->outcomes[i];
	}
	return result;
}

/* Different digests, one transaction. */
static enum store_result write_together(struct store *store, const char *owner, struct bayes_message *messages,
                                        size_t count, int64_t now)
{
	enum store_result result = STORE_OK;
	bool done = false;
	for (int i = 0; i < ATTEMPTS && result == STORE_OK && !done; i++) {
		struct writing writing = {.store = store,
		                          .owner = owner,
		                          .messages = messages,
		                          .count = count,
		                          .now = now,
		                          .arena = arena_create(65536)};
		result = write_once(&writing);
		done = writing.done;
		arena_destroy(writing.arena);
	}
	return result == STORE_OK && !done ? STORE_UNAVAILABLE : result;
}

/* ---- many ---- */

static bool message_good(const struct bayes_message *message)
{
	return message->unlearn || ((message->class == BAYES_HAM || message->class == BAYES_SPAM) && message->version > 0 &&
	                            message->version <= BAYES_VERSION_MAX && message->count <= BAYES_TOKENS_MAX);
}

static bool comes_again(const struct bayes_message *messages, size_t count, const uint8_t *digest)
{
	for (size_t i = 0; i < count; i++) {
		if (memcmp(messages[i].digest, digest, BAYES_DIGEST_SIZE) == 0) {
			return true;
		}
	}
	return false;
}

/* How many of them go into one transaction. */
static size_t together_count(const struct bayes_message *messages, size_t count)
{
	size_t n = 0;
	size_t tokens = 0;
	while (n < count && n < TOGETHER_MAX && !comes_again(messages, n, messages[n].digest)) {
		tokens += messages[n].unlearn ? BAYES_TOKENS_MAX : messages[n].count;
		if (n > 0 && tokens > TOGETHER_TOKENS) {
			break;
		}
		n++;
	}
	return n;
}

enum store_result bayes_learn_many(struct store *store, const char *owner, struct bayes_message *messages, size_t count,
                                   int64_t now)
{
	bool good = strlen(owner) <= BAYES_OWNER_MAX;
	for (size_t i = 0; i < count; i++) {
		messages[i].outcome = BAYES_NOT_WRITTEN;
		good = good && message_good(&messages[i]);
	}
	enum store_result result = good ? STORE_OK : STORE_REFUSED;
	for (size_t from = 0, n; from < count && result == STORE_OK; from += n) {
		n = together_count(messages + from, count - from);
		result = write_together(store, owner, messages + from, n, now);
	}
	return result;
}

enum store_result bayes_learn(struct store *store, const char *owner, enum bayes_class class, const uint8_t *digest,
                              uint32_t version, const uint64_t *tokens, size_t count, int64_t now,
                              enum bayes_outcome *outcome_r)
{
	struct bayes_message message = {.class = class, .version = version, .tokens = tokens, .count = count};
	memcpy(message.digest, digest, sizeof message.digest);
	enum store_result result = bayes_learn_many(store, owner, &message, 1, now);
	*outcome_r = message.outcome;
	return result;
}

enum store_result bayes_unlearn(struct store *store, const char *owner, const uint8_t *digest, int64_t now,
                                enum bayes_outcome *outcome_r)
{
	struct bayes_message message = {.unlearn = true};
	memcpy(message.digest, digest, sizeof message.digest);
	enum store_result result = bayes_learn_many(store, owner, &message, 1, now);
	*outcome_r = message.outcome;
	return result;
}
