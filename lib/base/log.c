#include "lib/base/log.h"

#include "lib/base/clock.h"
#include "lib/base/log_form.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192, KINDS = 256, KIND_PROBES = 8, LAST_MAX = 400, NO_STAGE = 0 };

static _Atomic enum log_level thresholds[1 + LOG_STAGES_MAX] = {
    [0 ... LOG_STAGES_MAX] = LOG_LEVEL_INFO}; /* [0]: what is no stage's; [1 + stage] */
static _Atomic enum log_target where = LOG_TARGET_STDERR;
static _Atomic enum log_form form = LOG_FORM_TEXT;
static const char *_Atomic who = "mailreeve";
static const char *journal_path = "/run/systemd/journal/socket";
static _Atomic int journal = -1;
static const char *const *stage_names;
static _Atomic size_t stage_count;
static _Thread_local size_t stage_now; /* 1 + stage; a hook runs in one thread from its begin to its end */

/* Lines of one kind. */
struct kind {
	const char *format; /* NULL: a free place */
	enum log_level level;
	uint64_t since;
	unsigned written;
	uint64_t held;
	char last[LAST_MAX]; /* of those held back */
};
static pthread_mutex_t kinds_lock = PTHREAD_MUTEX_INITIALIZER; /* guards kinds; nothing is written while it is held */
static struct kind kinds[KINDS];
static _Atomic unsigned kind_most;
static _Atomic uint64_t kind_window;

/* ---- where it goes ---- */

static bool open_journal(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t n = strlen(journal_path);
	if (fd >= 0 && n < sizeof address.sun_path) {
		memcpy(address.sun_path, journal_path, n + 1);
		if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
			atomic_store(&journal, fd);
			return true;
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	return false;
}

void log_set_journal(const char *path)
{
	journal_path = path;
}

void log_open(enum log_target target, const char *ident)
{
	atomic_store(&who, ident);
	bool lost = target == LOG_TARGET_JOURNAL && !open_journal();
	if (target != LOG_TARGET_STDERR) {
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
	}
	atomic_store(&where, lost ? LOG_TARGET_SYSLOG : target);
	if (lost) {
		log_warning("the journal cannot be reached (%s): the log goes to syslog", journal_path);
	}
}

void log_set_form(enum log_form new_form)
{
	atomic_store(&form, new_form);
}

static int log_syslog_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	case LOG_LEVEL_WARNING:
		return LOG_WARNING;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_DEBUG:
		break;
	}
	return LOG_DEBUG;
}

/* One write(2) a line, so that lines of several threads and processes do not mix. */
static void log_stderr(const struct log_line *log)
{
	static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
	char line[LINE_MAX_BYTES + 128];
	int n = snprintf(line, sizeof line, "%s[%ld]: %s%s\n", log->ident, (long)getpid(), words[log->level], log->text);
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) {
		return; /* nowhere left to say it */
	}
}

static void log_json(const struct log_line *line, enum log_target target)
{
	char buffer[LOG_FORM_MAX];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	size_t n = log_form_json(line, getpid(), (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec, buffer);
	if (target == LOG_TARGET_SYSLOG) {
		syslog(line->priority, "%.*s", (int)(n - 1), buffer);
	} else if (write(STDERR_FILENO, buffer, n) < 0) {
		return;
	}
}

/* systemd keeps the socket while journald restarts; what is not taken all the same goes to syslog. */
static bool log_journal(const struct log_line *line)
{
	char buffer[LOG_FORM_MAX];
	size_t n = log_form_journal(line, buffer);
	ssize_t sent;
	do {
		sent = send(atomic_load(&journal), buffer, n, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

static void emit(enum log_level level, const char *event, const char *text, const struct log_field *fields,
                 size_t count)
{
	int saved = errno;
	size_t stage = stage_now;
	struct log_line line = {.level = level,
	                        .priority = log_syslog_priority(level),
	                        .ident = atomic_load(&who),
	                        .stage =
	                            stage > NO_STAGE && stage <= atomic_load(&stage_count) ? stage_names[stage - 1] : NULL,
	                        .event = event,
	                        .text = text,
	                        .fields = fields,
	                        .count = count};
	enum log_target target = atomic_load(&where);
	if (target == LOG_TARGET_JOURNAL && log_journal(&line)) {
		errno = saved;
		return;
	}
	target = target == LOG_TARGET_JOURNAL ? LOG_TARGET_SYSLOG : target;
	if (atomic_load(&form) == LOG_FORM_JSON) {
		log_json(&line, target);
	} else if (target == LOG_TARGET_SYSLOG) {
		syslog(line.priority, "%s", text);
	} else {
		log_stderr(&line);
	}
	errno = saved;
}

/* ---- levels ---- */

static const char *const level_names[] = {"error", "warning", "info", "debug"};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

bool log_level_parse(const char *name, enum log_level *level_r)
{
	for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level_r = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_set_level(enum log_level level)
{
	for (size_t i = 0; i <= LOG_STAGES_MAX; i++) {
		atomic_store(&thresholds[i], level);
	}
}

enum log_level log_get_level(void)
{
	return atomic_load(&thresholds[NO_STAGE]);
}

void log_name_stages(const char *const *names, size_t count)
{
	stage_names = names;
	atomic_store(&stage_count, count);
}

void log_set_stage_level(size_t stage, enum log_level level)
{
	if (stage < LOG_STAGES_MAX) {
		atomic_store(&thresholds[1 + stage], level);
	}
}

enum log_level log_get_stage_level(size_t stage)
{
	return atomic_load(&thresholds[stage < LOG_STAGES_MAX ? 1 + stage : NO_STAGE]);
}

void log_enter(size_t stage)
{
	stage_now = stage < LOG_STAGES_MAX ? 1 + stage : NO_STAGE;
}

void log_leave(void)
{
	stage_now = NO_STAGE;
}

bool log_wants(enum log_level level)
{
	return level <= atomic_load_explicit(&thresholds[stage_now], memory_order_relaxed);
}

/* ---- repeats ---- */

void log_limit_repeats(unsigned most, uint64_t window_ns)
{
	atomic_store(&kind_window, window_ns);
	atomic_store(&kind_most, most);
}

/* A line to write for what was held back: text_r. False: nothing was. The lock is held. */
static bool kind_end(struct kind *kind, uint64_t now, char text_r[LAST_MAX + 100], enum log_level *level_r)
{
	bool any = kind->format != NULL && kind->held > 0;
	if (any) {
		snprintf(text_r, LAST_MAX + 100, "repeated %llu times in %llu s: %s", (unsigned long long)kind->held,
		         (unsigned long long)((now - kind->since + CLOCK_NS_PER_S / 2) / CLOCK_NS_PER_S), kind->last);
		*level_r = kind->level;
	}
	kind->held = 0;
	kind->written = 0;
	return any;
}

/* Its place, or a free one, or that of one whose time is over; NULL: all near it are in use, so it is not counted. */
static struct kind *kind_find(const char *format, uint64_t now, uint64_t window)
{
	size_t at = (size_t)((uintptr_t)format * UINT64_C(0x9e3779b97f4a7c15) >> 48);
	struct kind *free_place = NULL;
	for (size_t i = 0; i < KIND_PROBES; i++) {
		struct kind *kind = &kinds[(at + i) % KINDS];
		if (kind->format == format) {
			return kind;
		}
		if (free_place == NULL && (kind->format == NULL || (kind->held == 0 && now - kind->since >= window))) {
			free_place = kind;
		}
	}
	if (free_place != NULL) {
		*free_place = (struct kind){.format = format, .since = now};
	}
	return free_place;
}

/* May this one be written? */
static bool kind_admit(enum log_level level, const char *format, const char *text)
{
	unsigned most = atomic_load(&kind_most);
	uint64_t window = atomic_load(&kind_window);
	char told[LAST_MAX + 100];
	enum log_level told_level = level;
	bool tell = false;
	bool admitted = true;
	if (most == 0 || level == LOG_LEVEL_DEBUG) {
		return true;
	}
	uint64_t now = clock_now();
	pthread_mutex_lock(&kinds_lock);
	struct kind *kind = kind_find(format, now, window);
	if (kind != NULL && now - kind->since >= window) {
		tell = kind_end(kind, now, told, &told_level);
		kind->since = now;
	}
	if (kind != NULL && ++kind->written > most) {
		admitted = false;
		kind->held++;
		kind->level = level;
		size_t n = strnlen(text, sizeof kind->last - 1);
		memcpy(kind->last, text, n);
		kind->last[n] = '\0';
	}
	pthread_mutex_unlock(&kinds_lock);
	if (tell) {
		emit(told_level, NULL, told, NULL, 0);
	}
	return admitted;
}

void log_tell_repeats(bool all)
{
	uint64_t now = clock_now();
	uint64_t window = atomic_load(&kind_window);
	for (size_t i = 0; i < KINDS; i++) {
		char told[LAST_MAX + 100];
		enum log_level level = LOG_LEVEL_INFO;
		bool tell = false;
		pthread_mutex_lock(&kinds_lock);
		if (all || now - kinds[i].since >= window) {
			tell = kind_end(&kinds[i], now, told, &level);
			kinds[i].since = tell ? now : kinds[i].since;
		}
		pthread_mutex_unlock(&kinds_lock);
		if (tell) {
			emit(level, NULL, told, NULL, 0);
		}
	}
}

/* ---- what is called ---- */

static void mark_cut(char *text)
{
	memcpy(text + LINE_MAX_BYTES - 4, "...", 4);
}

void log_write(enum log_level level, const char *format, ...)
{
	if (!log_wants(level)) {
		return;
	}
	int saved = errno;
	char text[LINE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n >= (int)sizeof text) {
		mark_cut(text);
	}
	if (kind_admit(level, format, text)) {
		emit(level, NULL, text, NULL, 0);
	}
	errno = saved;
}

void log_event(enum log_level level, const char *event, const char *text, const struct log_field *fields, size_t count)
{
	char line[LINE_MAX_BYTES];
	if (!log_wants(level)) {
		return;
	}
	size_t n = strnlen(text, sizeof line - 1);
	memcpy(line, text, n);
	line[n] = '\0';
	if (text[n] != '\0') {
		mark_cut(line);
	}
	emit(level, event, line, fields, count);
}
