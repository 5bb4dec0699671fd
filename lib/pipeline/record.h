/* record: a session's transaction into the history (store/history.h). */
#ifndef MAILREEVE_PIPELINE_RECORD_H
#define MAILREEVE_PIPELINE_RECORD_H

#include "lib/pipeline/session.h"

enum record_subject {
	RECORD_SUBJECT_NONE,
	RECORD_SUBJECT_HASH, /* tells equal subjects, not what they are: 16 hexadecimal digits of SHA-256 */
	RECORD_SUBJECT_WORD, /* the first word */
	RECORD_SUBJECT_FULL
};

/* history { } */
struct record_options {
	uint64_t keep;     /* 30d; 0: nothing is recorded */
	uint64_t tls_keep; /* 90d */
	int subject;       /* enum record_subject */
	bool dns;
};
extern const struct section history_section;

/* Queues the rows; never waits. A transaction is recorded once, when it is over: where there was a verdict, or a
 * recipient was refused. Nothing where there is no store, or none to be written to (explain), or history.keep is 0. */
void record_transaction(struct session *session);

/* As history.subject wants it: in the session's arena. value: of the Subject field. */
const char *record_subject(struct session *session, enum record_subject level, struct slice value);

#endif
