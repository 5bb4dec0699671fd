/* log_form: the forms of a line of log that are no plain text. */
#ifndef MAILREEVE_BASE_LOG_FORM_H
#define MAILREEVE_BASE_LOG_FORM_H

#include "lib/base/log.h"

#include <sys/types.h>

struct log_line {
	enum log_level level;
	int priority; /* of syslog */
	const char *ident;
	const char *stage; /* NULL: none */
	const char *event; /* NULL: none */
	const char *text;
	const struct log_field *fields;
	size_t count;
};

enum { LOG_FORM_MAX = 32768 };

/* One JSON object (RFC 8259), ASCII and UTF-8 only, with its line break; fields that do not fit are left out. Returns
 * its length. now: epoch nanoseconds. */
size_t log_form_json(const struct log_line *line, pid_t pid, uint64_t now, char buffer_r[LOG_FORM_MAX]);
/* A datagram of the journal's native protocol. */
size_t log_form_journal(const struct log_line *line, char buffer_r[LOG_FORM_MAX]);

#endif
