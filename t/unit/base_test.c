#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/ip.h"
#include "lib/base/pulse.h"
#include "lib/base/slice.h"
#include "t/tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

static void test_arena(void)
{
	struct arena *arena = arena_create(256);
	char *small = arena_strdup(arena, "small");
	char *large = arena_alloc(arena, 100000);
	bool zero = true;
	for (size_t i = 0; i < 100000; i++) {
		zero = zero && large[i] == 0;
	}
	ok(zero, "a piece larger than a chunk is zeroed");
	is_text(small, "small", "an earlier piece stays");
	ok((uintptr_t)arena_alloc(arena, 3) % 16 == 0 && (uintptr_t)arena_alloc(arena, 3) % 16 == 0, "pieces are aligned");
	is_text(arena_printf(arena, "%d-%s", 7, "x"), "7-x", "arena_printf");
	ok(arena_used(arena) >= 100006, "arena_used counts");
	int *numbers = NULL;
	size_t capacity = 0;
	bool same = true;
	for (int i = 0; i < 1000; i++) {
		numbers = arena_grow(arena, numbers, sizeof *numbers, (size_t)i, &capacity);
		numbers[i] = i;
	}
	for (int i = 0; i < 1000; i++) {
		same = same && numbers[i] == i;
	}
	ok(same && capacity == 1024, "an array grows and keeps what it has");
	arena_reset(arena);
	ok(arena_used(arena) == 0, "reset");
	memset(arena_alloc(arena, 64), 'x', 64);
	arena_reset(arena);
	ok(*(char *)arena_alloc(arena, 64) == 0, "memory is zeroed again after a reset");
	arena_destroy(arena);
	arena_destroy(NULL);
}

static void *beat_once(void *pulse)
{
	while (!pulse_asked(pulse)) {
		sched_yield();
	}
	pulse_beat(pulse);
	return NULL;
}

static void test_pulse(void)
{
	struct pulse pulse;
	pthread_t thread;
	pulse_init(&pulse);
	ok(!pulse_asked(&pulse), "nobody asks yet");
	pulse_beat(&pulse);
	uint64_t ticket = pulse_ask(&pulse);
	ok(pulse_asked(&pulse), "somebody asks");
	ok(!pulse_wait(&pulse, ticket, clock_now() + 1000000), "a beat before the question is no answer to it");
	pulse_beat(&pulse);
	ok(pulse_wait(&pulse, ticket, 0) && !pulse_asked(&pulse), "one after it is, even past the deadline");
	pthread_create(&thread, NULL, beat_once, &pulse);
	ok(pulse_wait(&pulse, pulse_ask(&pulse), clock_now() + 60 * CLOCK_NS_PER_S), "a thread comes by");
	pthread_join(thread, NULL);
	pulse_destroy(&pulse);
}

static void test_slice(void)
{
	struct arena *arena = arena_create(1024);
	struct slice rest = SLICE_LITERAL("a,,b,");
	struct slice piece;
	struct strbuf joined;
	strbuf_init(&joined, arena);
	while (slice_split(&rest, ',', &piece)) {
		strbuf_printf(&joined, "[%.*s]", SLICE_ARGS(piece));
	}
	is_text(joined.data, "[a][][b][]", "split keeps empty pieces");
	struct slice trimmed = slice_trim(SLICE_LITERAL(" \t\r\n x y \n"));
	ok(slice_equal(trimmed, SLICE_LITERAL("x y")), "trim");
	ok(slice_equal_nocase(SLICE_LITERAL("FrOm"), SLICE_LITERAL("from")), "compare without case");
	ok(!slice_equal_nocase(SLICE_LITERAL("from"), SLICE_LITERAL("from ")), "length counts");
	ok(slice_starts_nocase(SLICE_LITERAL("Content-Type"), SLICE_LITERAL("content-")), "starts");
	ok(slice_ends_nocase(SLICE_LITERAL("a.EXE"), SLICE_LITERAL(".exe")), "ends");

	static const struct {
		const char *text;
		unsigned long long max, value;
		bool good;
	} numbers[] = {
		{"0", 0, 0, true},     {"1", 0, 0, false},   {"255", 255, 255, true},
		{"256", 255, 0, false}, {"", 9, 0, false},   {"-1", 9, 0, false},
		{"1a", 99, 0, false},  {"9", 5, 0, false},   {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
		{"18446744073709551616", UINT64_MAX, 0, false},
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		unsigned long long value = 0;
		bool good = slice_to_uint(slice_from(numbers[i].text), numbers[i].max, &value);
		ok(good == numbers[i].good && (!good || value == numbers[i].value), "number '%s' up to %llu", numbers[i].text,
		   numbers[i].max);
	}

	is_text(text_escape(arena, (struct slice){"a\r\nb\0\"c\\\x7f", 9}, "\"", false, 100), "a\\x0d\\x0ab\\x00\\x22c\\x5c\\x7f",
	        "escape");
	is_text(text_escape(arena, slice_from("gr\xc3\xbc\xc3\x9f \xff\xc0\x80 \xed\xa0\x80 \xc2\x85"), "", true, 100),
	        "gr\xc3\xbc\xc3\x9f \\xff\\xc0\\x80 \\xed\\xa0\\x80 \\xc2\\x85", "valid UTF-8 stays, the rest does not");
	is_text(text_escape(arena, slice_from("abcdefgh"), "", false, 4), "abcd...", "escape is bounded");
	ok(slice_is_ascii(SLICE_LITERAL("a\0\x7f")) && slice_is_ascii((struct slice){NULL, 0}) &&
	       !slice_is_ascii(SLICE_LITERAL("a\x80")),
	   "ASCII");
	ok(slice_is_utf8(SLICE_LITERAL("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xa9")) && slice_is_utf8((struct slice){NULL, 0}),
	   "UTF-8");
	static const char *const no_utf8[] = {"a\xc3",    "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	                                      "\xc2\x85", "\xbc",     "\xff"};
	for (size_t i = 0; i < sizeof no_utf8 / sizeof *no_utf8; i++) {
		ok(!slice_is_utf8(slice_from(no_utf8[i])), "no UTF-8: %s",
		   text_escape(arena, slice_from(no_utf8[i]), "", false, 40));
	}
	arena_destroy(arena);
}

static void test_ip(void)
{
	static const struct {
		const char *text, *out;
	} addresses[] = {
		{"192.0.2.1", "192.0.2.1"}, {"::ffff:192.0.2.1", "192.0.2.1"}, {"2001:DB8::1", "2001:db8::1"},
		{"IPv6:2001:db8::1", "2001:db8::1"}, {"192.0.2", NULL}, {"192.0.2.256", NULL}, {"::g", NULL}, {"", NULL},
		{"1.2.3.4 ", NULL},
	};
	char text[IP_TEXT_SIZE];
	struct ip ip;
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		bool good = ip_parse(addresses[i].text, &ip);
		if (good) {
			ip_format(&ip, text);
		}
		is_text(good ? text : NULL, addresses[i].out, addresses[i].text);
	}
	static const struct {
		const char *network, *address;
		bool valid, contains;
	} networks[] = {
		{"192.0.2.0/24", "192.0.2.255", true, true}, {"192.0.2.0/24", "192.0.3.0", true, false},
		{"0.0.0.0/0", "9.9.9.9", true, true},        {"0.0.0.0/0", "::1", true, false},
		{"192.0.2.1", "192.0.2.1", true, true},      {"192.0.2.1/24", "", false, false},
		{"2001:db8::/33", "2001:db8:7fff::1", true, true}, {"2001:db8::/33", "2001:db8:8000::1", true, false},
		{"192.0.2.0/33", "", false, false},          {"192.0.2.0/", "", false, false},
		{"192.0.2.0/2x", "", false, false},          {"::/129", "", false, false},
	};
	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
		struct ip_network network;
		bool valid = ip_network_parse(networks[i].network, &network);
		bool contains = valid && ip_parse(networks[i].address, &ip) && ip_network_contains(&network, &ip);
		ok(valid == networks[i].valid && contains == networks[i].contains, "%s and %s", networks[i].network,
		   networks[i].address);
	}
	char name[IP_REVERSE_SIZE];
	ip_parse("192.0.2.1", &ip);
	ok(ip_reverse_name(&ip, NULL, name, sizeof name), "reverse name");
	is_text(name, "1.2.0.192.in-addr.arpa", "IPv4 reversed");
	ip_parse("2001:db8::1", &ip);
	ok(ip_reverse_name(&ip, "zone.example", name, sizeof name), "reverse name below a zone");
	is_text(name, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zone.example", "IPv6 reversed");
	ok(!ip_reverse_name(&ip, NULL, name, 20), "a name that does not fit is refused");

	struct sockaddr_in in = {.sin_family = AF_INET};
	inet_pton(AF_INET, "198.51.100.7", &in.sin_addr);
	ok(ip_from_sockaddr((struct sockaddr *)&in, &ip), "sockaddr");
	ip_format(&ip, text);
	is_text(text, "198.51.100.7", "sockaddr_in");
	ok(!ip_from_sockaddr(NULL, &ip) && ip.family == IP_UNKNOWN, "no address is unknown");
}

static void test_clock(void)
{
	uint64_t now = clock_now();
	ok(clock_poll_timeout(now) == 0, "a deadline that has passed");
	int ms = clock_poll_timeout(clock_now() + 1500 * CLOCK_NS_PER_MS);
	ok(ms > 1000 && ms <= 1500, "milliseconds to a deadline");
	ok(clock_poll_timeout(UINT64_MAX) == 86400000, "bounded");
}

int main(void)
{
	test_arena();
	test_pulse();
	test_slice();
	test_ip();
	test_clock();
	return done_testing();
}
