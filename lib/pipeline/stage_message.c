/* The message itself: too large, no room for it, a header beyond our bounds, or no verdict in time. */
#include "lib/base/slice.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_message.h"

static const struct finding_code codes[] = {
	{"message.too_large", {ACTION_REJECT, 0}, FINDING_ENFORCED, "3.4", "The message is too large",
	 "larger than message_max: it was not inspected"},
	{"message.no_space", {ACTION_TEMPFAIL, 0}, FINDING_ENFORCED, "3.1", "No room for the message, please try again later",
	 "spool folder full or not writable: the message was not inspected"},
	{"message.header_limit", {ACTION_REJECT, 0}, 0, "6.0", "The header of the message is too large",
	 "more than header_max bytes or header_count_max fields"},
	{"message.undecided", {ACTION_TEMPFAIL, 0}, FINDING_ENFORCED, "3.0", "No verdict was reached, please try again later",
	 "a check did not come to an end"},
	{.code = NULL},
};

const struct finding_code *const message_undecided = &codes[3];

static enum stage_progress message_end(struct session *session, const void *settings)
{
	(void)settings;
	switch (session->message_status) {
	case MESSAGE_OK:
		break;
	case MESSAGE_TOO_LARGE:
		session_find(session, &codes[0], NULL, NULL);
		break;
	case MESSAGE_NO_SPACE:
		session_find(session, &codes[1], NULL, NULL);
		break;
	}
	if (session_headers(session)->truncated) {
		session_find(session, &codes[2], NULL, NULL);
	}
	return STAGE_DONE;
}

const struct stage stage_message = {
	.section = {.name = "message",
                .help = "Bounds on the message itself; the limits are at the top level of the file.",
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.outbound = true,
	.released = true,
	.on = {[PHASE_END] = message_end},
};
