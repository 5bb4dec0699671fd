/* mailreeve explain: runs messages through the pipeline as the daemon would, without an MTA. */
#include "ctl/command.h"
#include "ctl/explain.h"
#include "lib/base/log.h"
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
	const char *config, *dns_zone, *ptr, *helo, *from, *auth, *tls;
	struct ip client; /* IP_UNKNOWN: not given */
	uint64_t now;     /* 0: the clock */
	bool json;
	const char *rcpt[RCPT_MAX];
	size_t rcpt_count;
};

static const char usage[] =
	"usage: mailreeve explain [--config FILE] [--dns-zone FILE] [--client IP] [--ptr NAME] [--helo NAME]\n"
	"                         [--from ADDRESS] [--rcpt ADDRESS]... [--auth USER] [--tls VERSION]\n"
	"                         [--now EPOCH] [--json] [MESSAGE...]\n"
	"Says what the daemon would do with each MESSAGE (a file, or - for standard input) and why.\n"
	"Without a MESSAGE it judges the envelope alone.\n";

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
	OPT_NOW,
	OPT_JSON
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPT_CONFIG}, {"dns-zone", required_argument, NULL, OPT_ZONE},
	{"client", required_argument, NULL, OPT_CLIENT}, {"ptr", required_argument, NULL, OPT_PTR},
	{"helo", required_argument, NULL, OPT_HELO},     {"from", required_argument, NULL, OPT_FROM},
	{"rcpt", required_argument, NULL, OPT_RCPT},     {"auth", required_argument, NULL, OPT_AUTH},
	{"tls", required_argument, NULL, OPT_TLS},       {"now", required_argument, NULL, OPT_NOW},
	{"json", no_argument, NULL, OPT_JSON},           {"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

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
		options->tls = value;
		return true;
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
	session_tls(session, options->tls, NULL);
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
	if (options->json) {
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
		engine = engine_open(config, &(struct engine_options){.dns_zone = options->dns_zone}, &error);
		config_release(config);
	}
	if (engine == NULL) {
		fprintf(stderr, "mailreeve explain: %s\n", error);
		free(error);
	}
	return engine;
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
