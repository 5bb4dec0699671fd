/* Many sessions on many threads: equal questions share one, all get its answer, and the resolver ends under load. The
 * server is a thread of this program that speaks DNS over UDP on loopback and holds every question until it is told
 * to answer, so that what is counted does not depend on who is fast. */
#include "lib/base/clock.h"
#include "lib/dns/dns.h"
#include "t/tap.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 8, NAMES = 40, ROUNDS = 300, HELD_MAX = 4096, HEADER = 12 };

struct held {
	struct sockaddr_in from;
	uint8_t packet[512];
	size_t size;
};

struct server {
	int fd;
	int stop[2]; /* a pipe */
	pthread_t thread;
	atomic_bool open;
	size_t count;
	struct held held[HELD_MAX];
};

/* Answers A 192.0.2.1 for an hour. What follows the question (EDNS) is left out of the reply. */
static void server_reply(const struct server *server, struct held *held)
{
	static const uint8_t record[] = {0xc0, HEADER, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1};
	uint8_t *packet = held->packet;
	size_t at = HEADER;
	while (at < held->size && packet[at] != 0) {
		at += 1U + packet[at];
	}
	at += 5;
	if (at > held->size) {
		return;
	}
	packet[2] = 0x81;
	packet[3] = 0x80;
	memset(packet + 6, 0, 6);
	packet[7] = 1;
	memcpy(packet + at, record, sizeof record);
	sendto(server->fd, packet, at + sizeof record, 0, (struct sockaddr *)&held->from, sizeof held->from);
}

static void *server_run(void *data)
{
	struct server *server = data;
	struct pollfd fds[2] = {{.fd = server->fd, .events = POLLIN}, {.fd = server->stop[0], .events = POLLIN}};
	while ((fds[1].revents & POLLIN) == 0) {
		poll(fds, 2, 10);
		if ((fds[0].revents & POLLIN) != 0 && server->count < HELD_MAX) {
			struct held *held = &server->held[server->count];
			socklen_t length = sizeof held->from;
			ssize_t n = recvfrom(server->fd, held->packet, sizeof held->packet - 16, 0, (struct sockaddr *)&held->from,
			                     &length);
			if (n > HEADER) {
				held->size = (size_t)n;
				server->count++;
			}
		}
		if (atomic_load(&server->open)) {
			for (size_t i = 0; i < server->count; i++) {
				server_reply(server, &server->held[i]);
			}
			server->count = 0;
		}
	}
	return NULL;
}

static void server_start(struct server *server, char *forwarder, size_t size)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof address;
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	atomic_init(&server->open, false);
	if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, length) != 0 ||
	    getsockname(server->fd, (struct sockaddr *)&address, &length) != 0 || pipe(server->stop) != 0 ||
	    pthread_create(&server->thread, NULL, server_run, server) != 0) {
		abort();
	}
	snprintf(forwarder, size, "127.0.0.1@%d", ntohs(address.sin_port));
}

static void server_stop(struct server *server)
{
	if (write(server->stop[1], "", 1) != 1) {
		abort();
	}
	pthread_join(server->thread, NULL);
	close(server->fd);
	close(server->stop[0]);
	close(server->stop[1]);
}

struct session {
	pthread_t thread;
	struct dns *dns;
	unsigned number;
	size_t good;
	uint64_t cpu_ns; /* of the cached rounds */
};

static bool is_answer(const struct dns_answer *answer)
{
	static const uint8_t expected[4] = {192, 0, 2, 1};
	return answer != NULL && answer->status == DNS_FOUND && answer->count == 1 &&
	       memcmp(answer->records[0].address.bytes, expected, 4) == 0;
}

static uint64_t thread_cpu(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Asks all names, each thread from another start, and waits for all of them. How many answers were right. */
static size_t session_ask(struct session *session, struct lookups *lookups)
{
	size_t good = 0;
	char name[40];
	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "n%u.example", (i + session->number * 5) % NAMES);
		lookups_get(lookups, name, DNS_TYPE_A);
	}
	uint64_t deadline = clock_now() + 60 * CLOCK_NS_PER_S;
	while (lookups_pending(lookups) > 0 && lookups_wait(lookups, deadline)) {
	}
	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "n%u.example", i);
		good += is_answer(lookups_peek(lookups, name, DNS_TYPE_A));
	}
	return good;
}

static void *session_run(void *data)
{
	struct session *session = data;
	struct lookups *lookups = lookups_create(session->dns);
	session->good += session_ask(session, lookups);
	uint64_t start = thread_cpu();
	for (int round = 0; round < ROUNDS; round++) {
		lookups_reset(lookups);
		session->good += session_ask(session, lookups);
	}
	session->cpu_ns = thread_cpu() - start;
	lookups_destroy(lookups);
	return NULL;
}

static struct dns *open_dns(const char *forwarder, size_t cache_bytes)
{
	const char *forwarders[] = {forwarder, NULL};
	struct dns_settings settings;
	char *error = NULL;
	dns_settings_default(&settings);
	settings.forwarders = forwarders;
	settings.timeout_ns = 50 * CLOCK_NS_PER_S;
	settings.cache_bytes = cache_bytes;
	struct dns *dns = dns_open_resolver(&settings, &error);
	if (dns == NULL) {
		diag("%s", error);
		abort();
	}
	return dns;
}

static void start_sessions(struct session *sessions, struct dns *dns, void *(*run)(void *))
{
	for (unsigned i = 0; i < THREADS; i++) {
		sessions[i] = (struct session){.dns = dns, .number = i};
		if (pthread_create(&sessions[i].thread, NULL, run, &sessions[i]) != 0) {
			abort();
		}
	}
}

static size_t join_sessions(struct session *sessions, uint64_t *cpu_r)
{
	size_t good = 0;
	*cpu_r = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(sessions[i].thread, NULL);
		good += sessions[i].good;
		*cpu_r += sessions[i].cpu_ns;
	}
	return good;
}

static void test_coalescing(struct server *server, const char *forwarder)
{
	struct session sessions[THREADS];
	struct dns_statistics statistics;
	uint64_t cpu;
	struct dns *dns = open_dns(forwarder, (size_t)32 << 20);
	start_sessions(sessions, dns, session_run);
	uint64_t limit = clock_now() + 60 * CLOCK_NS_PER_S;
	do {
		dns_get_statistics(dns, &statistics);
	} while (statistics.questions < (uint64_t)THREADS * NAMES && clock_now() < limit);
	ok(statistics.misses == NAMES && statistics.coalesced == (uint64_t)(THREADS - 1) * NAMES && statistics.hits == 0,
	   "%d threads with the same %d questions ask %d", THREADS, NAMES, (int)statistics.misses);
	ok(statistics.pending == NAMES, "all of them are under way at once");
	atomic_store(&server->open, true);
	uint64_t start = clock_now();
	size_t good = join_sessions(sessions, &cpu);
	ok(good == (size_t)THREADS * NAMES * (ROUNDS + 1), "every answer is right, the first and the cached ones");
	dns_get_statistics(dns, &statistics);
	ok(statistics.misses == NAMES && statistics.hits == (uint64_t)THREADS * NAMES * ROUNDS,
	   "the rest came from the cache");
	diag("%.0f cached lookups a second on %d threads, %.2f us of CPU each",
	     (double)statistics.hits * 1e9 / (double)(clock_now() - start), THREADS,
	     (double)cpu / (double)statistics.hits / 1000);
	dns_close(dns);
	atomic_store(&server->open, false);
}

/* Every thread asks names of its own, so that answers come, are dropped for want of room, and are asked again. */
static void *churn_run(void *data)
{
	struct session *session = data;
	uint64_t deadline = clock_now() + 60 * CLOCK_NS_PER_S;
	for (unsigned round = 0; round < 60; round++) {
		struct lookups *lookups = lookups_create(session->dns);
		char name[40];
		for (unsigned i = 0; i < 10; i++) {
			snprintf(name, sizeof name, "r%u.t%u.example", (round * 3 + i) % 50, session->number / 2);
			lookups_get(lookups, name, DNS_TYPE_A);
		}
		if (round % 4 == 0) {
			lookups_destroy(lookups);
			continue;
		}
		while (lookups_pending(lookups) > 0 && lookups_wait(lookups, deadline)) {
		}
		session->good += is_answer(lookups_peek(lookups, name, DNS_TYPE_A));
		lookups_destroy(lookups);
	}
	return NULL;
}

static void test_churn(struct server *server, const char *forwarder)
{
	enum { CACHE = 128 << 10 };
	struct session sessions[THREADS];
	struct dns_statistics statistics;
	uint64_t cpu;
	struct dns *dns = open_dns(forwarder, CACHE);
	atomic_store(&server->open, true);
	start_sessions(sessions, dns, churn_run);
	ok(join_sessions(sessions, &cpu) == (size_t)THREADS * 45, "sessions that come and go get their answers");
	dns_get_statistics(dns, &statistics);
	ok(statistics.evicted > 0 && statistics.bytes <= CACHE, "the cache stays within its bytes: %d, %d evicted",
	   (int)statistics.bytes, (int)statistics.evicted);
	dns_close(dns);
	atomic_store(&server->open, false);
}

/* The sessions are gone, their questions are not answered: the resolver still ends, and nothing leaks. */
static void test_close_pending(const char *forwarder)
{
	struct dns *dns = open_dns(forwarder, (size_t)1 << 20);
	struct lookups *lookups = lookups_create(dns);
	struct dns_statistics statistics;
	for (int i = 0; i < 500; i++) {
		char name[40];
		snprintf(name, sizeof name, "p%d.example", i);
		lookups_get(lookups, name, DNS_TYPE_A);
	}
	dns_get_statistics(dns, &statistics);
	is_int((long long)statistics.pending, 500, "500 questions are pending");
	lookups_destroy(lookups);
	uint64_t start = clock_now();
	dns_close(dns);
	ok(clock_now() - start < 10 * CLOCK_NS_PER_S, "closed in %d ms", (int)((clock_now() - start) / CLOCK_NS_PER_MS));
}

int main(void)
{
	static struct server server;
	char forwarder[40];
	server_start(&server, forwarder, sizeof forwarder);
	test_coalescing(&server, forwarder);
	test_churn(&server, forwarder);
	test_close_pending(forwarder);
	server_stop(&server);
	return done_testing();
}
