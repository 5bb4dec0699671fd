/* log: one line an event, to syslog (facility mail), the journal or standard error, as text or as a JSON object. Safe
 * from any thread; never called while a mutex is held. Arguments from the network go through text_escape() first. */
#ifndef MAILREEVE_BASE_LOG_H
#define MAILREEVE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL };
enum log_form { LOG_FORM_TEXT, LOG_FORM_JSON };

/* ident must live as long as the process. Until the first call everything goes to standard error at level info, as
 * text. The journal that cannot be reached, at first or later, is replaced by syslog. */
void log_open(enum log_target target, const char *ident);
/* Where the journal is; by default /run/systemd/journal/socket. Before log_open(). The text must live on. */
void log_set_journal(const char *path);
void log_set_form(enum log_form form); /* of the journal: its own, whatever is set */

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* ---- events with fields ---- */

enum log_kind {
	LOG_TEXT,   /* a string */
	LOG_NUMBER, /* a number of JSON */
	LOG_LIST,   /* elements with a comma between: an array of strings */
	LOG_EACH    /* an array too, of which each of those in a row that have one key is an element, commas and all */
};
struct log_field {
	const char *key; /* small letters and "_" */
	const char *value;
	enum log_kind kind;
};
/* text is the line where lines are text; the fields stand in JSON (with "event") and in the journal (MAILREEVE_KEY).
 * What does not fit is left out, and "cut" says so. Never held back. */
void log_event(enum log_level level, const char *event, const char *text, const struct log_field *fields, size_t count);

/* ---- levels ---- */

const char *log_level_name(enum log_level level); /* "warning" */
bool log_level_parse(const char *name, enum log_level *level_r);

enum { LOG_STAGES_MAX = 64 };
/* Of everything, stages too. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void); /* of what is no stage's */
/* Names of stages, for JSON and the journal; they must live on. */
void log_name_stages(const char *const *names, size_t count);
void log_set_stage_level(size_t stage, enum log_level level);
enum log_level log_get_stage_level(size_t stage);
/* What this thread logs from now on is that stage's; nothing in it waits for another thread's log. */
void log_enter(size_t stage);
void log_leave(void);
/* Would it be written, by this thread, now? For what is costly to put together. */
bool log_wants(enum log_level level);

/* ---- repeats ---- */

/* Of one kind (what has the same format), `most` lines in `window_ns` are written; more are counted, and one line tells
 * how many there were. Lines of level debug are not counted. most 0: all are written, as at the start. */
void log_limit_repeats(unsigned most, uint64_t window_ns);
/* Tells of those whose window is over; all: of every one. Now and then, and at the end. */
void log_tell_repeats(bool all);

#endif
