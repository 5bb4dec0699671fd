/* The quarantine in the store: put in once, looked at, released once, and what ends. */
#include "lib/store/quarantine.h"
#include "t/tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW = 1800000000, KEEP = 1000, THREADS = 8, ROUNDS = 25 };

static struct store *store;
static const struct quarantine_limits limits = {.keep = KEEP};

static const struct quarantine_message plain = {
    .created = NOW,
    .queue_id = "QUEUE1",
    .support_id = "SUPPORT1",
    .direction = DIRECTION_OUTBOUND,
    .client = "192.0.2.1",
    .client_name = "client.example",
    .helo = "helo.example",
    .auth_user = "user",
    .mail_from = {"\"a b\"@Src.example", 17},
    .smtputf8 = true,
    .author = "author@src.example",
    .subject = "subject",
    .findings = "[]",
    .authres = "mx; none",
};

static struct quarantine_copy copy_for(unsigned n, const char *recipient, const char *owner)
{
	return (struct quarantine_copy){.n = n,
	                                .recipient = slice_from(recipient),
	                                .owner = owner,
	                                .verdict = "quarantine",
	                                .reason = "spf.fail",
	                                .text = "why"};
}

static enum quarantine_result put(const char *content, unsigned copies, const struct quarantine_limits *under,
                                  char *id_r)
{
	struct quarantine_copy list[] = {copy_for(1, "Bob+x@Dst.example", "bob+x@dst.example"),
	                                 copy_for(2, "eve@dst.example", "eve@dst.example")};
	return quarantine_put(store, under, &plain, list, copies, slice_from(content), id_r);
}

/* ---- looking ---- */

struct seen {
	size_t count;
	bool good;
	enum quarantine_state state;
	unsigned n;
	char note[64], by[64];
};

static bool look(void *context, const struct quarantine_message *message, const struct quarantine_copy *copy)
{
	struct seen *seen = context;
	seen->count++;
	seen->state = copy->state;
	seen->n = copy->n;
	snprintf(seen->note, sizeof seen->note, "%s", copy->note);
	snprintf(seen->by, sizeof seen->by, "%s", copy->changed_by);
	seen->good = message->created == NOW && strcmp(message->queue_id, "QUEUE1") == 0 &&
	             message->direction == DIRECTION_OUTBOUND && strcmp(message->client, "192.0.2.1") == 0 &&
	             strcmp(message->client_name, "client.example") == 0 && strcmp(message->helo, "helo.example") == 0 &&
	             strcmp(message->auth_user, "user") == 0 && slice_equal(message->mail_from, plain.mail_from) &&
	             message->smtputf8 && strcmp(message->author, "author@src.example") == 0 &&
	             strcmp(message->authres, "mx; none") == 0 && message->size > 0 &&
	             strcmp(copy->verdict, "quarantine") == 0 && strcmp(copy->reason, "spf.fail") == 0 &&
	             strcmp(copy->text, "why") == 0 && copy->expires == NOW + KEEP;
	return true;
}

static struct seen find(struct quarantine_filter filter)
{
	struct seen seen = {.count = 0};
	if (quarantine_list(store, &filter, look, &seen) != QUARANTINE_OK) {
		seen.count = SIZE_MAX;
	}
	return seen;
}

static enum quarantine_state state_of(const char *id, unsigned n)
{
	return find((struct quarantine_filter){.id = id, .copy = n}).state;
}

static void test_put(char *id_r)
{
	char id[RELEASE_MESSAGE_SIZE], again[RELEASE_MESSAGE_SIZE];
	struct slice content;
	ok(put("message one\r\n", 2, &limits, id) == QUARANTINE_OK && strlen(id) == 16, "a message for two is stored");
	struct seen seen = find((struct quarantine_filter){.id = id});
	ok(seen.count == 2 && seen.good, "both copies are there, with all that was told");
	ok(quarantine_content(store, id, &content) == QUARANTINE_OK && slice_equal(content, slice_from("message one\r\n")),
	   "and the message, byte for byte");
	free((char *)(uintptr_t)content.data);
	ok(put("message one\r\n", 2, &limits, again) == QUARANTINE_OK && again[0] == '\0',
	   "sent again it is not stored again");
	is_int((long long)find((struct quarantine_filter){.id = NULL}).count, 2, "there are two copies still");
	ok(put("message two\r\n", 1, &limits, again) == QUARANTINE_OK && again[0] != '\0', "another message is");
	ok(quarantine_content(store, "NOSUCHMESSAGE000", &content) == QUARANTINE_NONE,
	   "one that is not there has no content");
	memcpy(id_r, id, sizeof id);
}

static void test_find(const char *id)
{
	static const struct {
		struct quarantine_filter filter;
		size_t count;
		const char *why;
	} cases[] = {
	    {{.id = "SUPPORT1"}, 3, "by support id"},
	    {{.id = "QUEUE1", .copy = 2}, 1, "by queue id and copy"},
	    {{.owner = "eve@dst.example"}, 1, "by recipient"},
	    {{.owner = "@dst.example"}, 3, "by the recipients' domain"},
	    {{.owner = "@st.example"}, 0, "which is no part of a domain"},
	    {{.sender = "\"A b\"@src.EXAMPLE"}, 3, "by sender, in any letters"},
	    {{.sender = "AUTHOR@src.example"}, 3, "or author"},
	    {{.sender = "other@src.example"}, 0, "not by another"},
	    {{.state = "held"}, 3, "by state"},
	    {{.state = "released"}, 0, "none is released"},
	    {{.since = NOW}, 3, "since a time"},
	    {{.since = NOW + 1}, 0, "not since a later one"},
	    {{.before = NOW}, 0, "before a time"},
	    {{.limit = 2}, 2, "at most so many"},
	    {{.id = "' OR '1'='1"}, 0, "no text is SQL"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		is_int((long long)find(cases[i].filter).count, (long long)cases[i].count, cases[i].why);
	}
	is_int((long long)find((struct quarantine_filter){.id = id}).count, 2, "by its own id");
}

static void test_limits(void)
{
	char id[RELEASE_MESSAGE_SIZE];
	struct quarantine_limits small = limits;
	small.message_max = 5;
	ok(put("sixsix", 1, &small, id) == QUARANTINE_TOO_LARGE, "a message beyond message_max never gets in");
	small = limits;
	small.total_max = 60;
	ok(put("message for a full store", 1, &small, id) == QUARANTINE_FULL, "nor does one beyond total_max, now");
	small = limits;
	small.recipient_count = 2;
	ok(put("message for a full recipient", 1, &small, id) == QUARANTINE_FULL, "nor for a recipient who has his share");
	small.recipient_count = 3;
	ok(put("message for a recipient", 1, &small, id) == QUARANTINE_OK, "with room left it does");
	is_int((long long)find((struct quarantine_filter){.id = NULL}).count, 4,
	       "what was refused has left nothing behind");
}

/* ---- release ---- */

static struct release_token token_for(const char *id, unsigned n, unsigned nonce)
{
	struct release_token token = {.copy = n, .expires = NOW + 10};
	snprintf(token.message, sizeof token.message, "%s", id);
	snprintf(token.nonce, sizeof token.nonce, "%032x", nonce);
	return token;
}

static void test_release(const char *id)
{
	struct release_token first = token_for(id, 1, 1);
	struct release_token second = token_for(id, 1, 2);
	ok(quarantine_consume(store, &first, NOW) == QUARANTINE_NONE, "a token that no claim knows is refused");
	ok(quarantine_claim(store, &first, "anna", NOW) == QUARANTINE_OK, "anna claims a copy");
	ok(quarantine_claim(store, &second, "bert", NOW) == QUARANTINE_NONE, "bert cannot");
	ok(state_of(id, 1) == QUARANTINE_RELEASING && state_of(id, 2) == QUARANTINE_HELD, "the other copy stays held");
	ok(quarantine_delete(store, id, 1, "bert", NOW) == QUARANTINE_NONE, "nor delete it");
	ok(quarantine_settle(store, &first, false, "451 later", NOW, NULL) == QUARANTINE_OK, "the MTA does not take it");
	struct seen seen = find((struct quarantine_filter){.id = id, .copy = 1});
	ok(seen.state == QUARANTINE_HELD && strcmp(seen.note, "451 later") == 0 && strcmp(seen.by, "anna") == 0,
	   "it is held again, and says why");
	ok(quarantine_consume(store, &first, NOW) == QUARANTINE_NONE, "the token is worth nothing then");
	ok(quarantine_claim(store, &second, "bert", NOW) == QUARANTINE_OK, "now bert claims it");
	ok(quarantine_settle(store, &first, true, "", NOW, NULL) == QUARANTINE_NONE, "anna's claim has ended");
	ok(quarantine_consume(store, &first, NOW) == QUARANTINE_NONE, "and her token");
	ok(quarantine_consume(store, &second, NOW + 11) == QUARANTINE_NONE, "bert's, too late");
	ok(quarantine_consume(store, &second, NOW) == QUARANTINE_OK, "bert's, in time");
	ok(quarantine_consume(store, &second, NOW) == QUARANTINE_NONE, "but once");
	bool used = false;
	ok(quarantine_settle(store, &second, true, "", NOW, &used) == QUARANTINE_OK && used &&
	       state_of(id, 1) == QUARANTINE_RELEASED,
	   "it is released");
	ok(quarantine_claim(store, &first, "anna", NOW) == QUARANTINE_NONE, "and never again");
}

static void test_broken_off(void)
{
	char id[RELEASE_MESSAGE_SIZE];
	uint64_t expired;
	put("broken off", 2, &limits, id);
	struct release_token unused = token_for(id, 1, 3);
	struct release_token used = token_for(id, 2, 4);
	struct release_token next = token_for(id, 1, 5);
	quarantine_claim(store, &unused, "anna", NOW);
	quarantine_claim(store, &used, "anna", NOW);
	quarantine_consume(store, &used, NOW);
	next.expires = NOW + 100;
	ok(quarantine_claim(store, &next, "bert", NOW + 60) == QUARANTINE_NONE,
	   "a claim holds as long as its token may be used");
	quarantine_expire(store, NOW + 71, KEEP, &expired);
	ok(expired == 0 && state_of(id, 1) == QUARANTINE_HELD, "broken off before the gate: held again");
	ok(state_of(id, 2) == QUARANTINE_RELEASED, "broken off behind it: released");
	quarantine_claim(store, &unused, "anna", NOW);
	ok(quarantine_claim(store, &next, "bert", NOW + 71) == QUARANTINE_OK, "a claim that ran out can be taken over");
	quarantine_settle(store, &next, true, "", NOW, NULL);
}

/* ---- the end ---- */

static void test_end(void)
{
	char id[RELEASE_MESSAGE_SIZE];
	struct slice content;
	struct quarantine_stats stats;
	uint64_t expired;
	put("deleted", 2, &limits, id);
	ok(quarantine_delete(store, id, 1, "anna", NOW) == QUARANTINE_OK, "a copy is deleted");
	ok(quarantine_content(store, id, &content) == QUARANTINE_OK, "the other one needs the message still");
	free((char *)(uintptr_t)content.data);
	ok(quarantine_delete(store, id, 2, "anna", NOW) == QUARANTINE_OK &&
	       quarantine_content(store, id, &content) == QUARANTINE_NONE,
	   "with the last copy it goes");
	is_int((long long)find((struct quarantine_filter){.id = id, .state = "deleted"}).count, 2, "the record stays");
	quarantine_stats(store, &stats);
	ok(stats.copies[QUARANTINE_HELD] == 3 && stats.copies[QUARANTINE_RELEASED] == 3 &&
	       stats.copies[QUARANTINE_DELETED] == 2 && stats.messages == 4 && stats.stored > 0 && stats.oldest == NOW,
	   "stats");
	ok(quarantine_expire(store, NOW + KEEP - 1, KEEP, &expired) == QUARANTINE_OK && expired == 0, "nothing is due yet");
	ok(quarantine_expire(store, NOW + KEEP, KEEP, &expired) == QUARANTINE_OK && expired == 3,
	   "then all that was held expires");
	quarantine_stats(store, &stats);
	ok(stats.messages == 0 && stats.stored == 0 && stats.copies[QUARANTINE_EXPIRED] == 3, "and no message is left");
	quarantine_expire(store, NOW + 2 * KEEP, KEEP, &expired);
	is_int((long long)find((struct quarantine_filter){.id = NULL}).count, 0, "the records go after as long again");
}

static void test_key(void)
{
	unsigned char key[RELEASE_KEY_SIZE], again[RELEASE_KEY_SIZE];
	static const unsigned char none[RELEASE_KEY_SIZE];
	ok(quarantine_key(store, key) == QUARANTINE_OK && memcmp(key, none, sizeof key) != 0, "a key is made");
	ok(quarantine_key(store, again) == QUARANTINE_OK && memcmp(key, again, sizeof key) == 0, "and stays");
}

/* ---- many at once ---- */

static atomic_int claimed, consumed, stored;
static char shared[ROUNDS][RELEASE_MESSAGE_SIZE];

static void *at_once(void *argument)
{
	unsigned self = *(unsigned *)argument;
	char id[RELEASE_MESSAGE_SIZE], text[32];
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct release_token token = token_for(shared[round], 1, 1000 * self + round);
		if (quarantine_claim(store, &token, "x", NOW) == QUARANTINE_OK) {
			atomic_fetch_add(&claimed, 1);
			if (quarantine_consume(store, &token, NOW) == QUARANTINE_OK) {
				atomic_fetch_add(&consumed, 1);
			}
		}
		/* Two threads each bring the same message. */
		snprintf(text, sizeof text, "shared %u %u", self / 2, round);
		if (put(text, 2, &limits, id) == QUARANTINE_OK && id[0] != '\0') {
			atomic_fetch_add(&stored, 1);
		}
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	unsigned numbers[THREADS];
	char text[32];
	for (unsigned round = 0; round < ROUNDS; round++) {
		snprintf(text, sizeof text, "claimed %u", round);
		put(text, 1, &limits, shared[round]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, at_once, &numbers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	is_int(claimed, ROUNDS, "eight who release at once: each copy is claimed once");
	is_int(consumed, ROUNDS, "and passes the gate once");
	is_int(stored, ROUNDS * THREADS / 2, "the same message from two threads is stored once");
	is_int((long long)find((struct quarantine_filter){.state = "held"}).count, ROUNDS * THREADS,
	       "with both its copies");
}

int main(void)
{
	char folder[] = "/tmp/mailreeve-quarantine.XXXXXX";
	char location[64], spill[64], command[128], id[RELEASE_MESSAGE_SIZE];
	char *error = NULL;
	if (mkdtemp(folder) == NULL) {
		return 1;
	}
	snprintf(location, sizeof location, "sqlite:%s/store.db", folder);
	snprintf(spill, sizeof spill, "%s/spill", folder);
	const struct store_options options = {.location = location,
	                                      .timeout = 20000000000,
	                                      .migrate = true,
	                                      .connections = 4,
	                                      .spill_dir = spill,
	                                      .spill_max = 1 << 20};
	store = store_open(&options, STORE_MIGRATE, &error);
	if (store == NULL) {
		diag("%s", error);
		return 1;
	}
	test_put(id);
	test_find(id);
	test_limits();
	test_release(id);
	test_broken_off();
	test_end();
	test_key();
	test_threads();
	store_close(store);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) != 0 ? 1 : done_testing();
}
