/* ClamAV's answer, from the worker or from clamd. */
#include "lib/base/clock.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_virus.h"

#include <stddef.h>

#define SECOND CLOCK_NS_PER_S
#define DAY (24 * 3600 * SECOND)

enum { VIRUS_FOUND, VIRUS_LIMIT, VIRUS_ERROR, VIRUS_NOT_SCANNED, VIRUS_NO_DATABASE, VIRUS_OUTDATED, VIRUS_IGNORED };

static const struct finding_code codes[] = {
	[VIRUS_FOUND] = {"virus.found", {ACTION_REJECT, 0}, FINDING_ENFORCED, "7.0", "The message contains malware",
                     "ClamAV knows a signature of something in the message"},
	[VIRUS_LIMIT] = {"virus.limit", {ACTION_QUARANTINE, 0}, FINDING_ENFORCED, "7.0", "The message could not be scanned completely",
                     "a limit of size, files, nesting or time was reached: not fully scanned"},
	[VIRUS_ERROR] = {"virus.error", {ACTION_TEMPFAIL, 0}, FINDING_ENFORCED, "3.0",
                     "The message could not be scanned, please try again later", "the scanner failed on the message"},
	[VIRUS_NOT_SCANNED] = {"virus.not_scanned", {ACTION_TEMPFAIL, 0}, FINDING_ENFORCED, "3.0",
                           "The message could not be scanned, please try again later",
                           "no scanner has seen the message: its worker crashed or hung, clamd is away, or the self-test "
                           "fails"},
	[VIRUS_NO_DATABASE] = {"virus.no_database", {ACTION_IGNORE, 0}, 0, "3.0",
                           "The message could not be scanned, please try again later",
                           "no official ClamAV database (.cvd, .cld) is loaded: run freshclam; ignored by default, "
                           "so that a new installation works, set tempfail to insist"},
	[VIRUS_OUTDATED] = {"virus.outdated", {ACTION_IGNORE, 0}, 0, "3.0",
                        "The message could not be scanned, please try again later",
                        "the official ClamAV database is older than virus.max_age: does freshclam run?"},
	[VIRUS_IGNORED] = {"virus.ignored", {ACTION_IGNORE, 0}, 0, "7.0", "The message contains unwanted content",
                       "a signature that virus.ignore names has matched, and no other"},
	{.code = NULL},
};

static const struct option_word engines[] = {{"libclamav", VIRUS_LIBCLAMAV}, {"clamd", VIRUS_CLAMD}, {NULL, 0}};

static const struct option_row options[] = {
	{.name = "engine",
     .type = OPTION_WORD,
     .offset = offsetof(struct virus_settings, engine),
     .fallback = "libclamav",
     .words = engines,
     .help = "who scans: libclamav in the content workers, or a clamd that runs anyway, with its own database and limits"},
	{.name = "clamd_socket",
     .type = OPTION_STRING,
     .offset = offsetof(struct virus_settings, clamd_socket),
     .fallback = "/run/clamav/clamd.ctl",
     .min = 1,
     .max = 107,
     .help = "path of clamd's unix socket; it must be open to the daemon's user"},
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
	{.name = "pua",
     .type = OPTION_BOOL,
     .offset = offsetof(struct virus_settings, pua),
     .fallback = "no",
     .help = "count programs that are only potentially unwanted (PUA.*) as malware"},
	{.name = "ignore",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct virus_settings, ignore),
     .fallback = "",
     .help = "names of signatures that are not acted on, with or without .UNOFFICIAL; not with clamd, see its *.ign2"},
	{.name = "check_interval",
     .type = OPTION_DURATION,
     .offset = offsetof(struct virus_settings, check_interval),
     .fallback = "60s",
     .min = SECOND,
     .max = DAY,
     .help = "how often the databases are looked at: changed ones are loaded beside the old"},
	{.name = "max_age",
     .type = OPTION_DURATION,
     .offset = offsetof(struct virus_settings, max_age),
     .fallback = "7d",
     .min = 3600 * SECOND,
     .max = 3650 * DAY,
     .help = "an official database that is older is virus.outdated"},
	{.name = "self_test",
     .type = OPTION_BOOL,
     .offset = offsetof(struct virus_settings, self_test),
     .fallback = "yes",
     .help = "EICAR must be found: at the start, in each new database and at intervals, else mail is virus.not_scanned"},
	{.name = "self_test_interval",
     .type = OPTION_DURATION,
     .offset = offsetof(struct virus_settings, self_test_interval),
     .fallback = "1h",
     .min = SECOND,
     .max = DAY,
     .help = "how often"},
	{.name = NULL},
};

/* What it was scanned with: too little, or too old. */
static void virus_find_database(struct session *session, const struct virus_settings *settings)
{
	const struct inspect_database *database = &session->inspection.database;
	if (!database->official) {
		const char *detail = settings->engine == VIRUS_CLAMD
		                         ? "clamd has no daily.cvd"
		                         : arena_printf(session->arena, "%u signatures are loaded", database->signatures);
		session_find(session, &codes[VIRUS_NO_DATABASE], detail, NULL);
	} else if (database->time != 0 && session->now > database->time &&
	           session->now - database->time > settings->max_age / SECOND) {
		session_find(session, &codes[VIRUS_OUTDATED],
		             arena_printf(session->arena, "version %u is %llu days old", database->version,
		                          (unsigned long long)(session->now - database->time) / (24 * 3600)),
		             NULL);
	}
}

static enum stage_progress virus_end(struct session *session, const void *settings)
{
	if (!session->inspected) {
		return STAGE_PENDING;
	}
	const struct inspect_reply *reply = &session->inspection;
	switch (reply->virus) {
	case INSPECT_VIRUS_NOT_ASKED:
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
	case INSPECT_VIRUS_NOT_SCANNED:
		if (!session->poison) { /* else content.poison speaks for it: a later try is no use */
			session_find(session, &codes[VIRUS_NOT_SCANNED], reply->virus_problem, NULL);
		}
		return STAGE_DONE;
	case INSPECT_VIRUS_NO_DATABASE:
		session_find(session, &codes[VIRUS_NO_DATABASE], "no signatures at all are loaded", NULL);
		return STAGE_DONE;
	}
	if (reply->virus_ignored != NULL) {
		session_find(session, &codes[VIRUS_IGNORED], reply->virus_ignored, NULL);
	}
	virus_find_database(session, settings);
	return STAGE_DONE;
}

const struct stage stage_virus = {
	.section = {.name = "virus",
                .help = "ClamAV, in the content workers or as a clamd.",
                .options = options,
                .settings_size = sizeof(struct virus_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
	.inbound = true,
	.outbound = true,
	.released = true,
	.on = {[PHASE_END] = virus_end},
};
