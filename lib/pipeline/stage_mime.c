/* The message as MIME: can it be read in more than one way, is it broken, was all of it looked at? */
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"

enum { MIME_AMBIGUOUS, MIME_DEFECT, MIME_OPAQUE, MIME_LIMIT };

static const struct finding_code codes[] = {
	[MIME_AMBIGUOUS] = {"mime.ambiguous", {ACTION_TAG, 0}, 0, "6.0", "The message can be read in more than one way",
                        "mail programs extract different files from it; every reading was looked at"},
	[MIME_DEFECT] = {"mime.defect", {ACTION_IGNORE, 0}, 0, "6.0", "The message is not well-formed",
                     "broken MIME that all read the same way, as far as files go"},
	[MIME_OPAQUE] = {"mime.opaque", {ACTION_IGNORE, 0}, 0, "6.0", "The message has parts that cannot be looked into",
                     "a file that is elsewhere, in several messages, or in S/MIME that cannot be opened"},
	[MIME_LIMIT] = {"mime.limit", {ACTION_QUARANTINE, 0}, FINDING_ENFORCED, "7.0", "The message could not be looked at completely",
                    "a limit of size, files, nesting or time was reached: not all that it carries was looked at"},
	{.code = NULL},
};

static void find(struct session *session, size_t code, const char *detail)
{
	if (detail != NULL) {
		session_find(session, &codes[code], detail, NULL);
	}
}

static enum stage_progress mime_end(struct session *session, const void *settings)
{
	(void)settings;
	if (!session->inspected) {
		return STAGE_PENDING;
	}
	find(session, MIME_AMBIGUOUS, session->inspection.mime_ambiguous);
	find(session, MIME_DEFECT, session->inspection.mime_defect);
	find(session, MIME_OPAQUE, session->inspection.mime_opaque);
	find(session, MIME_LIMIT, session->inspection.exhausted);
	return STAGE_DONE;
}

const struct stage stage_mime = {
	.section = {.name = "mime",
                .help = "The structure of the message (MIME), in every plausible reading.",
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.outbound = true,
	.released = true,
	.on = {[PHASE_END] = mime_end},
};
