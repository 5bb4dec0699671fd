/* mailreeve-inspect: loads what all workers share, forks them, and replaces those that die. It never looks at a
 * message and has one thread: a fork copies nothing that is half done. */
#include "inspect/clamav.h"
#include "inspect/content.h"
#include "inspect/dkim_verify.h"
#include "inspect/folder.h"
#include "inspect/sandbox.h"
#include "inspect/worker.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/inspect/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CONTROL_FD = 3,
	YOUNG_MS = 50,     /* a worker that died so soon may have died of its start */
	YOUNG_DEATHS = 16, /* so many in a row, and the next ones are started */
	PAUSE_MS = 20      /* at this distance */
};

struct child {
	pid_t pid; /* 0: none */
	uint64_t start;
	char directory[FOLDER_PATH_SIZE];
};

struct nursery {
	struct pool_settings settings;
	struct arena *arena;
	char *packet;
	int signals; /* signalfd for SIGCHLD */
	struct child children[256];
	struct folder folder;
	unsigned young_deaths;
};

static bool tell(struct nursery *nursery, struct wire_note note, int fd)
{
	return wire_send(CONTROL_FD, nursery->packet, wire_put_note(&note, nursery->packet), fd);
}

static void child_run(struct nursery *nursery, const struct child *child, int socket)
{
	sigset_t none;
	sigemptyset(&none);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(CONTROL_FD);
	close(nursery->signals);
	folder_forget(&nursery->folder);
	worker_run(socket, child->directory, &nursery->settings);
}

static bool child_start(struct nursery *nursery, struct child *child)
{
	int pair[2];
	child->start = clock_now();
	if (!folder_make(&nursery->folder, child->directory) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		log_error("content workers: %s: %s", nursery->settings.tmp_dir, strerror(errno));
		return false;
	}
	child->pid = fork();
	if (child->pid == 0) {
		close(pair[0]);
		child_run(nursery, child, pair[1]);
	}
	close(pair[1]);
	bool good = child->pid > 0 &&
	            tell(nursery, (struct wire_note){.kind = WIRE_WORKER, .number = (uint32_t)child->pid}, pair[0]);
	close(pair[0]);
	return good;
}

static void pause_if_young(struct nursery *nursery, const struct child *child)
{
	bool young = clock_now() - child->start < YOUNG_MS * CLOCK_NS_PER_MS;
	nursery->young_deaths = young ? nursery->young_deaths + 1 : 0;
	if (nursery->young_deaths > YOUNG_DEATHS) {
		poll(NULL, 0, PAUSE_MS);
	}
}

/* One that cannot enter its sandbox has a cause that its successor would meet too. */
static bool child_fit(struct nursery *nursery, int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != WORKER_UNFIT) {
		return true;
	}
	tell(nursery, (struct wire_note){.kind = WIRE_FAILED, .text = "a worker cannot enter its sandbox"}, -1);
	return false;
}

/* Takes note of the dead and starts others in their place. False: that is not possible. */
static bool reap(struct nursery *nursery)
{
	struct signalfd_siginfo ignored;
	while (read(nursery->signals, &ignored, sizeof ignored) > 0) {
	}
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (unsigned i = 0; i < nursery->settings.workers; i++) {
			struct child *child = &nursery->children[i];
			if (child->pid != pid) {
				continue;
			}
			pause_if_young(nursery, child);
			folder_remove(child->directory);
			child->pid = 0;
			tell(nursery, (struct wire_note){.kind = WIRE_DIED, .number = (uint32_t)pid}, -1);
			if (!child_fit(nursery, status) || !child_start(nursery, child)) {
				return false;
			}
		}
	}
	return true;
}

static void kill_child(struct nursery *nursery, uint32_t pid)
{
	for (unsigned i = 0; i < nursery->settings.workers; i++) {
		if (nursery->children[i].pid > 0 && (uint32_t)nursery->children[i].pid == pid) {
			kill(nursery->children[i].pid, SIGKILL);
		}
	}
}

/* False: the pool is gone. */
static bool control(struct nursery *nursery)
{
	struct wire_note note;
	ssize_t n = wire_receive(CONTROL_FD, nursery->packet, NULL);
	if (n <= 0) {
		return false;
	}
	if (wire_get_note((struct slice){nursery->packet, (size_t)n}, nursery->arena, &note) && note.kind == WIRE_KILL) {
		kill_child(nursery, note.number);
	}
	arena_reset(nursery->arena);
	return true;
}

static void serve(struct nursery *nursery)
{
	struct pollfd fds[2] = {{.fd = CONTROL_FD, .events = POLLIN}, {.fd = nursery->signals, .events = POLLIN}};
	for (unsigned i = 0; i < nursery->settings.workers; i++) {
		if (!child_start(nursery, &nursery->children[i])) {
			return;
		}
	}
	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			continue;
		}
		if (fds[1].revents != 0 && !reap(nursery)) {
			return;
		}
		if (fds[0].revents != 0 && !control(nursery)) {
			return;
		}
	}
}

static void end_children(struct nursery *nursery)
{
	for (unsigned i = 0; i < nursery->settings.workers; i++) {
		struct child *child = &nursery->children[i];
		if (child->pid > 0) {
			kill(child->pid, SIGKILL);
			waitpid(child->pid, NULL, 0);
		}
	}
	folder_close(&nursery->folder);
}

/* A signal to the group of processes (Ctrl-C) is the daemon's affair: it closes the control socket when it is done. */
static bool set_signals(struct nursery *nursery)
{
	sigset_t child;
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	nursery->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return nursery->signals >= 0;
}

static const char *start(struct nursery *nursery)
{
	struct arena *kept = arena_create(4096); /* the settings' texts live as long as the process */
	ssize_t n = wire_receive(CONTROL_FD, nursery->packet, NULL);
	if (n <= 0 || !wire_get_settings((struct slice){nursery->packet, (size_t)n}, kept, &nursery->settings)) {
		return "no settings came";
	}
	if (!set_signals(nursery) || !dkim_verify_init()) {
		return "cannot be initialised";
	}
	if (!folder_open(&nursery->folder, nursery->settings.tmp_dir)) {
		return arena_printf(kept, "content.tmp_dir: %s: %s", nursery->settings.tmp_dir, strerror(errno));
	}
	const char *problem = content_load(kept);
	return problem != NULL ? problem : clamav_load(&nursery->settings, kept);
}

int main(void)
{
	static struct nursery nursery;
	log_open(LOG_TARGET_STDERR, "mailreeve-inspect");
	if (fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) != 0) {
		fputs("mailreeve-inspect is started by mailreeved and by mailreeve, not by hand\n", stderr);
		return 2;
	}
	nursery.arena = arena_create(4096);
	nursery.packet = malloc(WIRE_PACKET_MAX);
	umask(077);
	if (nursery.packet == NULL) {
		return 1;
	}
	const char *problem = start(&nursery);
	if (problem != NULL) {
		tell(&nursery, (struct wire_note){.kind = WIRE_FAILED, .text = problem}, -1);
		folder_close(&nursery.folder);
		_exit(1);
	}
	sandbox_isolate();
	tell(&nursery, (struct wire_note){.kind = WIRE_LOADED, .database = clamav_database()}, -1);
	serve(&nursery);
	end_children(&nursery);
	/* What all workers shared was kept to the end on purpose: there is nothing to free, and no leak to look for. */
	_exit(0);
}
