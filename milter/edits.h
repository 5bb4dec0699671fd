/* edits: carries out the changes of a verdict at end of message. */
#ifndef MAILREEVE_MILTER_EDITS_H
#define MAILREEVE_MILTER_EDITS_H

#include "lib/pipeline/session.h"

/* How a change reaches the MTA; callbacks.c gives it. False: the MTA refused. */
struct edit_target {
	bool (*delete_header)(void *context, const char *name, int index);
	bool (*insert_header)(void *context, const char *name, const char *value, int position);
	bool (*delete_recipient)(void *context, const char *path);
	void *context;
	bool leading_space; /* the MTA wants the blank behind the colon from us (SMFIP_HDR_LEADSPC) */
};

/* In the order of the session's list. False when one was refused: the message must not go on half changed. */
bool edits_apply(const struct session *session, const struct edit_target *target);

#endif
