/* explain_run: one message, or an envelope alone, through the pipeline as the daemon would judge it. */
#ifndef MAILREEVE_CTL_EXPLAIN_RUN_H
#define MAILREEVE_CTL_EXPLAIN_RUN_H

#include "lib/pipeline/session.h"

#include <jansson.h>

enum { EXPLAIN_RCPT_MAX = 1000 };

struct explain_options {
	const char *config, *dns_zone, *ptr, *helo, *from, *auth;
	struct session_tls tls;
	struct ip client; /* IP_UNKNOWN: not given */
	uint64_t now;     /* 0: the clock */
	bool json;
	const char *id;       /* of a message of the history that is to be judged again */
	const char *dns_text; /* its answers; NULL: those of dns_zone, or of the resolver */
	json_t **object_r;    /* where the result goes instead of being shown; NULL: nowhere */
	const char *rcpt[EXPLAIN_RCPT_MAX];
	size_t rcpt_count;
};

/* NULL with a message on standard error. Close with engine_close(). */
struct engine *explain_open(const struct explain_options *options);

/* Judges and shows. file: for the result, and where it is read from, "-" standard input. False with a message on standard
 * error when it cannot be read. */
bool explain_file(const struct explain_options *options, struct engine *engine, const char *file);
void explain_bytes(const struct explain_options *options, struct engine *engine, const char *file, struct slice bytes);
void explain_envelope(const struct explain_options *options, struct engine *engine);

#endif
