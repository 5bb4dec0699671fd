/* Limits as operators write them, what they come to, and what is refused; what makes mail suspicious to greylisting. */
#include "lib/pipeline/client_key.h"
#include "lib/pipeline/greylist_cause.h"
#include "lib/policy/rate_rule.h"
#include "t/tap.h"

#define SECOND UINT64_C(1000000000)
#define HOUR (3600 * SECOND)

struct good_case {
	const char *text, *canonical, *name;
	enum rate_subject subject;
	enum rate_unit unit;
	uint64_t amount, burst, period, lock;
	bool inbound, outbound;
};

static const struct good_case good[] = {
    {"client 60/1m", "client 60/1m", NULL, RATE_CLIENT, RATE_MESSAGES, 60, 60, 60 * SECOND, 0, true, true},
    {"  CLIENT   60/1M ", "client 60/1m", NULL, RATE_CLIENT, RATE_MESSAGES, 60, 60, 60 * SECOND, 0, true, true},
    {"client 60/60s", "client 60/1m", NULL, RATE_CLIENT, RATE_MESSAGES, 60, 60, 60 * SECOND, 0, true, true},
    {"client 60/m", "client 60/1m", NULL, RATE_CLIENT, RATE_MESSAGES, 60, 60, 60 * SECOND, 0, true, true},
    {"client 60/1m messages", "client 60/1m", NULL, RATE_CLIENT, RATE_MESSAGES, 60, 60, 60 * SECOND, 0, true, true},
    {"inbound client 60/1m", "client 60/1m", NULL, RATE_CLIENT, RATE_MESSAGES, 60, 60, 60 * SECOND, 0, true, false},
    {"outbound network 9/1h", "network 9/1h", NULL, RATE_NETWORK, RATE_MESSAGES, 9, 9, HOUR, 0, false, true},
    {"user 100/1h burst 200", "user 100/1h burst 200", NULL, RATE_USER, RATE_MESSAGES, 100, 200, HOUR, 0, false, true},
    {"user 100/1h burst 100", "user 100/1h", NULL, RATE_USER, RATE_MESSAGES, 100, 100, HOUR, 0, false, true},
    {"user 100/1h burst 5", "user 100/1h burst 5", NULL, RATE_USER, RATE_MESSAGES, 100, 5, HOUR, 0, false, true},
    {"user 500/1d recipients", "user 500/1d recipients", NULL, RATE_USER, RATE_RECIPIENTS, 500, 500, 24 * HOUR, 0,
     false, true},
    {"user 500/1d lock 4h distinct", "user 500/1d distinct lock 4h", NULL, RATE_USER, RATE_DISTINCT, 500, 500,
     24 * HOUR, 4 * HOUR, false, true},
    {"user 3/1h countries lock h", "user 3/1h countries lock 1h", NULL, RATE_USER, RATE_COUNTRIES, 3, 3, HOUR, HOUR,
     false, true},
    {"user 5/1h networks", "user 5/1h networks", NULL, RATE_USER, RATE_NETWORKS, 5, 5, HOUR, 0, false, true},
    {"client 20/1h failures", "client 20/1h failures", NULL, RATE_CLIENT, RATE_FAILURES, 20, 20, HOUR, 0, true, true},
    {"user 1G/1d bytes burst 2G", "user 1G/1d bytes burst 2G", NULL, RATE_USER, RATE_BYTES, UINT64_C(1) << 30,
     UINT64_C(2) << 30, 24 * HOUR, 0, false, true},
    {"user:Anna 9/1h", "user:anna 9/1h", "anna", RATE_USER, RATE_MESSAGES, 9, 9, HOUR, 0, false, true},
    {"user:anna@Example.org 9/1h", "user:anna@example.org 9/1h", "anna@example.org", RATE_USER, RATE_MESSAGES, 9, 9,
     HOUR, 0, false, true},
    {"News@Example.ORG 50/1h", "news@example.org 50/1h", "news@example.org", RATE_SENDER, RATE_MESSAGES, 50, 50, HOUR,
     0, true, true},
    {"@Example.ORG 50/1h", "@example.org 50/1h", "example.org", RATE_SENDER_DOMAIN, RATE_MESSAGES, 50, 50, HOUR, 0,
     true, true},
    {"@b\xc3\xbc"
     "cher.example 50/1h",
     "@xn--bcher-kva.example 50/1h", "xn--bcher-kva.example", RATE_SENDER_DOMAIN, RATE_MESSAGES, 50, 50, HOUR, 0, true,
     true},
    {"192.0.2.0/24 1000/1h", "192.0.2.0/24 1000/1h", "192.0.2.0/24", RATE_CLIENT, RATE_MESSAGES, 1000, 1000, HOUR, 0,
     true, true},
    {"2001:DB8::/32 7/1s", "2001:db8::/32 7/1s", "2001:db8::/32", RATE_CLIENT, RATE_MESSAGES, 7, 7, SECOND, 0, true,
     true},
    {"192.0.2.1 1000/1h", "192.0.2.1/32 1000/1h", "192.0.2.1/32", RATE_CLIENT, RATE_MESSAGES, 1000, 1000, HOUR, 0, true,
     true},
    {"recipient 100/31d", "recipient 100/31d", NULL, RATE_RECIPIENT, RATE_MESSAGES, 100, 100, 31 * 24 * HOUR, 0, true,
     true},
    {"recipient_domain 100/1h bytes", "recipient_domain 100/1h bytes", NULL, RATE_RECIPIENT_DOMAIN, RATE_BYTES, 100,
     100, HOUR, 0, true, true},
    {"sender_domain 1/1h burst 1000", "sender_domain 1/1h burst 1000", NULL, RATE_SENDER_DOMAIN, RATE_MESSAGES, 1, 1000,
     HOUR, 0, true, true},
};

static const struct {
	const char *text, *expected; /* a piece of what is told */
} bad[] = {
    {"", "a rule such as"},
    {"inbound", "a rule such as"},
    {"client", "a number and a period"},
    {"client 60", "a number and a period"},
    {"client /1m", "a number and a period"},
    {"client 60/", "a number and a period"},
    {"client 60/1x", "a number and a period"},
    {"client 60/0s", "a number and a period"},
    {"client 60/500ms", "a number and a period"},
    {"client 60/32d", "a number and a period"},
    {"client 60/1m/1m", "a number and a period"},
    {"client 0/1m", "a number of 1 to"},
    {"client -1/1m", "a number of 1 to"},
    {"client x/1m", "a number of 1 to"},
    {"client 10000001/1m", "a number of 1 to"},
    {"client 99999999999999999999/1m", "a number of 1 to"},
    {"client 10K/1m", "a number of 1 to"},
    {"user 1T/1d bytes", "a number of bytes"},
    {"clients 60/1m", "a rule that begins with"},
    {"60/1m client", "a rule that begins with"},
    {"user: 60/1m", "a rule that begins with"},
    {"192.0.2.1/24 60/1m", "a rule that begins with"},
    {"a@ 60/1m", "an address such as"},
    {"@ 60/1m", "an address such as"},
    {"@-..example 60/1m", "an address such as"},
    {"client 60/1m burst", "\"burst\" with"},
    {"client 60/1m burst 0", "\"burst\" with"},
    {"client 60/1m burst 60001", "\"burst\" with"},
    {"client 60/1m burst 5 burst 6", "one of messages"},
    {"client 60/1m per hour", "one of messages"},
    {"client 60/1m messages recipients", "one of messages"},
    {"client 60/1m messages messages", "one of messages"},
    {"user 11G/1s bytes burst 2", "a larger"},
    {"user 60/1m lock", "\"lock\" with"},
    {"user 60/1m lock 0s", "\"lock\" with"},
    {"user 60/1m lock 367d", "\"lock\" with"},
    {"client 60/1m lock 1h", "lock only for users"},
    {"inbound user 60/1m", "user rules for outbound"},
    {"client 3/1h countries", "counted for client, which countries is not"},
    {"sender 3/1h failures", "counted for sender"},
    {"recipient 3/1h recipients", "counted for recipient"},
    {"recipient 3/1h distinct", "counted for recipient"},
    {"user 3/1h networks burst 5", "no burst"},
    {"client 60/1m a b c d e f g h i j k l m", "fewer words"},
};

static bool parse(struct arena *arena, const char *text, struct rate_rule *rule_r, const char **expected_r)
{
	char *copy = strdup(text); /* exactly sized: ASan sees overreads */
	bool result = rate_rule_parse(arena, copy, rule_r, expected_r);
	free(copy);
	return result;
}

static void test_good(struct arena *arena)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const struct good_case *c = &good[i];
		struct rate_rule rule;
		const char *expected = NULL;
		if (!ok(parse(arena, c->text, &rule, &expected), "\"%s\" is taken", c->text)) {
			diag("expected %s", expected);
			continue;
		}
		is_text(rule.text, c->canonical, "its canonical form");
		is_text(rule.name, c->name, "its name");
		ok(rule.subject == c->subject && rule.unit == c->unit && rule.amount == c->amount && rule.burst == c->burst &&
		       rule.period == c->period && rule.lock == c->lock,
		   "its numbers");
		ok(rule.inbound == c->inbound && rule.outbound == c->outbound, "its directions");
		struct rate_rule again;
		ok(parse(arena, rule.text, &again, &expected) && strcmp(again.text, rule.text) == 0,
		   "it reads back to the same");
	}
}

static void test_bad(struct arena *arena)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct rate_rule rule;
		const char *expected = NULL;
		ok(!parse(arena, bad[i].text, &rule, &expected), "\"%s\" is refused", bad[i].text);
		if (!ok(expected != NULL && strstr(expected, bad[i].expected) != NULL, "with what was expected")) {
			diag("%s", expected);
		}
	}
}

static void test_list(struct arena *arena)
{
	struct rate_rules rules = {0};
	const char *expected = NULL;
	const char *const twice[] = {"inbound client 60/1m", "user 5/1h", "outbound client 60/60s"};
	ok(rate_rules_parse(arena, twice, 3, &rules, &expected), "a list");
	is_int((long long)rules.count, 2, "one rule twice is one rule");
	ok(rules.items[0].inbound && rules.items[0].outbound, "for both directions");
	const char *const broken[] = {"client 60/1m", "user"};
	ok(!rate_rules_parse(arena, broken, 2, NULL, &expected), "one bad rule spoils the list");
	ok(rate_rules_parse(arena, twice, 3, NULL, &expected), "no member: only a look");
}

/* What the arithmetic comes to at the ends of what is allowed. */
static void test_numbers(struct arena *arena)
{
	static const char *const texts[] = {"client 60/1m",
	                                    "client 7/1h",
	                                    "client 1/31d burst 1000",
	                                    "client 10000000/1s",
	                                    "user 1G/1d bytes",
	                                    "client 3/1s burst 3000",
	                                    "user 1024G/31d bytes burst 2048G"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct rate_rule rule;
		const char *expected = "";
		ok(parse(arena, texts[i], &rule, &expected), "%s", texts[i]);
		ok(rate_capacity(&rule) > 0 && rate_capacity(&rule) < UINT64_C(1) << 62, "a capacity below 2^62");
		ok(rate_cost(&rule, UINT64_MAX) == rate_capacity(&rule) + (rule.unit != RATE_BYTES),
		   "only bytes never cost more than all of it");
		ok(rate_units(&rule, rate_capacity(&rule)) <= rule.burst &&
		       rate_units(&rule, rate_capacity(&rule)) + 1 >= rule.burst,
		   "in which the burst fits");
	}
	struct rate_rule seven;
	const char *expected;
	parse(arena, "client 7/1h", &seven, &expected);
	ok(7 * rate_cost(&seven, 1) <= rate_capacity(&seven), "seven of seven an hour fit");
	ok(8 * rate_cost(&seven, 1) > rate_capacity(&seven), "eight do not");
	is_int((long long)rate_units(&seven, rate_capacity(&seven) - rate_cost(&seven, 1)), 6, "after one, six are left");
}

static void test_causes(struct arena *arena)
{
	const char *const texts[] = {"All", "unauthenticated", "score 2.5", "Client.ptr_*", "spf.fail"};
	struct greylist_causes causes;
	const char *expected = NULL;
	ok(greylist_causes_parse(arena, texts, 5, &causes, &expected), "causes");
	ok(causes.items[0].kind == GREYLIST_ALL && causes.items[1].kind == GREYLIST_UNAUTHENTICATED, "words");
	ok(causes.items[2].kind == GREYLIST_SCORE && causes.items[2].score > 2.4 && causes.items[2].score < 2.6, "a score");
	ok(greylist_cause_matches(&causes.items[3], "client.ptr_missing"), "a pattern matches");
	ok(!greylist_cause_matches(&causes.items[3], "client.helo_bad"), "and does not");
	ok(greylist_cause_matches(&causes.items[4], "spf.fail") && !greylist_cause_matches(&causes.items[4], "spf.fail_x"),
	   "a code is the whole code");
	ok(!greylist_cause_matches(&causes.items[0], "client.ptr_missing"), "words are no patterns");
	static const char *const bad_causes[] = {"client",     "score",    "score -1", "score 0",
	                                         "cl[i]ent.x", "client.?", "*",        "a b.c"};
	for (size_t i = 0; i < sizeof bad_causes / sizeof *bad_causes; i++) {
		expected = NULL;
		ok(!greylist_causes_parse(arena, &bad_causes[i], 1, NULL, &expected) && expected != NULL, "\"%s\" is refused",
		   bad_causes[i]);
	}
}

static void test_keys(struct arena *arena)
{
	static const struct {
		const char *client, *address, *network;
	} cases[] = {
	    {"192.0.2.77", "192.0.2.77", "192.0.2.0/24"},
	    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1:2::/64"},
	    {"::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ip ip;
		ip_parse(cases[i].client, &ip);
		is_text(client_key_address(arena, &ip), cases[i].address, "a client");
		is_text(client_key_network(arena, &ip), cases[i].network, "its network");
	}
	struct ip unknown = {.family = IP_UNKNOWN};
	is_text(client_key_network(arena, &unknown), "unknown", "none");
	struct address address;
	address_parse_path(arena, "<An.Na@Example.ORG>", &address);
	is_text(client_key_mailbox(arena, &address), "an.na@example.org", "a mailbox");
	address_parse_path(arena, "<>", &address);
	is_text(client_key_mailbox(arena, &address), "", "the null path");
	is_text(client_key_user(arena, "A\x01\xff"), "a\\x01\\xff", "what is no ASCII is escaped");
	char large[5000];
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	ok(strlen(client_key_user(arena, large)) <= 260, "and cut");
}

int main(void)
{
	struct arena *arena = arena_create(4096);
	test_good(arena);
	test_bad(arena);
	test_list(arena);
	test_numbers(arena);
	test_causes(arena);
	test_keys(arena);
	arena_destroy(arena);
	return done_testing();
}
