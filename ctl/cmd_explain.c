/* mailreeve explain: runs messages through the pipeline as the daemon would, without an MTA. */
#include "ctl/command.h"
#include "ctl/explain_history.h"
#include "ctl/explain_replay.h"
#include "lib/base/log.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"usage: mailreeve explain [--config FILE] [--dns-zone FILE] [--client IP] [--ptr NAME] [--helo NAME]\n"
	"                         [--from ADDRESS] [--rcpt ADDRESS]... [--auth USER] [--tls VERSION]\n"
	"                         [--tls-cipher NAME] [--tls-bits N] [--tls-cert SUBJECT] [--tls-cert-issuer NAME]\n"
	"                         [--tls-cert-verified yes|no]\n"
	"                         [--now EPOCH] [--json] [MESSAGE...]\n"
	"       mailreeve explain [--config FILE] [--json] ID...\n"
	"       mailreeve explain [--config FILE] [--dns-zone FILE] [--json] --id ID [MESSAGE]\n"
	"Says what the daemon would do with each MESSAGE (a file, or - for standard input) and why.\n"
	"Without a MESSAGE it judges the envelope alone.\n"
	"An ID that names no file is a queue id or a support id: what the history knows of that message, and\n"
	"what would be said of it again, by the DNS answers of then and by those of now, where a copy is in the quarantine.\n"
	"With --id that, of MESSAGE or of the quarantine's copy.\n";

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
		if (options->rcpt_count == EXPLAIN_RCPT_MAX) {
			fprintf(stderr, "mailreeve explain: more than %d times --rcpt\n", EXPLAIN_RCPT_MAX);
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
	if (options->id != NULL && optind + 1 < argc) {
		fputs("mailreeve explain: --id wants one MESSAGE, or none\n", stderr);
		return EXIT_USAGE;
	}
	if (options->id != NULL) {
		good = explain_replay(options, options->id, optind < argc ? argv[optind] : NULL, true);
	}
	for (int i = optind; i < argc && options->id == NULL; i++) {
		good = explain_replay(options, argv[i], NULL, false) && good;
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
		good = explain_file(&options, engine, argv[i]) && good;
	}
	if (optind == argc) {
		explain_envelope(&options, engine);
	}
	engine_close(engine);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
