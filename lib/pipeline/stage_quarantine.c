/* The quarantine's side at the gate: a message that comes back from it, released, is known by its token. Only the token
 * makes it so: its MAC holds for this message and this recipient, the store says that the release is under way, and the
 * verdict uses it up (parting.c). Its sender, client and results are those of its arrival. */
#include "lib/pipeline/stage_quarantine.h"

#include "lib/base/clock.h"
#include "lib/pipeline/session.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DAY (24 * 3600 * CLOCK_NS_PER_S)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum { TOKEN_INVALID, TOKEN_OUTBOUND, UNAVAILABLE, FULL, SPENT };

static const struct finding_code codes[] = {
    [TOKEN_INVALID] = {"quarantine.token_invalid",
                       {ACTION_IGNORE, 0},
                       0,
                       "7.1",
                       "The message claims to be released from the quarantine",
                       "an X-Mailreeve-Release that was not made here, for this message and recipient, or has expired"},
    [TOKEN_OUTBOUND] = {"quarantine.token_outbound",
                        {ACTION_REJECT, 0},
                        FINDING_ENFORCED,
                        "7.1",
                        "The message is not released from the quarantine",
                        "outbound mail with a token that does not hold: a release that comes too late, or changed"},
    [UNAVAILABLE] = {"quarantine.unavailable",
                     {ACTION_TEMPFAIL, 0},
                     FINDING_ENFORCED,
                     "3.0",
                     "The quarantine is not available, please try again later",
                     "the store is down: a copy could not be stored, or a release not looked up"},
    [FULL] = {"quarantine.full",
              {ACTION_TEMPFAIL, 0},
              FINDING_ENFORCED,
              "3.1",
              "The quarantine is full, please try again later",
              "total_max or recipient_max is reached: a copy could not be stored"},
    [SPENT] = {"quarantine.token_spent",
               {ACTION_REJECT, 0},
               FINDING_ENFORCED,
               "7.1",
               "The message was released from the quarantine before",
               "a release that was used already, or ended"},
    {.code = NULL},
};
const struct finding_code *const quarantine_unavailable = &codes[UNAVAILABLE];
const struct finding_code *const quarantine_full = &codes[FULL];
const struct finding_code *const quarantine_spent = &codes[SPENT];

static const struct option_word methods[] = {{"hold", QUARANTINE_HOLD}, {"store", QUARANTINE_STORE}, {NULL, 0}};

#define ROW(member, kind, default_text, least, most, help_text)                                                        \
	{                                                                                                                  \
		.name = #member, .type = (kind), .offset = offsetof(struct quarantine_settings, member),                       \
		.fallback = (default_text), .min = (least), .max = (most), .help = (help_text)                                 \
	}

static const struct option_row options[] = {
    {.name = "method",
     .type = OPTION_WORD,
     .offset = offsetof(struct quarantine_settings, method),
     .fallback = "hold",
     .words = methods,
     .help = "hold: where all recipients agree the MTA holds the message in its queue; store: it is stored"},
    ROW(keep, OPTION_DURATION, "30d", 3600 * CLOCK_NS_PER_S, 3650 * DAY, "what is stored expires after that time"),
    ROW(message_max, OPTION_SIZE, "32M", 64 << 10, GIB,
        "a larger message is not stored: the strictest verdict holds for all its recipients"),
    ROW(total_max, OPTION_SIZE, "10G", MIB, 1024 * 1024 * GIB,
        "of all stored messages, compressed; beyond it mail that is to be stored is put off"),
    ROW(recipient_max, OPTION_UINT, "10000", 1, 100000000, "messages stored for one recipient; likewise"),
    ROW(relay, OPTION_STRING, "smtp:127.0.0.1:25", 1, 1000,
        "the MTA that takes released mail, and shows it to this daemon again: smtp:HOST:PORT or sendmail:/PATH"),
    ROW(release_time, OPTION_DURATION, "10m", 10 * CLOCK_NS_PER_S, DAY, "the token of a release is good for that long"),
    {.name = NULL},
};

struct quarantine_limits quarantine_limits_of(const struct quarantine_settings *settings)
{
	return (struct quarantine_limits){
	    .keep = settings->keep / CLOCK_NS_PER_S,
	    .message_max = settings->message_max,
	    .total_max = settings->total_max,
	    .recipient_count = settings->recipient_max,
	};
}

/* ---- is it a release? ---- */

/* The one recipient that the MTA has; NULL: none, or several. */
static struct recipient *only_recipient(struct session *session)
{
	struct recipient *only = NULL;
	for (size_t i = 0; i < session->recipient_count; i++) {
		if (!session->recipients[i].refused) {
			if (only != NULL) {
				return NULL;
			}
			only = &session->recipients[i];
		}
	}
	return only;
}

static bool digest_behind_token(const struct session *session, unsigned char *digest_r)
{
	size_t size = (size_t)message_size(session->message);
	void *bytes = size == 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, message_fd(session->message), 0);
	if (bytes == MAP_FAILED) {
		return false;
	}
	bool found = release_token_digest_behind((struct slice){bytes, size}, digest_r);
	munmap(bytes, size);
	return found;
}

struct lookup {
	struct session *session;
	struct session_release *release;
	bool found;
};

static bool read_release(void *context, const struct quarantine_message *message, const struct quarantine_copy *copy)
{
	struct lookup *lookup = context;
	struct arena *arena = lookup->session->arena;
	lookup->found = copy->state == QUARANTINE_RELEASING;
	lookup->release->direction = message->direction;
	lookup->release->support_id = arena_strdup(arena, message->support_id);
	lookup->release->authres = arena_strdup(arena, message->authres);
	lookup->release->reason = arena_strdup(arena, copy->reason);
	if (!ip_parse(message->client, &lookup->release->client)) {
		lookup->release->client = (struct ip){.family = IP_UNKNOWN};
	}
	lookup->release->client_name = arena_strdup(arena, message->client_name);
	lookup->release->helo = arena_strdup(arena, message->helo);
	return false;
}

enum release_status { RELEASE_GOOD, RELEASE_INVALID, RELEASE_SPENT, RELEASE_UNKNOWN };

static enum release_status release_check(struct session *session, struct store *store, struct session_release *release)
{
	unsigned char key[RELEASE_KEY_SIZE];
	unsigned char digest[RELEASE_DIGEST_SIZE];
	const struct recipient *recipient = only_recipient(session);
	if (recipient == NULL || session->now > release->token.expires || !digest_behind_token(session, digest)) {
		return RELEASE_INVALID;
	}
	if (quarantine_key(store, key) != QUARANTINE_OK) {
		return RELEASE_UNKNOWN;
	}
	if (!release_token_verify(&release->token, key, slice_from(recipient->address.text), digest)) {
		return RELEASE_INVALID;
	}
	struct lookup lookup = {session, release, false};
	struct quarantine_filter filter = {.id = release->token.message, .copy = release->token.copy};
	if (quarantine_list(store, &filter, read_release, &lookup) != QUARANTINE_OK) {
		return RELEASE_UNKNOWN;
	}
	return lookup.found ? RELEASE_GOOD : RELEASE_SPENT;
}

/* From here on the message is as it was at its arrival: it is not outbound because our relay brings it. */
static void release_accept(struct session *session, struct session_release *release)
{
	session->release = release;
	session->direction = release->direction;
	only_recipient(session)->allow = POLICY_USER;
	session_edit(session, &stage_quarantine, EDIT_INSERT_HEADER, "X-Mailreeve-Verdict",
	             arena_printf(session->arena, "released; id=%s;\n\tfinding=%s", release->support_id, release->reason),
	             0);
}

static enum stage_progress quarantine_end(struct session *session, const void *settings)
{
	(void)settings;
	const struct header *field = headers_find(session_headers(session), RELEASE_TOKEN_FIELD, 0);
	struct store *store = engine_store(session->engine);
	if (field == NULL || session->message == NULL || session->message_status != MESSAGE_OK) {
		return STAGE_DONE;
	}
	struct session_release *release = arena_alloc(session->arena, sizeof *release);
	enum release_status status = RELEASE_INVALID;
	if (store != NULL && release_token_parse(field->value, &release->token)) {
		status = release_check(session, store, release);
	}
	switch (status) {
	case RELEASE_GOOD:
		release_accept(session, release);
		break;
	case RELEASE_INVALID:
		/* Our relay's mail is outbound: without a token that holds it would pass unjudged, and be signed. */
		session_find(session, &codes[session->direction == DIRECTION_OUTBOUND ? TOKEN_OUTBOUND : TOKEN_INVALID], NULL,
		             NULL);
		break;
	case RELEASE_SPENT:
		session_find(session, quarantine_spent, NULL, NULL);
		break;
	case RELEASE_UNKNOWN:
		session_find(session, quarantine_unavailable, "a release could not be looked up", NULL);
		break;
	}
	return STAGE_DONE;
}

const struct stage stage_quarantine = {
    .section = {.name = "quarantine",
                .help = "Where mail with the verdict quarantine goes, and how it is released.",
                .options = options,
                .settings_size = sizeof(struct quarantine_settings),
                .codes = codes,
                .mode = MODE_ENFORCE,
                .needed = true},
    .inbound = true,
    .outbound = true,
    .released = true,
    .on = {[PHASE_END] = quarantine_end},
};
