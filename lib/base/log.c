#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;
static _Atomic enum log_target where = LOG_TARGET_STDERR;
static const char *_Atomic who = "mailreeve";

void log_open(enum log_target target, const char *ident)
{
	atomic_store(&who, ident);
	if (target == LOG_TARGET_SYSLOG) {
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
	}
	atomic_store(&where, target);
}

void log_set_level(enum log_level level)
{
	atomic_store(&threshold, level);
}

enum log_level log_get_level(void)
{
	return atomic_load(&threshold);
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
static void log_stderr(enum log_level level, const char *text)
{
	static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
	char line[LINE_MAX_BYTES + 128];
	int n = snprintf(line, sizeof line, "%s[%ld]: %s%s\n", atomic_load(&who), (long)getpid(), words[level], text);
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) {
		return; /* nowhere left to say it */
	}
}

void log_write(enum log_level level, const char *format, ...)
{
	if (level > log_get_level()) {
		return;
	}
	int saved = errno;
	char text[LINE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n >= (int)sizeof text) {
		memcpy(text + sizeof text - 4, "...", 4);
	}
	if (atomic_load(&where) == LOG_TARGET_SYSLOG) {
		syslog(log_syslog_priority(level), "%s", text);
	} else {
		log_stderr(level, text);
	}
	errno = saved;
}
