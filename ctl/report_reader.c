#include "ctl/report_reader.h"

#include "inspect/mime.h"
#include "lib/base/clock.h"
#include "lib/base/io.h"
#include "lib/report/report_read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define READER_SANITIZED 1
#endif

enum {
	PARTS_MAX = 1000,
	DEPTH_MAX = 8,
	MEMORY_MAX = 1 << 30, /* address space */
	READ_BLOCK = 65536,
	ANSWER_MAX = 128 << 20,
	NOBODY = 65534
};

struct found {
	json_t *reports;
	size_t unpacked;
	unsigned depth; /* archives in archives */
};

/* ---- the child ---- */

static void add(struct found *found, json_t *report, const char *problem)
{
	if (report == NULL) {
		report = json_object();
		json_object_set_new(report, "problem", json_string(problem));
	}
	json_array_append_new(found->reports, report);
}

static void look(struct found *found, struct slice content);

static void look_at_member(struct found *found, struct archive *archive)
{
	struct arena *arena = arena_create(READ_BLOCK);
	struct strbuf content;
	char block[READ_BLOCK];
	la_ssize_t n = 0;
	strbuf_init(&content, arena);
	while (found->unpacked < REPORT_READER_UNPACKED_MAX && (n = archive_read_data(archive, block, sizeof block)) > 0) {
		strbuf_add(&content, block, (size_t)n);
		found->unpacked += (size_t)n;
	}
	if (found->unpacked >= REPORT_READER_UNPACKED_MAX) {
		add(found, NULL, "it unpacks to more than a report has");
	} else if (n < 0) {
		add(found, NULL, "it cannot be unpacked");
	} else {
		look(found, (struct slice){content.data, content.len});
	}
	arena_destroy(arena);
}

static void look_into_archive(struct found *found, struct slice content)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	unsigned members = 0;
	if (archive == NULL) {
		abort();
	}
	archive_read_support_filter_gzip(archive);
	archive_read_support_format_zip(archive);
	archive_read_support_format_raw(archive);
	if (archive_read_open_memory(archive, content.data, content.len) != ARCHIVE_OK) {
		add(found, NULL, "it cannot be unpacked");
	} else {
		while (members++ < PARTS_MAX && archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
			look_at_member(found, archive);
		}
	}
	archive_read_free(archive);
}

static bool starts_with(struct slice content, const char *bytes, size_t n)
{
	return content.len >= n && memcmp(content.data, bytes, n) == 0;
}

static bool is_packed(struct slice content)
{
	return starts_with(content, "\x1f\x8b", 2) || starts_with(content, "PK\x03\x04", 4);
}

/* What it is by its first byte, behind a byte order mark and blanks; 0: nothing that holds a report. */
static char first_sign(struct slice content)
{
	if (starts_with(content, "\xef\xbb\xbf", 3)) {
		content = (struct slice){content.data + 3, content.len - 3};
	}
	struct slice text = slice_trim((struct slice){content.data, content.len < 1024 ? content.len : 1024});
	return text.len > 0 && (text.data[0] == '<' || text.data[0] == '{') ? text.data[0] : '\0';
}

static void look(struct found *found, struct slice content)
{
	const char *problem = NULL;
	json_t *report;
	if (is_packed(content) && found->depth < DEPTH_MAX) {
		found->depth++;
		look_into_archive(found, content);
		found->depth--;
	} else if (first_sign(content) == '<') {
		report = report_read_dmarc(content, &problem);
		add(found, report, problem);
	} else if (first_sign(content) == '{') {
		report = report_read_tls(content, &problem);
		add(found, report, problem);
	}
}

/* In a message: HTML and other text is no report that failed. */
static void on_part(void *context, const struct part *part)
{
	struct found *found = context;
	bool declared = strstr(part->type, "xml") != NULL || strstr(part->type, "tlsrpt") != NULL ||
	                strstr(part->type, "json") != NULL || strstr(part->type, "zip") != NULL ||
	                strcmp(part->type, "application/octet-stream") == 0;
	if (is_packed(part->content) || (declared && first_sign(part->content) != '\0')) {
		look(found, part->content);
	}
}

static void look_at_file(struct found *found, struct slice file)
{
	if (is_packed(file) || first_sign(file) != '\0') {
		look(found, file);
		return;
	}
	struct part_budget budget = {.bytes = REPORT_READER_UNPACKED_MAX,
	                             .parts = PARTS_MAX,
	                             .depth_max = DEPTH_MAX,
	                             .deadline = clock_now() + REPORT_READER_SECONDS * CLOCK_NS_PER_S};
	struct mime_result result = {.reasons = 0};
	mime_walk(file, NULL, &budget, on_part, found, &result);
}

/* What the rest of its life needs: memory, to write its answer, to end. */
static bool confine(void)
{
	const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
	const struct rlimit cpu = {REPORT_READER_SECONDS, REPORT_READER_SECONDS};
	const struct rlimit none = {0, 0};
	bool good = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setrlimit(RLIMIT_CPU, &cpu) == 0 &&
	            setrlimit(RLIMIT_CORE, &none) == 0;
#ifdef READER_SANITIZED
	(void)memory;
#else
	static const int calls[] = {
	    SCMP_SYS(read),       SCMP_SYS(write),      SCMP_SYS(mmap),         SCMP_SYS(munmap), SCMP_SYS(mremap),
	    SCMP_SYS(madvise),    SCMP_SYS(mprotect),   SCMP_SYS(brk),          SCMP_SYS(futex),  SCMP_SYS(exit),
	    SCMP_SYS(exit_group), SCMP_SYS(getrandom),  SCMP_SYS(rt_sigreturn), SCMP_SYS(getpid), SCMP_SYS(clock_gettime),
	    SCMP_SYS(fstat),      SCMP_SYS(newfstatat), SCMP_SYS(gettid),       SCMP_SYS(tgkill), SCMP_SYS(rt_sigprocmask)};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	good = good && setrlimit(RLIMIT_AS, &memory) == 0 && filter != NULL;
	for (size_t i = 0; good && i < sizeof calls / sizeof *calls; i++) {
		good = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) == 0;
	}
	good =
	    good && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0) == 0 && seccomp_load(filter) == 0;
	seccomp_release(filter);
#endif
	return good;
}

__attribute__((noreturn)) static void run_child(struct slice file, int out)
{
	mime_load();
	json_object_seed(0);
	struct found found = {.reports = json_array()};
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
		_exit(2);
	}
	if (dup2(out, STDOUT_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) != 0 || !confine()) {
		_exit(2);
	}
	look_at_file(&found, file);
	char *text = json_dumps(found.reports, JSON_COMPACT);
	_exit(text != NULL && io_write_all(STDOUT_FILENO, text, strlen(text)) ? 0 : 1);
}

/* ---- the parent ---- */

/* Until the child closes its end, or the time is over. */
static bool read_answer(int fd, struct strbuf *answer)
{
	uint64_t deadline = clock_now() + REPORT_READER_SECONDS * CLOCK_NS_PER_S;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	char block[READ_BLOCK];
	while (answer->len < ANSWER_MAX && poll(&poll_fd, 1, clock_poll_timeout(deadline)) > 0) {
		ssize_t n = read(fd, block, sizeof block);
		if (n <= 0) {
			return n == 0;
		}
		strbuf_add(answer, block, (size_t)n);
	}
	return false;
}

json_t *report_reader_run(struct slice file, struct arena *arena, const char **problem_r)
{
	int ends[2];
	int status = 0;
	struct strbuf answer;
	strbuf_init(&answer, arena);
	if (pipe(ends) != 0) {
		*problem_r = strerror(errno);
		return NULL;
	}
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		run_child(file, ends[1]);
	}
	close(ends[1]);
	bool whole = child > 0 && read_answer(ends[0], &answer);
	close(ends[0]);
	if (child > 0) {
		if (!whole) {
			kill(child, SIGKILL);
		}
		waitpid(child, &status, 0);
	}
	json_t *reports =
	    whole && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? json_loadb(answer.data, answer.len, 0, NULL) : NULL;
	if (reports == NULL) {
		*problem_r = !whole                ? "it takes too long to read"
		             : WIFSIGNALED(status) ? arena_printf(arena, "its reader was ended by signal %d", WTERMSIG(status))
		                                   : "its reader failed";
	}
	return reports;
}
