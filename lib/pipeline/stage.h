/* stage: one check of the pipeline: a row in stages.c and a file stage_NAME.c. */
#ifndef MAILREEVE_PIPELINE_STAGE_H
#define MAILREEVE_PIPELINE_STAGE_H

#include "lib/policy/option.h"

struct session;

enum phase {
	PHASE_CONNECT,
	PHASE_HELO,
	PHASE_MAIL,
	PHASE_RCPT,     /* the last of session->recipients is new */
	PHASE_REJECTED, /* the MTA itself has refused a recipient, which is not among these */
	PHASE_HEADERS,
	PHASE_END,
	PHASE_COUNT
};

enum stage_progress {
	STAGE_DONE,   /* nothing more in this phase */
	STAGE_PENDING /* waits for an answer or for another stage: at PHASE_END it is called again, in other phases not */
};

/* A hook is called with the stage's settings of the session's snapshot. It may start lookups and read those that have
 * come; it never waits. At PHASE_END it is called again until it is done, whenever something has changed; so it
 * keeps what it knows in the session and states each finding once. */
typedef enum stage_progress stage_hook(struct session *session, const void *settings);

struct stage {
	struct section section;
	bool inbound, outbound;  /* the directions it runs for */
	bool released;           /* runs for a message that is released from the quarantine too: it looks at what is in it */
	stage_hook *on[PHASE_COUNT]; /* NULL: nothing to do in that phase */
};

#endif
