/* Who may deliver (upstream { }), who must use TLS (tls { }), and sets of networks. */
#include "lib/pipeline/tls_rules.h"
#include "lib/pipeline/upstream_rules.h"
#include "lib/mail/domain.h"
#include "t/tap.h"

#include <unistd.h>

static const char *file_of(struct arena *arena, const char *text)
{
	char *path = arena_strdup(arena, "/tmp/mailreeve-networks-XXXXXX");
	int fd = mkstemp(path);
	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "a file of networks");
	close(fd);
	return path;
}

static bool parses(struct ip *ip_r, const char *text)
{
	return ip_parse(text, ip_r);
}

/* ---- sets ---- */

static void test_set(struct arena *arena)
{
	static const char *const networks[] = {
	    "192.0.2.128/25",  "192.0.2.0/24",  "10.0.0.0/8",      "10.1.0.0/16", "10.1.2.3",
	    "255.255.255.255", "2001:db8::/32", "2001:db8:1::/48", "::1",         "198.51.100.7/32"};
	static const struct {
		const char *address;
		bool inside;
	} rows[] = {
	    {"192.0.2.0", true},
	    {"192.0.2.255", true},
	    {"192.0.1.255", false},
	    {"192.0.3.0", false},
	    {"10.255.255.255", true},
	    {"10.1.2.3", true},
	    {"11.0.0.0", false},
	    {"9.255.255.255", false},
	    {"255.255.255.255", true},
	    {"255.255.255.254", false},
	    {"0.0.0.0", false},
	    {"::ffff:192.0.2.7", true},
	    {"2001:db8::1", true},
	    {"2001:db8:1::5", true},
	    {"2001:db9::", false},
	    {"2001:db7:ffff::", false},
	    {"::1", true},
	    {"::2", false},
	    {"::", false},
	    {"198.51.100.7", true},
	    {"198.51.100.6", false},
	};
	struct network_list list = {.count = 0};
	struct network_set set;
	struct ip address;
	const char *expected;
	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
		ok(network_list_add(&list, arena, networks[i], &expected), "%s", networks[i]);
	}
	network_set_make(&list, arena, &set);
	is_int((long long)set.count, 6, "what lies within another is dropped");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ok(parses(&address, rows[i].address) && network_set_contains(&set, &address) == rows[i].inside, "%s is %s",
		   rows[i].address, rows[i].inside ? "inside" : "outside");
	}
	ok(!network_set_contains(&set, &(struct ip){.family = IP_UNKNOWN}), "an unknown address is in no set");
	ok(parses(&address, "192.0.2.1") && !network_set_contains(&(struct network_set){.count = 0}, &address),
	   "nor any in an empty one");
}

/* Against a look at each: sorted or not, nested or not. */
static void test_set_random(struct arena *arena)
{
	struct network_list list = {.count = 0};
	struct network_set set;
	const char *expected;
	unsigned wrong = 0;
	srand(1);
	for (int i = 0; i < 300; i++) {
		unsigned bits = (unsigned)rand();
		unsigned prefix = 20 + (unsigned)rand() % 13;
		uint32_t mask = ~UINT32_C(0) << (32 - prefix);
		uint32_t value = (UINT32_C(10) << 24 | (bits & 0xffff)) & mask;
		network_list_add(&list, arena,
		                 arena_printf(arena, "%u.%u.%u.%u/%u", value >> 24, value >> 16 & 255, value >> 8 & 255,
		                              value & 255, prefix),
		                 &expected);
	}
	network_set_make(&list, arena, &set);
	for (unsigned i = 0; i < 70000; i++) {
		struct ip ip = {IP_V4, {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		bool inside = false;
		for (size_t k = 0; k < list.count; k++) {
			inside = inside || ip_network_contains(&list.items[k], &ip);
		}
		wrong += inside != network_set_contains(&set, &ip);
	}
	is_int((long long)list.count, 300, "300 networks at random");
	is_int(wrong, 0, "every address is found as by looking at each network");
}

static void test_files(struct arena *arena)
{
	static const struct {
		const char *text, *expected; /* of the error, behind the name; NULL: good */
		size_t count;
	} rows[] = {
	    {"192.0.2.0/24\n2001:db8::/32\n", NULL, 2},
	    {"# ranges of the filter\r\n\r\n  192.0.2.0/24  # eu\r\n\t198.51.100.7", NULL, 2},
	    {"", NULL, 0},
	    {"192.0.2.0/24\n192.0.2.1/24\n",
	     ":2 to be a network such as 192.0.2.0/24 or 2001:db8::/32, not \"192.0.2.1/24\"", 0},
	    {"\n\nfilter.example\n", ":3 to be a network such as 192.0.2.0/24 or 2001:db8::/32, not \"filter.example\"", 0},
	    {"192.0.2.0/24 198.51.100.7\n",
	     ":1 to be a network such as 192.0.2.0/24 or 2001:db8::/32, not \"192.0.2.0/24 198.51.100.7\"", 0},
	    {"0.0.0.0/0\n", ":1 to be a network such as 192.0.2.0/24 or 2001:db8::/32, not \"0.0.0.0/0\"", 0},
	    {"\x1b[2J\n", ":1 to be a network such as 192.0.2.0/24 or 2001:db8::/32, not \"\\x1b[2J\"", 0},
	};
	const char *expected;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct network_list list = {.count = 0};
		const char *path = file_of(arena, rows[i].text);
		bool good = network_list_add(&list, arena, arena_printf(arena, "file:%s", path), &expected);
		is_text(good ? NULL : expected,
		        rows[i].expected == NULL ? NULL : arena_printf(arena, "%s%s", path, rows[i].expected),
		        "what is wrong, and where");
		if (good) {
			is_int((long long)list.count, (long long)rows[i].count, "the networks of a file");
		}
		unlink(path);
	}
	const char *padded = arena_printf(arena, "192.0.2.0/24 #%05000d\n198.51.100.0/24\n", 0);
	struct network_list list = {.count = 0};
	const char *path = file_of(arena, padded);
	ok(network_list_add(&list, arena, arena_printf(arena, "file:%s", path), &expected) && list.count == 2,
	   "a long comment");
	unlink(path);
	ok(!network_list_add(&list, arena, arena_printf(arena, "file:%s", path), &expected) &&
	       strstr(expected, "No such file") != NULL,
	   "a file that is not there: %s", expected);
	ok(!network_list_add(&list, arena, "file:/tmp", &expected) && strstr(expected, "plain file") != NULL,
	   "a folder: %s", expected);
	ok(!network_list_add(&list, arena, "file:networks", &expected) && strstr(expected, "absolute") != NULL,
	   "a relative path");
}

/* ---- the guard ---- */

static void test_guard_syntax(struct arena *arena)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
	    {"example.org: 192.0.2.0/24", true},
	    {"example.org, .example.org example.net:192.0.2.0/24,2001:db8::/32", true},
	    {"*: 192.0.2.1", true},
	    {"b\xc3\xbc"
	     "cher.example: 192.0.2.1",
	     true},
	    {"example.org: any", true},
	    {"example.org: ::1", true},
	    {"example.org", false},
	    {"example.org:", false},
	    {": 192.0.2.1", false},
	    {"", false},
	    {"*.example.org: 192.0.2.1", false},
	    {"example..org: 192.0.2.1", false},
	    {"example.org: any 192.0.2.1", false},
	    {"example.org: 192.0.2.1/24", false},
	    {"example.org: 0.0.0.0/0", false},
	    {"example.org: filter.example", false},
	    {"example.org: file:/nonexistent", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct upstream_guard guard;
		const char *expected = NULL;
		bool good = upstream_guard_parse(arena, &rows[i].value, 1, &guard, &expected);
		ok(good == rows[i].good && (good || expected != NULL), "guard \"%s\" is %s", rows[i].value,
		   good ? "good" : "refused");
	}
}

static void test_guard(struct arena *arena)
{
	static const char *const values[] = {"example.org: 192.0.2.0/24 2001:db8::/32", "example.org: 198.51.100.0/24",
	                                     ".example.org: 203.0.113.0/24", ".open.example.org, open.example.org: any",
	                                     "*: 10.0.0.0/8"};
	static const struct {
		const char *domain, *client;
		enum upstream_answer answer;
	} rows[] = {
	    {"example.org", "192.0.2.1", UPSTREAM_MAY_DELIVER},
	    {"example.org", "::ffff:192.0.2.1", UPSTREAM_MAY_DELIVER},
	    {"example.org", "2001:db8::25", UPSTREAM_MAY_DELIVER},
	    {"example.org", "198.51.100.1", UPSTREAM_MAY_DELIVER}, /* by the second rule for it */
	    {"example.org", "203.0.113.1", UPSTREAM_DIRECT},
	    {"example.org", "2001:db9::25", UPSTREAM_DIRECT},
	    {"example.org", "10.0.0.1", UPSTREAM_DIRECT}, /* "*" is for those without a rule of their own */
	    {"sub.example.org", "203.0.113.1", UPSTREAM_MAY_DELIVER},
	    {"sub.example.org", "192.0.2.1", UPSTREAM_DIRECT},
	    {"open.example.org", "203.0.113.99", UPSTREAM_NOT_GUARDED},
	    {"a.open.example.org", "8.8.8.8", UPSTREAM_NOT_GUARDED},
	    {"notexample.org", "10.0.0.1", UPSTREAM_MAY_DELIVER},
	    {"notexample.org", "192.0.2.1", UPSTREAM_DIRECT},
	    {"", "192.0.2.1", UPSTREAM_DIRECT},
	    {"", "10.0.0.1", UPSTREAM_MAY_DELIVER},
	    {"example.org", "unknown", UPSTREAM_NOT_GUARDED},
	};
	struct upstream_guard guard;
	const char *expected;
	ok(upstream_guard_parse(arena, values, sizeof values / sizeof *values, &guard, &expected), "a guard");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ip client;
		ip_parse(rows[i].client, &client);
		is_int(upstream_guard_check(&guard, rows[i].domain, &client), rows[i].answer,
		       arena_printf(arena, "%s to <x@%s>", rows[i].client, rows[i].domain));
	}
	struct upstream_guard none = {.count = 0};
	struct ip client;
	ip_parse("192.0.2.1", &client);
	is_int(upstream_guard_check(&none, "example.org", &client), UPSTREAM_NOT_GUARDED,
	       "without a rule nobody is guarded");
	static const char *const words[] = {"guard", "172.16.0.1"};
	struct upstream_trusted trusted;
	ok(upstream_trusted_parse(arena, words, 2, &trusted, &expected), "trusted");
	ok(upstream_is_trusted(&trusted, &guard, &client), "the guard's networks are");
	ok(parses(&client, "172.16.0.1") && upstream_is_trusted(&trusted, &guard, &client), "and one of its own");
	ok(parses(&client, "172.16.0.2") && !upstream_is_trusted(&trusted, &guard, &client), "but nobody else");
	ok(upstream_trusted_parse(arena, words + 1, 1, &trusted, &expected) && parses(&client, "192.0.2.1") &&
	       !upstream_is_trusted(&trusted, &guard, &client),
	   "nor the guard's where the word is not there");
	static const char *const bad[] = {"any"};
	ok(!upstream_trusted_parse(arena, bad, 1, NULL, &expected), "any is nobody to trust");
}

/* ---- TLS ---- */

static void test_versions(void)
{
	static const struct {
		const char *text;
		enum tls_version version;
	} rows[] = {
	    {"", TLS_NONE},          {"none", TLS_NONE},       {"SSLv3", TLS_SSL},
	    {"SSLv2", TLS_SSL},      {"TLSv1", TLS_1_0},       {"TLSv1.0", TLS_1_0},
	    {"TLSv1.1", TLS_1_1},    {"TLSv1.2", TLS_1_2},     {"TLSv1.3", TLS_1_3},
	    {"tlsv1.3", TLS_1_3},    {"TLS1_2", TLS_1_2},      {"TLS1.3", TLS_1_3},
	    {"TLSv1.4", TLS_NEWER},  {"TLSv2.0", TLS_NEWER},   {"TLS", TLS_UNKNOWN},
	    {"TLSv", TLS_UNKNOWN},   {"TLSv1.", TLS_UNKNOWN},  {"TLSv1.x", TLS_UNKNOWN},
	    {"TLSv11", TLS_UNKNOWN}, {"TLSv0.9", TLS_UNKNOWN}, {"DTLSv1.2", TLS_UNKNOWN},
	    {"x", TLS_UNKNOWN},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		is_int(tls_version_parse(slice_from(rows[i].text)), rows[i].version, rows[i].text);
	}
}

static const char *demand_text(struct arena *arena, struct tls_demand demand)
{
	return demand.kind == TLS_DEMAND_NOTHING   ? "nothing"
	       : demand.kind == TLS_DEMAND_DEFAULT ? "default"
	                                           : arena_printf(arena, "%s", tls_version_name(demand.version));
}

static void test_demands(struct arena *arena)
{
	static const char *const domains[] = {"bank.example TLSv1.2", ".bank.example", "old.bank.example none", "* any",
	                                      "bank.example TLSv1.3"};
	static const char *const networks[] = {"192.0.2.0/24", "192.0.2.128/25 TLSv1.3", "192.0.2.130 none",
	                                       "2001:db8::/32 TLSv1.2"};
	static const char *const asked[][2] = {{"bank.example", "TLSv1.2"},
	                                       {"a.bank.example", "default"},
	                                       {"old.bank.example", "nothing"},
	                                       {"x.example", "unknown"},
	                                       {"", "unknown"}};
	static const char *const clients[][2] = {{"192.0.2.1", "default"},
	                                         {"192.0.2.129", "TLSv1.3"},
	                                         {"192.0.2.130", "nothing"},
	                                         {"198.51.100.1", "nothing"},
	                                         {"2001:db8::1", "TLSv1.2"}};
	static const char *const bad[] = {
	    "bank.example TLSv1.9", "bank.example SSLv3",   "bank.example TLSv1.2 x", "*.example", "",
	    "bank..example",        "bank.example: TLSv1.2"};
	static const char *const bad_networks[] = {"192.0.2.1/24", "x", "192.0.2.0/24 new", ""};
	struct tls_domain_rules rules;
	struct tls_network_rules network_rules;
	const char *expected;
	ok(tls_domains_parse(arena, domains, 5, &rules, &expected), "rules for domains");
	for (size_t i = 0; i < 5; i++) {
		is_text(demand_text(arena, tls_domains_demand(&rules, asked[i][0])), asked[i][1], asked[i][0]);
	}
	ok(tls_networks_parse(arena, networks, 4, &network_rules, &expected), "rules for networks");
	for (size_t i = 0; i < 5; i++) {
		struct ip ip;
		ip_parse(clients[i][0], &ip);
		is_text(demand_text(arena, tls_networks_demand(&network_rules, &ip)), clients[i][1], clients[i][0]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ok(!tls_domains_parse(arena, &bad[i], 1, NULL, &expected), "no rule: \"%s\"", bad[i]);
	}
	for (size_t i = 0; i < sizeof bad_networks / sizeof *bad_networks; i++) {
		ok(!tls_networks_parse(arena, &bad_networks[i], 1, NULL, &expected), "no rule: \"%s\"", bad_networks[i]);
	}
}

static void test_patterns(struct arena *arena)
{
	ok(domain_pattern_match("example.org", "example.org") == DOMAIN_SAME, "itself");
	ok(domain_pattern_match(".example.org", "example.org") == 0, "not below itself");
	ok(domain_pattern_match(".a.example.org", "x.a.example.org") >
	       domain_pattern_match(".example.org", "x.a.example.org"),
	   "the longer one is closer");
	ok(domain_pattern_match(".org", "x.org") > domain_pattern_match("*", "x.org"), "any suffix is closer than *");
	ok(domain_pattern_match("*", "") == 1 && domain_pattern_match(".org", "") == 0, "no domain at all");
	is_text(domain_pattern(arena, SLICE_LITERAL(".B\xc3\xbc"
	                                            "cher.Example.")),
	        ".xn--bcher-kva.example", "in A-labels");
	ok(domain_pattern(arena, SLICE_LITERAL(".")) == NULL && domain_pattern(arena, SLICE_LITERAL("")) == NULL,
	   "no pattern");
}

static void test_ciphers(void)
{
	static const char *const words[] = {"NULL", "DES", "RC4", NULL};
	is_text(tls_cipher_weak("DES-CBC3-SHA", words), "DES", "3DES");
	is_text(tls_cipher_weak("ecdhe-rsa-rc4-sha", words), "RC4", "in small letters");
	ok(tls_cipher_weak("TLS_AES_256_GCM_SHA384", words) == NULL &&
	       tls_cipher_weak("ECDHE-RSA-AES128-SHA", words) == NULL && tls_cipher_weak("", words) == NULL,
	   "none of these");
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	test_set(arena);
	test_set_random(arena);
	test_files(arena);
	test_guard_syntax(arena);
	test_guard(arena);
	test_versions();
	test_demands(arena);
	test_patterns(arena);
	test_ciphers();
	arena_destroy(arena);
	return done_testing();
}
