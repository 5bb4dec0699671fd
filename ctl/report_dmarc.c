/* mailreeve report dmarc: our aggregate reports to others (RFC 9990), looked at, or sent at once. */
#include "ctl/command.h"
#include "ctl/report.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/engine.h"
#include "lib/pipeline/stages.h"
#include "lib/report/dmarc_failure.h"
#include "lib/report/dmarc_reports.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <time.h>

enum { EXIT_USAGE = 2, DOMAINS_MAX = 100000 };

static const char usage[] =
    "usage: mailreeve report dmarc [--day YYYY-MM-DD] [--dry-run | --send] [--dns-zone FILE] [--config FILE] [DOMAIN]\n"
    "       mailreeve report dmarc --failure [--dry-run] [--config FILE] [DOMAIN]\n"
    "DMARC aggregate reports (RFC 9990) about the mail of a day (UTC, by default yesterday) that the daemon makes, "
    "for\n"
    "DOMAIN or for each. --dry-run: prints their XML. --send: sends those that are not sent yet, now. Neither: a "
    "list.\n"
    "--failure: the failure reports (RFC 9991) that wait to be sent; --dry-run prints them as mail.\n";

enum { OPT_CONFIG = 256, OPT_DAY, OPT_DRY, OPT_FAILURE, OPT_SEND, OPT_ZONE };

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"day", required_argument, NULL, OPT_DAY},
    {"dry-run", no_argument, NULL, OPT_DRY},
    {"failure", no_argument, NULL, OPT_FAILURE},
    {"send", no_argument, NULL, OPT_SEND},
    {"dns-zone", required_argument, NULL, OPT_ZONE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct request {
	const char *config, *zone, *domain;
	int64_t day;
	bool dry_run, failure, send;
	struct arena *arena;
};

/* What is listed first and done afterwards: a visitor must not call the store. */
struct reports {
	struct arena *arena;
	struct dmarc_rows_report *items;
	size_t count, capacity;
};

static bool parse_day(const char *text, int64_t *day_r)
{
	struct tm tm = {.tm_isdst = 0};
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	*day_r = (int64_t)timegm(&tm) / DMARC_DAY;
	return end != NULL && *end == '\0' && *day_r >= 0;
}

static const char *day_text(struct arena *arena, int64_t day)
{
	time_t time = (time_t)day * DMARC_DAY;
	struct tm tm;
	char *text = arena_alloc(arena, 16);
	strftime(text, 16, "%Y-%m-%d", gmtime_r(&time, &tm));
	return text;
}

static bool on_report(void *context, const struct dmarc_rows_report *report)
{
	struct reports *reports = context;
	reports->items =
	    arena_grow(reports->arena, reports->items, sizeof *reports->items, reports->count, &reports->capacity);
	struct dmarc_rows_report *copy = &reports->items[reports->count++];
	*copy = *report;
	copy->domain = arena_strdup(reports->arena, report->domain);
	copy->record.data = slice_dup(reports->arena, report->record);
	return reports->count < DOMAINS_MAX;
}

static const char *state_text(enum dmarc_report_state state)
{
	switch (state) {
	case DMARC_REPORT_OPEN:
		break;
	case DMARC_REPORT_SENT:
		return "sent";
	case DMARC_REPORT_VOID:
		return "given up";
	}
	return "not sent";
}

static bool print_xml(const struct dmarc_reporter *reporter, const struct dmarc_rows_report *report)
{
	struct arena *arena = arena_create(65536);
	struct slice xml;
	bool good = dmarc_reports_xml(reporter, arena, report, &xml);
	if (good) {
		fwrite(xml.data, 1, xml.len, stdout);
	}
	arena_destroy(arena);
	return good;
}

static bool send_report(const struct dmarc_reporter *reporter, const struct dmarc_rows_report *report)
{
	enum dmarc_report_state state = report->state;
	if (state == DMARC_REPORT_OPEN) {
		state = dmarc_reports_send(reporter, report);
	}
	printf("%s: %s\n", report->domain, state_text(state));
	return state != DMARC_REPORT_OPEN;
}

struct failures {
	const struct request *request;
	const struct dmarc_reporter *reporter;
	size_t count;
};

static bool on_failure(void *context, const struct dmarc_failure *failure)
{
	struct failures *failures = context;
	struct arena *arena = arena_create(4096);
	failures->count++;
	if (failures->request->dry_run) {
		struct slice mail = dmarc_failure_mail(arena, failures->reporter, failure);
		fwrite(mail.data, 1, mail.len, stdout);
	} else {
		printf("%s  %-40s to <%s>, tried %lld times\n", day_text(arena, failure->day), failure->domain,
		       failure->address, (long long)failure->attempts);
	}
	arena_destroy(arena);
	return true;
}

static bool run_failures(const struct request *request, const struct dmarc_reporter *reporter)
{
	struct failures failures = {request, reporter, 0};
	if (dmarc_failures_waiting(reporter->store, request->domain, DOMAINS_MAX, on_failure, &failures) != STORE_OK) {
		fputs("mailreeve report dmarc: the store does not answer\n", stderr);
		return false;
	}
	if (failures.count == 0 && !request->dry_run) {
		puts("no failure report waits");
	}
	return true;
}

static bool run(const struct request *request, const struct dmarc_reporter *reporter)
{
	if (request->failure) {
		return run_failures(request, reporter);
	}
	struct reports reports = {.arena = request->arena};
	bool good = dmarc_rows_reports(reporter->store, request->day, request->domain, on_report, &reports) == STORE_OK;
	if (!good) {
		fputs("mailreeve report dmarc: the store does not answer\n", stderr);
	}
	if (reports.count == 0 && good && !request->dry_run) {
		printf("no mail of %s is to be reported\n", day_text(request->arena, request->day));
	}
	for (size_t i = 0; i < reports.count; i++) {
		const struct dmarc_rows_report *report = &reports.items[i];
		if (request->dry_run) {
			good = print_xml(reporter, report) && good;
		} else if (request->send) {
			good = send_report(reporter, report) && good;
		} else {
			printf("%s  %-40s %8lld messages, %s\n", day_text(request->arena, report->day), report->domain,
			       (long long)report->messages, state_text(report->state));
		}
	}
	return good;
}

static bool run_with_store(const struct request *request, const struct config *config, struct store *store)
{
	char *error = NULL;
	struct dmarc_reporter reporter = {.options = config_settings(config, SECTION_DMARC_REPORTS),
	                                  .submitter = engine_name(config, request->arena),
	                                  .store = store,
	                                  .now = (uint64_t)time(NULL)};
	if (reporter.options->email[0] == '\0') {
		fputs("mailreeve report dmarc: dmarc_reports.email is not set: no reports are made\n", stderr);
		return false;
	}
	reporter.dns = request->send ? engine_open_dns(config, request->zone, &error) : NULL;
	if (request->send && reporter.dns == NULL) {
		fprintf(stderr, "mailreeve report dmarc: %s\n", error);
		free(error);
		return false;
	}
	bool good = run(request, &reporter);
	dns_close(reporter.dns);
	return good;
}

static bool request_value(struct request *request, int option, const char *value)
{
	switch (option) {
	case OPT_CONFIG:
		request->config = value;
		return true;
	case OPT_ZONE:
		request->zone = value;
		return true;
	case OPT_DRY:
		request->dry_run = true;
		return true;
	case OPT_FAILURE:
		request->failure = true;
		return true;
	case OPT_SEND:
		request->send = true;
		return true;
	case OPT_DAY:
		if (!parse_day(value, &request->day)) {
			fprintf(stderr, "mailreeve report dmarc: --day: \"%s\": expected a day such as 2026-11-24\n", value);
			return false;
		}
		return true;
	default:
		fputs(usage, stderr);
		return false;
	}
}

static int execute(struct request *request)
{
	struct config *config = command_load_config(request->config);
	unsigned flags = request->send ? 0 : STORE_READ_ONLY;
	struct store *store = config == NULL ? NULL : command_open_store(config, flags);
	bool good = store != NULL && run_with_store(request, config, store);
	store_close(store);
	config_release(config);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int report_dmarc(int argc, char **argv)
{
	struct request request = {.domain = "", .day = (int64_t)time(NULL) / DMARC_DAY - 1, .arena = arena_create(4096)};
	int option;
	int status = EXIT_USAGE;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			arena_destroy(request.arena);
			return EXIT_SUCCESS;
		}
		if (!request_value(&request, option, optarg)) {
			arena_destroy(request.arena);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		request.domain = domain_canonical(request.arena, slice_from(argv[optind]));
	}
	log_set_level(LOG_LEVEL_WARNING);
	if (optind + 1 < argc || request.domain == NULL || (request.send && (request.dry_run || request.failure))) {
		fputs(usage, stderr);
	} else {
		status = execute(&request);
	}
	arena_destroy(request.arena);
	return status;
}
