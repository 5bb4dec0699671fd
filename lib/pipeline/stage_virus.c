/* ClamAV's answer, from the worker. */
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_virus.h"

#include <stddef.h>

enum { VIRUS_FOUND, VIRUS_LIMIT, VIRUS_ERROR, VIRUS_NO_DATABASE };

static const struct finding_code codes[] = {
	[VIRUS_FOUND] = {"virus.found", {ACTION_REJECT, 0}, true, "7.0", "The message contains malware",
                     "ClamAV knows a signature of something in the message"},
	[VIRUS_LIMIT] = {"virus.limit", {ACTION_QUARANTINE, 0}, true, "7.0", "The message could not be scanned completely",
                     "a limit of size, files, nesting or time was reached: not fully scanned"},
	[VIRUS_ERROR] = {"virus.error", {ACTION_TEMPFAIL, 0}, true, "3.0",
                     "The message could not be scanned, please try again later", "the scanner failed: not scanned"},
	[VIRUS_NO_DATABASE] = {"virus.no_database", {ACTION_IGNORE, 0}, false, "3.0",
                           "The message could not be scanned, please try again later",
                           "no official ClamAV database (.cvd, .cld) is loaded: run freshclam; ignored by default, "
                           "so that a new installation works, set tempfail to insist"},
	{.code = NULL},
};

static const struct option_row options[] = {
	{.name = "databases",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct virus_settings, databases),
     .fallback = "/var/lib/clamav, " MR_DATADIR "/signatures",
     .help = "ClamAV signature files and folders; one that does not exist is passed over"},
	{.name = "heuristics",
     .type = OPTION_BOOL,
     .offset = offsetof(struct virus_settings, heuristics),
     .fallback = "no",
     .help = "count ClamAV's heuristics (phishing, encrypted archives) as malware"},
	{.name = NULL},
};

static enum stage_progress virus_end(struct session *session, const void *settings)
{
	(void)settings;
	if (!session->inspected) {
		return STAGE_PENDING;
	}
	const struct inspect_reply *reply = &session->inspection;
	switch (reply->virus) {
	case INSPECT_VIRUS_NOT_SCANNED:
		return STAGE_DONE;
	case INSPECT_VIRUS_CLEAN:
		break;
	case INSPECT_VIRUS_FOUND:
		session_find(session, &codes[VIRUS_FOUND], reply->virus_name, NULL);
		break;
	case INSPECT_VIRUS_LIMIT:
		session_find(session, &codes[VIRUS_LIMIT], reply->virus_name, NULL);
		break;
	case INSPECT_VIRUS_ERROR:
		session_find(session, &codes[VIRUS_ERROR], reply->virus_problem, NULL);
		return STAGE_DONE;
	case INSPECT_VIRUS_NO_DATABASE:
		session_find(session, &codes[VIRUS_NO_DATABASE], "no signatures at all are loaded", NULL);
		return STAGE_DONE;
	}
	if (!reply->official_database) {
		session_find(session, &codes[VIRUS_NO_DATABASE],
		             arena_printf(session->arena, "%u signatures are loaded", reply->signatures_loaded), NULL);
	}
	return STAGE_DONE;
}

const struct stage stage_virus = {
	.section = {.name = "virus",
                .help = "ClamAV, in the content workers.",
                .options = options,
                .settings_size = sizeof(struct virus_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.outbound = true,
	.on = {[PHASE_END] = virus_end},
};
