/* What counts as the same content, how often it may fail, and what is forgotten; and the memory of all messages. */
#include "lib/base/clock.h"
#include "lib/inspect/poison.h"
#include "t/tap.h"

#include <unistd.h>

static struct arena *arena;

static struct message *load(const char *text)
{
	struct message_settings settings = {.memory_max = 1 << 20,
	                                    .size_max = 1 << 20,
	                                    .spool_dir = "/tmp",
	                                    .headers = {.max_count = 100, .max_bytes = 65536}};
	struct message *message = message_create(arena, &settings);
	message_load(message, slice_from(text));
	return message;
}

static const char first[] = "Received: from a\r\nFrom: a@example.com\r\nSubject: s\r\nMessage-ID: <1@example.com>\r\n"
                            "Content-Type: text/plain\r\n\r\nbody\r\n";

static bool is_poison(struct poison *poison, const char *text, uint64_t now)
{
	struct message *message = load(text);
	bool is = poison_is(poison, message, now);
	message_destroy(message);
	return is;
}

static bool count(struct poison *poison, const char *text, uint64_t now)
{
	struct message *message = load(text);
	bool last = poison_count(poison, message, now);
	message_destroy(message);
	return last;
}

static void test_content(void)
{
	static const struct {
		const char *text;
		bool same;
		const char *name;
	} rows[] = {
	    {first, true, "the same"},
	    {"Received: from b\r\nReceived: from a\r\nX-Spam: no\r\nDKIM-Signature: v=1\r\nFrom: a@example.com\r\n"
	     "Subject: s\r\nMessage-ID: <1@example.com>\r\nContent-Type: text/plain\r\n\r\nbody\r\n",
	     true, "another way here: trace, signatures and what a hop adds"},
	    {"Received: from a\r\nFrom: a@example.com\r\nSubject: s\r\nMessage-ID: <1@example.com>\r\n"
	     "Content-Type: text/plain\r\n\r\nbody2\r\n",
	     false, "another body"},
	    {"Received: from a\r\nFrom: a@example.com\r\nSubject: s\r\nMessage-ID: <2@example.com>\r\n"
	     "Content-Type: text/plain\r\n\r\nbody\r\n",
	     false, "another Message-ID"},
	    {"Received: from a\r\nFrom: a@example.com\r\nSubject: s\r\nMessage-ID: <1@example.com>\r\n"
	     "Content-Type: text/html\r\n\r\nbody\r\n",
	     false, "another Content-Type"},
	    {"Received: from a\r\nFrom: a@example.com\r\nSubject: s\r\nMessage-ID: <1@example.com>\r\n"
	     "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nbody\r\n",
	     false, "an encoding more"},
	};
	struct poison *poison = poison_create();
	ok(!is_poison(poison, first, 1), "nothing has failed");
	ok(!count(poison, first, 1), "the first failure");
	ok(!is_poison(poison, first, 2), "is borne");
	ok(count(poison, first, 2), "the second is the last");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ok(is_poison(poison, rows[i].text, 3) == rows[i].same, "%s: %s", rows[i].name,
		   rows[i].same ? "the same content" : "other content");
	}
	poison_destroy(poison);
}

static void test_time(void)
{
	const uint64_t day = POISON_SECONDS * CLOCK_NS_PER_S;
	struct poison *poison = poison_create();
	count(poison, first, 1);
	ok(!count(poison, first, 1 + day), "a failure of a day ago is forgotten");
	ok(count(poison, first, day + day / 2), "one of half a day ago is not");
	ok(is_poison(poison, first, day * 2), "and the day begins anew with it");
	ok(!is_poison(poison, first, day * 3), "until it is over");
	is_int((long long)poison_size(poison), 0, "then nothing is left");
	poison_destroy(poison);
}

static void test_bound(void)
{
	struct poison *poison = poison_create();
	count(poison, first, 1);
	count(poison, first, 2);
	for (uint64_t i = 0; i < POISON_MAX; i++) {
		count(poison, arena_printf(arena, "Subject: %llu\r\n\r\nx\r\n", (unsigned long long)i), 10 + i);
		arena_reset(arena);
	}
	is_int((long long)poison_size(poison), POISON_MAX, "the table is full");
	ok(!is_poison(poison, first, 10), "the oldest gave way");
	count(poison, "Subject: 4095\r\n\r\nx\r\n", 10 + POISON_MAX);
	ok(is_poison(poison, "Subject: 4095\r\n\r\nx\r\n", 10 + POISON_MAX), "the newest is there");
	poison_destroy(poison);
}

/* ---- the memory of all messages ---- */

static struct message *open_message(struct message_budget *budget, uint64_t most)
{
	struct message_settings settings = {.memory_max = 1 << 20,
	                                    .size_max = 1 << 24,
	                                    .spool_dir = "/tmp",
	                                    .headers = {.max_count = 100, .max_bytes = 65536},
	                                    .budget = budget,
	                                    .budget_max = most};
	struct message *message = message_create(arena, &settings);
	message_add_header(message, SLICE_LITERAL("Subject"), SLICE_LITERAL(" x"));
	message_end_headers(message);
	return message;
}

static void test_budget(void)
{
	static char body[600000];
	const uint64_t most = 1000000;
	struct message_budget budget = {0};
	struct message *one = open_message(&budget, most);
	struct message *two = open_message(&budget, most);
	memset(body, 'x', sizeof body);
	ok(message_add_body(one, body, sizeof body) == MESSAGE_OK && message_seal(one) == MESSAGE_OK, "one message");
	ok(!message_spooled(one) && budget.used == message_size(one), "is in memory, and counted to the byte");
	ok(message_add_body(two, body, sizeof body) == MESSAGE_OK && message_seal(two) == MESSAGE_OK, "a second");
	ok(message_spooled(two) && budget.used == message_size(one),
	   "for which there is no room is in a file, and costs nothing");
	char byte = 0;
	ok(pread(message_fd(two), &byte, 1, (off_t)message_size(two) - 1) == 1 && byte == 'x', "nothing of it is lost");
	message_destroy(one);
	is_int((long long)budget.used, 0, "what a message had is given back");
	struct message *three = open_message(&budget, most);
	message_add_body(three, body, sizeof body);
	message_add_body(three, body, sizeof body);
	message_seal(three);
	ok(message_spooled(three) && budget.used == 0, "one that grows beyond it moves, and gives back what it had");
	message_destroy(two);
	message_destroy(three);
	is_int((long long)budget.used, 0, "in the end nothing is counted");
}

int main(void)
{
	arena = arena_create(1 << 20);
	test_content();
	test_time();
	test_bound();
	test_budget();
	arena_destroy(arena);
	return done_testing();
}
