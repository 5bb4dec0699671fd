#include "ctl/explain_replay.h"

#include "ctl/explain_history.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"
#include "lib/store/quarantine.h"

#include <stdlib.h>

/* What is judged again. */
enum source {
	SOURCE_NONE,
	SOURCE_FILE,
	SOURCE_COPY,    /* of the quarantine */
	SOURCE_ENVELOPE /* there was no message */
};

/* One message of the history. */
struct replay {
	const struct explain_options *options;
	struct store *store;
	const char *file; /* NULL: none is given */
	bool whole;
	size_t seen;
	bool good;
	enum source source;
	struct slice content; /* SOURCE_COPY */
};

/* Judges it as the options say. NULL with a message on standard error when it cannot be done. */
static json_t *judge_once(const struct replay *replay, const struct explain_options *options)
{
	json_t *object = NULL;
	struct explain_options copy = *options;
	copy.object_r = &object;
	struct engine *engine = explain_open(&copy);
	if (engine == NULL) {
		return NULL;
	}
	switch (replay->source) {
	case SOURCE_NONE:
		break;
	case SOURCE_FILE:
		explain_file(&copy, engine, replay->file);
		break;
	case SOURCE_COPY:
		explain_bytes(&copy, engine, "quarantine", replay->content);
		break;
	case SOURCE_ENVELOPE:
		explain_envelope(&copy, engine);
		break;
	}
	engine_close(engine);
	return object;
}

static enum session_cert cert_verified(enum history_cert cert)
{
	switch (cert) {
	case HISTORY_CERT_UNKNOWN:
		break;
	case HISTORY_CERT_VERIFIED:
		return SESSION_CERT_VERIFIED;
	case HISTORY_CERT_NOT_VERIFIED:
		return SESSION_CERT_NOT_VERIFIED;
	}
	return SESSION_CERT_UNKNOWN;
}

static const char *known(const char *text)
{
	return text[0] == '\0' ? NULL : text;
}

/* As the session of then was: behind an upstream relay the relay's, whose client is found in the message again. */
static void replay_options(const struct history_message *message, struct explain_options *options)
{
	bool relayed = strcmp(message->peer, message->client) != 0;
	if (!ip_parse(message->peer, &options->client)) {
		options->client.family = IP_UNKNOWN;
	}
	options->ptr = relayed ? message->peer_name : message->client_name;
	options->helo = relayed ? message->peer_helo : message->helo;
	options->from = message->mail_from;
	options->auth = known(message->auth_user);
	options->tls = (struct session_tls){.version = known(message->tls_version),
	                                    .cipher = known(message->tls_cipher),
	                                    .bits = (unsigned)message->tls_bits,
	                                    .cert_subject = known(message->cert_subject),
	                                    .cert_issuer = known(message->cert_issuer),
	                                    .verified = cert_verified(message->cert_verified)};
	options->rcpt_count = 0;
	for (size_t i = 0; i < message->recipients_given && i < EXPLAIN_RCPT_MAX; i++) {
		options->rcpt[options->rcpt_count++] = message->recipients[i].address;
	}
}

/* What of the message is there: the quarantine keeps the content until no copy of it is held, and a while longer. */
static void find_source(struct replay *replay, const struct history_message *message)
{
	replay->source = replay->file != NULL ? SOURCE_FILE : message->ended ? SOURCE_NONE : SOURCE_ENVELOPE;
	for (size_t i = 0; i < message->recipients_given && replay->source == SOURCE_NONE; i++) {
		const char *id = message->recipients[i].quarantine;
		if (id[0] != '\0' && quarantine_content(replay->store, id, &replay->content) == QUARANTINE_OK) {
			replay->source = SOURCE_COPY;
		}
	}
}

static const char *source_text(enum source source)
{
	switch (source) {
	case SOURCE_NONE:
		return "The message itself is not kept here: `mailreeve explain --id ID MESSAGE` judges a copy of it again.";
	case SOURCE_FILE:
		break;
	case SOURCE_COPY:
		return "Judged again, with the message as it is in the quarantine:";
	case SOURCE_ENVELOPE:
		return "Judged again, by the envelope alone, as no message was sent:";
	}
	return "Judged again:";
}

static json_t *or_null(json_t *value)
{
	return value == NULL ? json_null() : value;
}

static void show_json(const struct replay *replay, json_t *recorded, json_t *then, json_t *now)
{
	json_t *object = recorded;
	if (replay->whole) {
		object = json_pack("{s:o, s:o, s:o}", "recorded", recorded, "then", or_null(then), "now", or_null(now));
	} else {
		json_t *again = now == NULL ? NULL : json_pack("{s:o, s:o}", "then", or_null(then), "now", now);
		json_object_set_new(object, "replay", or_null(again));
	}
	json_dumpf(object, stdout, JSON_COMPACT);
	fputc('\n', stdout);
	json_decref(object);
}

/* Takes then and now, which may be NULL. */
static void show(const struct replay *replay, const struct history_message *message, json_t *then, json_t *now)
{
	json_t *recorded = history_json(message);
	if (replay->options->json) {
		show_json(replay, recorded, then, now);
		return;
	}
	explain_history_table(message, stdout);
	printf("  %s\n", source_text(replay->source));
	if (now != NULL) {
		fputc('\n', stdout);
		explain_compare(recorded, then, now, stdout);
	} else {
		fputc('\n', stdout);
	}
	json_decref(recorded);
	json_decref(then);
	json_decref(now);
}

static void judge_again(struct replay *replay, const struct history_message *message)
{
	struct explain_options options = *replay->options;
	json_t *then = NULL;
	replay_options(message, &options);
	if (message->dns[0] != '\0') {
		struct explain_options as_then = options;
		as_then.dns_text = message->dns;
		as_then.now = (uint64_t)message->time;
		then = judge_once(replay, &as_then);
	}
	json_t *now = judge_once(replay, &options);
	replay->good = now != NULL && (then != NULL || message->dns[0] == '\0');
	show(replay, message, then, now);
}

/* MTAs use queue ids again: of several messages the youngest is judged. */
static void replay_visit(void *context, const struct history_message *message)
{
	struct replay *replay = context;
	bool youngest = replay->seen++ == 0;
	replay->source = SOURCE_NONE;
	if (youngest) {
		find_source(replay, message);
	}
	if (replay->source != SOURCE_NONE) {
		judge_again(replay, message);
	} else if (youngest && replay->whole) {
		fputs("mailreeve explain: the quarantine has no copy of that message: name a file with it\n", stderr);
		replay->good = false;
	} else if (!replay->whole) {
		show(replay, message, NULL, NULL);
	}
	free((void *)(uintptr_t)replay->content.data);
	replay->content = (struct slice){NULL, 0};
}

bool explain_replay(const struct explain_options *options, const char *id, const char *file, bool whole)
{
	struct replay replay = {.options = options, .file = file, .whole = whole, .good = true};
	struct history_access history;
	if (!history_open("explain", options->config, file == NULL, &history)) {
		fprintf(stderr, "mailreeve explain: \"%s\" is no file, so it was looked for in the history\n", id);
		return false;
	}
	replay.store = history.store;
	bool found = explain_find(history.store, id, replay_visit, &replay);
	history_close(&history);
	return found && replay.good;
}
