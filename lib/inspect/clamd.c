#include "lib/inspect/clamd.h"

#include "lib/base/clock.h"
#include "lib/inspect/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	ANSWER_MAX = 4096, /* one line: a name is much shorter */
	NAME_MAX_BYTES = 200,
	MEMORY_COPY_MAX = 8 << 20, /* bytes: a larger message is copied to tmp_dir */
	RETRY_MS = 10              /* while clamd's queue is full */
};

/* ---- the connection ---- */

static bool wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd one = {.fd = fd, .events = events};
	int ready;
	do {
		ready = poll(&one, 1, clock_poll_timeout(deadline));
	} while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* A unix socket connects at once, or its queue is full. -1: errno says why. */
static int connect_to(const char *path, uint64_t deadline)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (n < 0 || (size_t)n >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	while (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		int saved = errno;
		if (saved == EINTR || (saved == EAGAIN && clock_now() < deadline)) {
			poll(NULL, 0, saved == EAGAIN ? RETRY_MS : 0);
			continue;
		}
		close(fd);
		errno = saved == EAGAIN ? ETIMEDOUT : saved;
		return -1;
	}
	return fd;
}

/* Up to the NUL behind the answer. False: errno says why; 0: clamd went away. */
static bool read_answer(int fd, uint64_t deadline, char answer_r[ANSWER_MAX])
{
	size_t n = 0;
	while (n < ANSWER_MAX) {
		if (!wait_for(fd, POLLIN, deadline)) {
			errno = ETIMEDOUT;
			return false;
		}
		ssize_t got = recv(fd, answer_r + n, ANSWER_MAX - n, 0);
		if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
			continue;
		}
		if (got <= 0) {
			errno = got == 0 ? 0 : errno;
			return false;
		}
		n += (size_t)got;
		if (answer_r[n - 1] == '\0') {
			return true;
		}
	}
	errno = EMSGSIZE;
	return false;
}

/* A command, a descriptor behind it when passed >= 0, and the answer. NULL, or why there is none. The command of so few
 * bytes goes out whole. */
static const char *converse(const struct clamd *clamd, struct slice command, int passed, uint64_t deadline,
                            struct arena *arena, char answer_r[ANSWER_MAX])
{
	int fd = connect_to(clamd->socket, deadline);
	bool good = fd >= 0 && wire_send(fd, command.data, command.len, -1) &&
	            (passed < 0 || wire_send(fd, "", 1, passed)) && read_answer(fd, deadline, answer_r);
	int saved = errno;
	if (fd >= 0) {
		close(fd);
	}
	return good ? NULL
	            : arena_printf(arena, "clamd at %s: %s", clamd->socket,
	                           saved == 0 ? "it closed the connection without an answer" : strerror(saved));
}

/* ---- the message ---- */

static int copy_open(const struct clamd *clamd, uint64_t size)
{
	if (size <= MEMORY_COPY_MAX) {
		return memfd_create("mailreeve-clamd", MFD_CLOEXEC);
	}
	int fd = open(clamd->tmp_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : memfd_create("mailreeve-clamd", MFD_CLOEXEC); /* not every file system has O_TMPFILE */
}

/* CLAMAV_LEAD and the message; clamd reads from the start. */
static int copy_message(const struct clamd *clamd, int message_fd, uint64_t size)
{
	int fd = copy_open(clamd, size);
	off_t at = 0;
	ssize_t n = (ssize_t)sizeof CLAMAV_LEAD - 1;
	bool good = fd >= 0 && write(fd, CLAMAV_LEAD, (size_t)n) == n;
	while (good && (uint64_t)at < size) {
		n = sendfile(fd, message_fd, &at, (size_t)(size - (uint64_t)at));
		good = n > 0 || (n < 0 && errno == EINTR);
	}
	if (good && lseek(fd, 0, SEEK_SET) == 0) {
		return fd;
	}
	if (fd >= 0) {
		close(fd);
	}
	return -1;
}

/* ---- what it says ---- */

/* "fd[10]: Eicar-Test-Signature FOUND", "fd[10]: OK", "fd[10]: Some trouble. ERROR" */
static void judge(const char *answer, struct arena *arena, struct inspect_reply *reply_r)
{
	struct slice text = slice_from(answer);
	size_t colon = slice_find(text, ':', 0);
	if (colon < text.len) {
		text = slice_trim((struct slice){text.data + colon + 1, text.len - colon - 1});
	}
	if (slice_equal(text, SLICE_LITERAL("OK"))) {
		reply_r->virus = INSPECT_VIRUS_CLEAN;
	} else if (slice_ends_nocase(text, SLICE_LITERAL(" FOUND"))) {
		struct slice name = {text.data, text.len - 6};
		bool limit = slice_starts_nocase(name, SLICE_LITERAL("Heuristics.Limits.Exceeded"));
		reply_r->virus = limit ? INSPECT_VIRUS_LIMIT : INSPECT_VIRUS_FOUND;
		reply_r->virus_name = text_escape(arena, name, "", false, NAME_MAX_BYTES);
	} else {
		reply_r->virus = INSPECT_VIRUS_ERROR;
		reply_r->virus_problem = arena_printf(arena, "clamd: %s", text_escape(arena, text, "", false, NAME_MAX_BYTES));
	}
}

static void not_scanned(const char *problem, struct inspect_reply *reply_r)
{
	reply_r->virus = INSPECT_VIRUS_NOT_SCANNED;
	reply_r->virus_problem = problem;
}

static void scan_file(const struct clamd *clamd, int fd, uint64_t deadline, struct arena *arena,
                      struct inspect_reply *reply_r)
{
	char answer[ANSWER_MAX];
	const char *problem = converse(clamd, (struct slice){"zFILDES", 8}, fd, deadline, arena, answer);
	if (problem != NULL) {
		not_scanned(problem, reply_r);
	} else {
		judge(answer, arena, reply_r);
	}
}

void clamd_scan(const struct clamd *clamd, int message_fd, uint64_t size, uint64_t deadline, struct arena *arena,
                struct inspect_reply *reply_r)
{
	int fd = copy_message(clamd, message_fd, size);
	if (fd < 0) {
		not_scanned(arena_printf(arena, "no copy for clamd: %s", strerror(errno)), reply_r);
		return;
	}
	scan_file(clamd, fd, deadline, arena, reply_r);
	close(fd);
}

/* A failure is worse than a limit, which may be hidden behind it; found is found. */
static int weight(enum inspect_virus_status status)
{
	switch (status) {
	case INSPECT_VIRUS_NOT_ASKED:
	case INSPECT_VIRUS_NO_DATABASE:
	case INSPECT_VIRUS_CLEAN:
		break;
	case INSPECT_VIRUS_LIMIT:
		return 1;
	case INSPECT_VIRUS_ERROR:
		return 2;
	case INSPECT_VIRUS_NOT_SCANNED:
		return 3;
	case INSPECT_VIRUS_FOUND:
		return 4;
	}
	return 0;
}

void clamd_scan_files(const struct clamd *clamd, int fd, uint64_t deadline, struct arena *arena,
                      struct inspect_reply *reply_r)
{
	struct inspect_reply files = {.virus = INSPECT_VIRUS_CLEAN};
	scan_file(clamd, fd, deadline, arena, &files);
	if (weight(files.virus) > weight(reply_r->virus)) {
		reply_r->virus = files.virus;
		reply_r->virus_name = files.virus_name;
		reply_r->virus_problem = files.virus_problem;
	}
}

/* "ClamAV 1.4.6/27000/Mon Nov 23 08:12:33 2026": without a daily.cvd the version of the program alone. Its clock is
 * taken for UTC: ages are counted in days. */
static void read_version(const char *answer, struct arena *arena, struct inspect_database *database_r)
{
	struct slice rest = slice_from(answer);
	struct slice pieces[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
	unsigned long long version = 0;
	struct tm made = {.tm_isdst = 0};
	for (size_t i = 0; i < 3 && slice_split(&rest, '/', &pieces[i]); i++) {
	}
	*database_r = (struct inspect_database){.signatures = 0};
	if (slice_to_uint(pieces[1], UINT32_MAX, &version) && version > 0) {
		database_r->official = true;
		database_r->version = (uint32_t)version;
	}
	if (pieces[2].data != NULL && strptime(slice_dup(arena, pieces[2]), "%a %b %d %H:%M:%S %Y", &made) != NULL) {
		time_t time = timegm(&made);
		database_r->time = time > 0 ? (uint64_t)time : 0;
	}
}

const char *clamd_database(const struct clamd *clamd, uint64_t deadline, struct arena *arena,
                           struct inspect_database *database_r)
{
	char answer[ANSWER_MAX];
	const char *problem = converse(clamd, (struct slice){"zVERSION", 9}, -1, deadline, arena, answer);
	if (problem == NULL) {
		read_version(answer, arena, database_r);
	}
	return problem;
}
