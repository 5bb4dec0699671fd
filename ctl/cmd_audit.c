/* mailreeve audit: the systematic check of a domain's mail set-up. */
#include "ctl/audit.h"
#include "ctl/command.h"
#include "lib/audit/audit_contact.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"

#include <getopt.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Besides those of other commands (command.h): what a script wants to know. */
enum { EXIT_USAGE = 2, EXIT_WARNINGS = 3, EXIT_FAULTS = 4, DNS_SECONDS = 60, ARENA_CHUNK = 65536 };

static const char usage[] =
    "usage: mailreeve audit DOMAIN [--selector SELECTOR]... [--helo NAME] [--ip ADDRESS] [--no-connect]\n"
    "                       [--fix-plan] [--json | --html] [--config FILE] [--dns-zone FILE [--connect]]\n"
    "                       [--ca-file FILE] [--smtp-port N] [--https-port N] [--now EPOCH]\n"
    "Checks MX, HELO and PTR, SPF, DKIM, DMARC, MTA-STS, TLS-RPT, DANE, STARTTLS and BIMI of a domain; says what is\n"
    "wrong, what that means, and what to publish next. --helo and --ip: what its server calls itself, and from where\n"
    "it sends. --fix-plan: what to do, in order of risk. With --no-connect, or --dns-zone without --connect, no server\n"
    "is asked. Exit status: 0 all is well; 3 warnings; 4 faults; 1 it could not be done; 2 called wrongly.\n";

enum {
	OPT_CONFIG = 256,
	OPT_ZONE,
	OPT_SELECTOR,
	OPT_HELO,
	OPT_IP,
	OPT_CONNECT,
	OPT_NO_CONNECT,
	OPT_CA_FILE,
	OPT_SMTP_PORT,
	OPT_HTTPS_PORT,
	OPT_NOW,
	OPT_JSON,
	OPT_HTML,
	OPT_PLAN
};

static const struct option long_options[] = {{"config", required_argument, NULL, OPT_CONFIG},
                                             {"dns-zone", required_argument, NULL, OPT_ZONE},
                                             {"selector", required_argument, NULL, OPT_SELECTOR},
                                             {"helo", required_argument, NULL, OPT_HELO},
                                             {"ip", required_argument, NULL, OPT_IP},
                                             {"connect", no_argument, NULL, OPT_CONNECT},
                                             {"no-connect", no_argument, NULL, OPT_NO_CONNECT},
                                             {"ca-file", required_argument, NULL, OPT_CA_FILE},
                                             {"smtp-port", required_argument, NULL, OPT_SMTP_PORT},
                                             {"https-port", required_argument, NULL, OPT_HTTPS_PORT},
                                             {"now", required_argument, NULL, OPT_NOW},
                                             {"json", no_argument, NULL, OPT_JSON},
                                             {"html", no_argument, NULL, OPT_HTML},
                                             {"fix-plan", no_argument, NULL, OPT_PLAN},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

struct audit_command {
	const char *config_path, *zone;
	const char *selectors[AUDIT_SELECTORS_MAX + 1];
	size_t selector_count;
	struct audit_request request;
	struct audit_contact_settings contact;
	bool connect, no_connect, json, html, plan;
	struct arena *arena;
};

static bool number(const char *option, const char *text, unsigned long long max, unsigned long long *value_r)
{
	bool good = slice_to_uint(slice_from(text), max, value_r) && *value_r > 0;
	if (!good) {
		fprintf(stderr, "mailreeve audit: %s: \"%s\" is no number from 1 to %llu\n", option, text, max);
	}
	return good;
}

static bool take_number(struct audit_command *command, int option, const char *text)
{
	unsigned long long value;
	if (option == OPT_NOW) {
		bool good = number("--now", text, UINT32_MAX, &value);
		command->request.now = good ? value : 0;
		return good;
	}
	if (!number(option == OPT_SMTP_PORT ? "--smtp-port" : "--https-port", text, 65535, &value)) {
		return false;
	}
	*(option == OPT_SMTP_PORT ? &command->contact.smtp_port : &command->contact.https_port) = (unsigned)value;
	return true;
}

static bool take_value(struct audit_command *command, int option, const char *value)
{
	switch (option) {
	case OPT_CONFIG:
		command->config_path = value;
		return true;
	case OPT_ZONE:
		command->zone = value;
		return true;
	case OPT_SELECTOR:
		if (command->selector_count == AUDIT_SELECTORS_MAX) {
			fprintf(stderr, "mailreeve audit: more than %d times --selector\n", (int)AUDIT_SELECTORS_MAX);
			return false;
		}
		command->selectors[command->selector_count++] = value;
		return true;
	case OPT_HELO:
		command->request.helo = value;
		return true;
	case OPT_IP:
		if (!ip_parse(value, &command->request.ip)) {
			fprintf(stderr, "mailreeve audit: --ip: \"%s\" is no IP address\n", value);
			return false;
		}
		return true;
	case OPT_CA_FILE:
		command->contact.ca_file = value;
		return true;
	default:
		return take_number(command, option, value);
	}
}

static bool take_option(struct audit_command *command, int option, const char *value)
{
	switch (option) {
	case OPT_CONNECT:
		command->connect = true;
		return true;
	case OPT_NO_CONNECT:
		command->no_connect = true;
		return true;
	case OPT_JSON:
		command->json = true;
		return true;
	case OPT_HTML:
		command->html = true;
		return true;
	case OPT_PLAN:
		command->plan = true;
		return true;
	case '?':
		fputs(usage, stderr);
		return false;
	default:
		return take_value(command, option, value);
	}
}

static void run_to_end(const struct audit_command *command, struct lookups *lookups, struct audit *audit)
{
	uint64_t deadline = clock_now() + DNS_SECONDS * CLOCK_NS_PER_S;
	while (!audit_run(&command->request, lookups, command->arena, audit)) {
		if (!lookups_wait(lookups, deadline)) {
			lookups_expire(lookups, "deadline");
		}
	}
}

static int show(const struct audit_command *command, const struct audit *audit)
{
	struct audit_view view = {.audit = audit,
	                          .arena = command->arena,
	                          .now = command->request.now,
	                          .plan = command->plan,
	                          .connected = command->request.contact != NULL};
	if (command->json) {
		audit_json(&view, stdout);
	} else if (command->html) {
		audit_html(&view, stdout);
	} else {
		audit_table(&view, stdout);
	}
	if (fflush(stdout) != 0) {
		return EXIT_FAILURE;
	}
	return audit_count(audit, AUDIT_FAULT) > 0     ? EXIT_FAULTS
	       : audit_count(audit, AUDIT_WARNING) > 0 ? EXIT_WARNINGS
	       : audit_count(audit, AUDIT_UNKNOWN) > 0 ? EXIT_FAILURE
	                                               : EXIT_SUCCESS;
}

static int audit_domain(struct audit_command *command, struct dns *dns)
{
	struct audit audit;
	struct audit_contact contact;
	struct lookups *lookups = lookups_create(dns);
	bool connects = !command->no_connect && (command->zone == NULL || command->connect);
	run_to_end(command, lookups, &audit);
	if (audit.domain[0] == '\0') {
		fprintf(stderr, "mailreeve audit: \"%s\" is no domain\n", text_escape(command->arena, slice_from(command->request.domain), "", true, 300));
		lookups_destroy(lookups);
		return EXIT_USAGE;
	}
	if (connects) {
		audit_contact_make(&audit, &command->contact, command->arena, &contact);
		command->request.contact = &contact;
		run_to_end(command, lookups, &audit);
	}
	int status = show(command, &audit);
	lookups_destroy(lookups);
	return status;
}

static int run(struct audit_command *command)
{
	size_t count;
	char *error = NULL;
	struct dns *dns = NULL;
	int status = EXIT_FAILURE;
	const struct section *const *sections = stages_sections(&count);
	struct config *config = config_load(command->config_path, sections, count, &error);
	if (config != NULL) {
		const struct dns_options *options = config_settings(config, SECTION_DNS);
		command->request.validates = command->zone != NULL || access(options->trust_anchor_file, R_OK) == 0;
		command->contact.helo = engine_name(config, command->arena);
		dns = engine_open_dns(config, command->zone, &error);
	}
	if (dns != NULL) {
		status = audit_domain(command, dns);
	} else {
		fprintf(stderr, "mailreeve audit: %s\n", error);
		free(error);
	}
	dns_close(dns);
	config_release(config);
	return status;
}

int cmd_audit(int argc, char **argv)
{
	struct audit_command command = {.config_path = command_default_config(),
	                                .contact = {.smtp_port = 25, .https_port = 443},
	                                .request = {.now = (uint64_t)time(NULL)},
	                                .arena = arena_create(ARENA_CHUNK)};
	int option;
	int status = -1;
	log_set_level(LOG_LEVEL_ERROR);
	while (status < 0 && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			status = EXIT_SUCCESS;
		} else if (!take_option(&command, option, optarg)) {
			status = EXIT_USAGE;
		}
	}
	if (status < 0 && (argc - optind != 1 || (command.json && command.html) || (command.connect && command.no_connect))) {
		fputs(usage, stderr);
		status = EXIT_USAGE;
	}
	if (status < 0) {
		command.request.domain = argv[optind];
		command.request.selectors = command.selector_count > 0 ? command.selectors : NULL;
		command.request.private_allowed = command.contact.private_allowed = command.connect;
		command.contact.now = command.request.now;
		status = run(&command);
	}
	arena_destroy(command.arena);
	return status;
}
