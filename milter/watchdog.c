#include "milter/watchdog.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/alive.h"
#include "milter/callbacks.h"
#include "milter/notify.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROUNDS = 4, /* in the time in which it must be fed once */
	PARTS = 6,  /* that are asked in a round, one after the other, and some room */
};

static struct {
	struct alive alive;
	const struct listener *listener;
	uint64_t round_ns;
} watchdog;

/* A milter's negotiation (SMFIC_OPTNEG): length, 'O', version 6, all actions, all steps; then SMFIC_QUIT. */
static const unsigned char hello[] = {0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff};
static const unsigned char quit[] = {0, 0, 0, 1, 'Q'};

/* libmilter accepts us, and a thread of its pool has run our callback. */
static bool milter_answers(uint64_t patience)
{
	unsigned char answer[5] = {0};
	uint64_t deadline = clock_now() + patience;
	size_t got = 0;
	int fd = listener_connect(watchdog.listener);
	struct pollfd poller = {.fd = fd, .events = POLLOUT};
	bool good = fd >= 0 && poll(&poller, 1, clock_poll_timeout(deadline)) == 1 &&
	            send(fd, hello, sizeof hello, MSG_NOSIGNAL) == (ssize_t)sizeof hello;
	poller.events = POLLIN;
	while (good && got < sizeof answer) {
		ssize_t n = poll(&poller, 1, clock_poll_timeout(deadline)) == 1
		                ? recv(fd, answer + got, sizeof answer - got, MSG_DONTWAIT)
		                : -1;
		good = n > 0;
		got += good ? (size_t)n : 0;
	}
	good = good && answer[4] == 'O' && send(fd, quit, sizeof quit, MSG_NOSIGNAL) == (ssize_t)sizeof quit;
	if (fd >= 0) {
		close(fd);
	}
	return good;
}

static void *watch(void *unused)
{
	uint64_t patience = watchdog.round_ns / PARTS;
	char text[128];
	pthread_setname_np(pthread_self(), "watchdog");
	/* Until another process has taken our place (notify_hand_over()). */
	while (notify_watchdog() > 0) {
		uint64_t next = clock_now() + watchdog.round_ns;
		const char *hangs = milter_answers(patience) ? alive_check(&watchdog.alive, patience) : "the milter socket";
		if (hangs == NULL) {
			snprintf(text, sizeof text, "Serving, %zu transactions under way", callbacks_running());
			notify_alive(text);
		} else {
			snprintf(text, sizeof text, "No answer from %s", hangs);
			log_error("watchdog: no answer from %s", hangs);
			notify_status(text);
		}
		poll(NULL, 0, clock_poll_timeout(next));
	}
	return unused;
}

bool watchdog_start(struct engine *engine, const struct listener *listener)
{
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	if (notify_watchdog() == 0) {
		return true;
	}
	watchdog.alive.engine = engine;
	watchdog.listener = listener;
	watchdog.round_ns = notify_watchdog() / ROUNDS;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0 && pthread_detach(thread) == 0;
}
