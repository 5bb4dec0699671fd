/* mailreeve explain: runs messages through the pipeline as the daemon would, without an MTA. */
#include "ctl/command.h"
#include "ctl/explain.h"
#include "ctl/explain_history.h"
#include "lib/base/log.h"
#include "lib/pipeline/stage_dnsbl.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { RCPT_MAX = 1000, EXIT_USAGE = 2 };

struct explain_options {
	const char *config, *dns_zone, *ptr, *helo, *from, *auth;
	struct session_tls tls;
	struct ip client; /* IP_UNKNOWN: not given */
	uint64_t now;     /* 0: the clock */
	bool json;
	const char *id;       /* of a message of the history that is to be judged again */
	const char *dns_text; /* its answers; NULL: those of dns_zone, or of the resolver */
	json_t **object_r;    /* where the result goes instead of being shown; NULL: nowhere */
	const char *rcpt[RCPT_MAX];
	size_t rcpt_count;
};

static const char usage[] =
	"usage: mailreeve explain [--config FILE] [--dns-zone FILE] [--client IP] [--ptr NAME] [--helo NAME]\n"
	"                         [--from ADDRESS] [--rcpt ADDRESS]... [--auth USER] [--tls VERSION]\n"
	"                         [--tls-cipher NAME] [--tls-bits N] [--tls-cert SUBJECT] [--tls-cert-issuer NAME]\n"
	"                         [--tls-cert-verified yes|no]\n"
	"                         [--now EPOCH] [--json] [MESSAGE...]\n"
	"       mailreeve explain [--config FILE] [--json] ID...\n"
	"       mailreeve explain [--config FILE] [--dns-zone FILE] [--json] --id ID MESSAGE\n"
	"Says what the daemon would do with each MESSAGE (a file, or - for standard input) and why.\n"
	"Without a MESSAGE it judges the envelope alone.\n"
	"An ID that names no file is a queue id or a support id: what the history knows of that message.\n"
	"With --id the MESSAGE is judged again as it came then: by the DNS answers of then, and by those of now.\n";

enum {
	OPT_CONFIG = 256,
	OPT_ZONE,
	OPT_CLIENT,
	OPT_PTR,
	OPT_HELO,
	OPT_FROM,
	OPT_RCPT,
	OPT_AUTH,
	OPT_TLS,
	OPT_TLS_CIPHER,
	OPT_TLS_BITS,
	OPT_TLS_CERT,
	OPT_TLS_ISSUER,
	OPT_TLS_VERIFIED,
	OPT_NOW,
	OPT_JSON,
	OPT_ID
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPT_CONFIG}, {"dns-zone", required_argument, NULL, OPT_ZONE},
	{"client", required_argument, NULL, OPT_CLIENT}, {"ptr", required_argument, NULL, OPT_PTR},
	{"helo", required_argument, NULL, OPT_HELO},     {"from", required_argument, NULL, OPT_FROM},
	{"rcpt", required_argument, NULL, OPT_RCPT},     {"auth", required_argument, NULL, OPT_AUTH},
	{"tls", required_argument, NULL, OPT_TLS},       {"now", required_argument, NULL, OPT_NOW},
	{"tls-cipher", required_argument, NULL, OPT_TLS_CIPHER}, {"tls-bits", required_argument, NULL, OPT_TLS_BITS},
	{"tls-cert", required_argument, NULL, OPT_TLS_CERT}, {"tls-cert-issuer", required_argument, NULL, OPT_TLS_ISSUER},
	{"tls-cert-verified", required_argument, NULL, OPT_TLS_VERIFIED},
	{"json", no_argument, NULL, OPT_JSON},           {"id", required_argument, NULL, OPT_ID},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* What the MTA's macros would say. */
static bool explain_tls(struct session_tls *tls, int option, const char *value)
{
	unsigned long long bits;
	bool yes = strcmp(value, "yes") == 0;
	switch (option) {
	case OPT_TLS:
		tls->version = strcmp(value, "none") == 0 ? NULL : value;
		return true;
	case OPT_TLS_CIPHER:
		tls->cipher = value;
		return true;
	case OPT_TLS_CERT:
		tls->cert_subject = value;
		return true;
	case OPT_TLS_ISSUER:
		tls->cert_issuer = value;
		return true;
	case OPT_TLS_BITS:
		if (!slice_to_uint(slice_from(value), 65536, &bits)) {
			fprintf(stderr, "mailreeve explain: --tls-bits: \"%s\" is no number of bits\n", value);
			return false;
		}
		tls->bits = (unsigned)bits;
		return true;
	default:
		if (!yes && strcmp(value, "no") != 0) {
			fprintf(stderr, "mailreeve explain: --tls-cert-verified: expected yes or no, not \"%s\"\n", value);
			return false;
		}
		tls->verified = yes ? SESSION_CERT_VERIFIED : SESSION_CERT_NOT_VERIFIED;
		return true;
	}
}

static bool explain_value(struct explain_options *options, int option, const char *value)
{
	unsigned long long now;
	switch (option) {
	case OPT_CONFIG:
		options->config = value;
		return true;
	case OPT_ZONE:
		options->dns_zone = value;
		return true;
	case OPT_CLIENT:
		if (!ip_parse(value, &options->client)) {
			fprintf(stderr, "mailreeve explain: --client: \"%s\" is no IP address\n", value);
			return false;
		}
		return true;
	case OPT_PTR:
		options->ptr = value;
		return true;
	case OPT_HELO:
		options->helo = value;
		return true;
	case OPT_FROM:
		options->from = value;
		return true;
	case OPT_RCPT:
		if (options->rcpt_count == RCPT_MAX) {
			fprintf(stderr, "mailreeve explain: more than %d times --rcpt\n", RCPT_MAX);
			return false;
		}
		options->rcpt[options->rcpt_count++] = value;
		return true;
	case OPT_AUTH:
		options->auth = value;
		return true;
	case OPT_TLS:
	case OPT_TLS_CIPHER:
	case OPT_TLS_BITS:
	case OPT_TLS_CERT:
	case OPT_TLS_ISSUER:
	case OPT_TLS_VERIFIED:
		return explain_tls(&options->tls, option, value);
	case OPT_NOW:
		if (!slice_to_uint(slice_from(value), UINT32_MAX, &now) || now == 0) {
			fprintf(stderr, "mailreeve explain: --now: \"%s\" is no time in seconds since 1970\n", value);
			return false;
		}
		options->now = now;
		return true;
	case OPT_JSON:
		options->json = true;
		return true;
	case OPT_ID:
		options->id = value;
		return true;
	default:
		fputs(usage, stderr);
		return false;
	}
}

/* Reads fd to its end, but no more than max bytes. NULL with errno set on failure. */
static char *read_all(int fd, size_t max, size_t *size_r)
{
	size_t capacity = 65536;
	size_t n = 0;
	char *data = malloc(capacity);
	while (data != NULL && n < max) {
		if (n == capacity) {
			char *larger = realloc(data, capacity * 2);
			if (larger == NULL) {
				break;
			}
			data = larger;
			capacity *= 2;
		}
		ssize_t got = read(fd, data + n, capacity - n < max - n ? capacity - n : max - n);
		if (got == 0) {
			break;
		}
		if (got < 0 && errno != EINTR) {
			free(data);
			return NULL;
		}
		n += got > 0 ? (size_t)got : 0;
	}
	*size_r = n;
	return data;
}

static char *read_message(const char *file, size_t max, size_t *size_r)
{
	if (strcmp(file, "-") == 0) {
		return read_all(STDIN_FILENO, max, size_r);
	}
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return NULL;
	}
	char *data = read_all(fd, max, size_r);
	int saved = errno;
	close(fd);
	errno = saved;
	return data;
}

/* Without --from: the Return-Path that the MTA wrote at delivery, else the author. */
static const char *default_sender(struct arena *arena, struct slice bytes)
{
	struct headers headers = {.count = 0};
	struct header_limits limits = {.max_count = 1000, .max_bytes = 1 << 20};
	struct author author;
	headers_parse(&headers, arena, &limits, bytes);
	const struct header *path = headers_find(&headers, "Return-Path", 0);
	if (path != NULL) {
		return slice_dup(arena, header_unfold(arena, path->value));
	}
	author_find(arena, &headers, &author);
	return author.address.text == NULL ? "" : author.address.text;
}

/* An address with UTF-8 is only ever sent with SMTPUTF8 (RFC 6531 3.4). */
static void explain_address(struct session *session, const char *path)
{
	if (!slice_is_ascii(slice_from(path))) {
		session_smtputf8(session);
	}
}

static void explain_begin(const struct explain_options *options, struct session *session, const char *sender)
{
	const char *from = options->from == NULL ? sender : options->from;
	session_connect(session, options->client.family == IP_UNKNOWN ? NULL : &options->client, options->ptr, NULL);
	session_tls(session, &options->tls);
	session_helo(session, options->helo == NULL ? "" : options->helo);
	session_mail(session, from, options->auth, NULL, options->now);
	explain_address(session, from);
	for (size_t i = 0; i < options->rcpt_count; i++) {
		explain_address(session, options->rcpt[i]);
		session_rcpt(session, options->rcpt[i]);
	}
}

static void explain_show(const struct explain_options *options, struct session *session, const char *file)
{
	if (options->object_r != NULL) {
		*options->object_r = explain_object(session, file);
	} else if (options->json) {
		explain_json(session, file, stdout);
	} else {
		explain_table(session, file, stdout);
	}
	fflush(stdout);
}

static bool explain_message(const struct explain_options *options, struct engine *engine, const char *file)
{
	struct session *session = session_create(engine);
	size_t size;
	char *data = read_message(file, session_globals(session)->message_max + 1, &size);
	if (data == NULL) {
		fprintf(stderr, "mailreeve explain: %s: %s\n", file, strerror(errno));
		session_destroy(session);
		return false;
	}
	struct arena *arena = arena_create(65536);
	struct slice bytes = {data, size};
	explain_begin(options, session, default_sender(arena, bytes));
	session_load(session, bytes);
	session_end(session);
	explain_show(options, session, file);
	session_destroy(session);
	arena_destroy(arena);
	free(data);
	return true;
}

static void explain_envelope(const struct explain_options *options, struct engine *engine)
{
	struct session *session = session_create(engine);
	explain_begin(options, session, "");
	session_end_envelope(session);
	explain_show(options, session, NULL);
	session_destroy(session);
}

static struct engine *explain_open(const struct explain_options *options)
{
	size_t count;
	const struct section *const *sections = stages_sections(&count);
	const char *path = options->config != NULL ? options->config : command_default_config();
	char *error = NULL;
	struct engine *engine = NULL;
	struct config *config = config_load(path, sections, count, &error);
	if (config != NULL) {
		struct arena *arena = arena_create(4096);
		const struct dnsbl_settings *dnsbl = config_settings(config, stages_section(&stage_dnsbl));
		const char *dns_text = options->dns_text == NULL ? NULL : dnsbl_unhide(arena, &dnsbl->lists, options->dns_text);
		engine = engine_open(config, &(struct engine_options){.dns_zone = options->dns_zone, .dns_text = dns_text}, &error);
		arena_destroy(arena);
		config_release(config);
	}
	if (engine == NULL) {
		fprintf(stderr, "mailreeve explain: %s\n", error);
		free(error);
	}
	return engine;
}

/* Judges the file as the options say. NULL with a message on standard error when it cannot be done. */
static json_t *replay_once(const struct explain_options *options, const char *file)
{
	json_t *object = NULL;
	struct explain_options copy = *options;
	copy.object_r = &object;
	struct engine *engine = explain_open(&copy);
	if (engine != NULL) {
		explain_message(&copy, engine, file);
		engine_close(engine);
	}
	return object;
}

/* One message of the history, and perhaps a file that is to be judged as it was. */
struct replay {
	const struct explain_options *options;
	const char *file; /* NULL: show what was recorded */
	size_t seen;
	bool good;
};

/* As the session of then was. */
static void replay_options(const struct history_message *message, struct explain_options *options)
{
	if (!ip_parse(message->peer, &options->client)) {
		options->client.family = IP_UNKNOWN;
	}
	options->ptr = message->client_name;
	options->helo = message->helo;
	options->from = message->mail_from;
	options->auth = message->auth_user[0] == '\0' ? NULL : message->auth_user;
	options->tls = (struct session_tls){.version = message->tls_version, .cipher = message->tls_cipher};
	options->rcpt_count = 0;
	for (size_t i = 0; i < message->recipients_given && i < RCPT_MAX; i++) {
		options->rcpt[options->rcpt_count++] = message->recipients[i].address;
	}
}

static void replay_show(const struct replay *replay, const struct history_message *message, json_t *then, json_t *now)
{
	json_t *recorded = history_json(message);
	if (replay->options->json) {
		json_t *object = json_pack("{s:o, s:o, s:o}", "recorded", recorded, "then", then == NULL ? json_null() : then, "now", now);
		json_dumpf(object, stdout, JSON_COMPACT);
		fputc('\n', stdout);
		json_decref(object);
		return;
	}
	explain_history_table(message, stdout);
	explain_compare(recorded, then, now, stdout);
	json_decref(recorded);
	json_decref(then);
	json_decref(now);
}

static void replay_message(struct replay *replay, const struct history_message *message)
{
	struct explain_options options = *replay->options;
	json_t *then = NULL;
	replay_options(message, &options);
	if (message->dns[0] != '\0') {
		struct explain_options as_then = options;
		as_then.dns_text = message->dns;
		as_then.now = (uint64_t)message->time;
		then = replay_once(&as_then, replay->file);
	}
	json_t *now = replay_once(&options, replay->file);
	replay->good = now != NULL && (then != NULL || message->dns[0] == '\0');
	if (replay->good) {
		replay_show(replay, message, then, now);
		return;
	}
	json_decref(then);
	json_decref(now);
}

/* MTAs use queue ids again: of several messages the youngest is judged. */
static void replay_visit(void *context, const struct history_message *message)
{
	struct replay *replay = context;
	if (replay->file != NULL && replay->seen++ == 0) {
		replay_message(replay, message);
	} else if (replay->file == NULL && replay->options->json) {
		json_t *object = history_json(message);
		json_dumpf(object, stdout, JSON_COMPACT);
		fputc('\n', stdout);
		json_decref(object);
	} else if (replay->file == NULL) {
		explain_history_table(message, stdout);
	}
}

static bool explain_history(const struct explain_options *options, const char *id, const char *file)
{
	struct replay replay = {.options = options, .file = file, .good = true};
	return explain_find(options->config, file == NULL, id, replay_visit, &replay) && replay.good;
}

/* All arguments are ids of the history, or --id names one: the engine is not needed for itself. */
static bool explain_is_history(const struct explain_options *options, int argc, char **argv)
{
	bool all = options->id != NULL || optind < argc;
	for (int i = optind; i < argc && options->id == NULL; i++) {
		all = all && explain_is_id(argv[i]);
	}
	return all;
}

static int explain_histories(const struct explain_options *options, int argc, char **argv)
{
	bool good = true;
	if (options->id != NULL && optind + 1 != argc) {
		fputs("mailreeve explain: --id wants one MESSAGE\n", stderr);
		return EXIT_USAGE;
	}
	for (int i = optind; i < argc; i++) {
		bool replay = options->id != NULL;
		good = explain_history(options, replay ? options->id : argv[i], replay ? argv[i] : NULL) && good;
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_explain(int argc, char **argv)
{
	struct explain_options options = {.client = {.family = IP_UNKNOWN}};
	int option;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (!explain_value(&options, option, optarg)) {
			return EXIT_USAGE;
		}
	}
	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	if (explain_is_history(&options, argc, argv)) {
		return explain_histories(&options, argc, argv);
	}
	struct engine *engine = explain_open(&options);
	if (engine == NULL) {
		return EXIT_FAILURE;
	}
	bool good = true;
	for (int i = optind; i < argc; i++) {
		good = explain_message(&options, engine, argv[i]) && good;
	}
	if (optind == argc) {
		explain_envelope(&options, engine);
	}
	engine_close(engine);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
