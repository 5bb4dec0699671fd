/* mailreeve report: what the history says in sum. */
#include "ctl/command.h"
#include "ctl/period.h"
#include "ctl/report.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"

#include <getopt.h>
#include <stdlib.h>
#include <time.h>

enum { EXIT_USAGE = 2, LIMIT = 20, DAYS = 7, DAY = 86400 };

static const char usage[] =
	"usage: mailreeve report would   [--stage STAGE] [PERIOD]  what stages in mode observe or tag would have done\n"
	"       mailreeve report direct  [PERIOD]                  who came past the upstream networks\n"
	"       mailreeve report tls     [--domain DOMAIN] [PERIOD]  what requiring TLS would have blocked, by sender domain\n"
	"       mailreeve report summary [PERIOD]                  messages by action, findings, senders, clients\n"
	"       mailreeve report domain  DOMAIN [PERIOD]           what others report of mail in its name\n"
	"       mailreeve report import  [--help] FILE...          reads their reports\n"
	"       mailreeve report dmarc   [--help] ...              our aggregate reports to others\n"
	"PERIOD: [--since TIME] [--until TIME] [--limit N] [--json] [--config FILE]; by default the last 7 days.\n"
	"  TIME     7d, 12h, 30m ago, 2026-11-24, \"2026-11-24 13:05\", 13:05 today, @1764000000; local time\n"
	"  N        lines of each list, 20 if it is not given; 0: all\n";

enum { OPT_CONFIG = 256, OPT_SINCE, OPT_UNTIL, OPT_STAGE, OPT_DOMAIN, OPT_LIMIT, OPT_JSON };

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"since", required_argument, NULL, OPT_SINCE},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"stage", required_argument, NULL, OPT_STAGE},
    {"domain", required_argument, NULL, OPT_DOMAIN},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool refuse(const char *option, const char *value, const char *expected)
{
	fprintf(stderr, "mailreeve report: --%s: \"%s\": expected %s\n", option, value, expected);
	return false;
}

static bool report_domain(struct report *report, const char *value)
{
	report->domain = strcmp(value, "<>") == 0 ? "" : domain_canonical(report->arena, slice_from(value));
	return report->domain != NULL || refuse("domain", value, "a domain, or <> for the null path");
}

static bool report_limit(struct report *report, const char *value)
{
	unsigned long long limit;
	if (!slice_to_uint(slice_from(value), 1000000, &limit)) {
		return refuse("limit", value, "a number up to 1000000; 0: all");
	}
	report->period.limit = (size_t)limit;
	return true;
}

static bool report_value(struct report *report, int option, const char *value)
{
	int64_t now = (int64_t)time(NULL);
	switch (option) {
	case OPT_CONFIG:
		report->config = value;
		return true;
	case OPT_SINCE:
		return period_parse(value, now, &report->period.since) || refuse("since", value, PERIOD_EXPECTED);
	case OPT_UNTIL:
		return period_parse(value, now, &report->period.until) || refuse("until", value, PERIOD_EXPECTED);
	case OPT_STAGE:
		report->stage = value;
		return true;
	case OPT_DOMAIN:
		return report_domain(report, value);
	case OPT_LIMIT:
		return report_limit(report, value);
	case OPT_JSON:
		report->json = true;
		return true;
	default:
		fputs(usage, stderr);
		return false;
	}
}

static const struct {
	const char *name;
	bool (*run)(struct report *report);
} reports[] = {{"would", report_would}, {"direct", report_direct}, {"tls", report_tls}, {"summary", report_summary},
             {"domain", report_of_domain}};

static bool report_run(struct report *report, const char *name)
{
	for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
		if (strcmp(reports[i].name, name) == 0) {
			bool good = history_open("report", report->config, true, &report->history) && reports[i].run(report);
			history_close(&report->history);
			return good;
		}
	}
	return false;
}

static bool report_exists(const char *name)
{
	for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
		if (strcmp(reports[i].name, name) == 0) {
			return true;
		}
	}
	fprintf(stderr, "mailreeve report: there is no report \"%s\"\n%s", name, usage);
	return false;
}

int cmd_report(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "dmarc") == 0) {
		return report_dmarc(argc - 1, argv + 1);
	}
	if (argc > 1 && strcmp(argv[1], "import") == 0) {
		return report_import(argc - 1, argv + 1);
	}
	struct report report = {.arena = arena_create(65536)};
	int status = EXIT_SUCCESS;
	int option;
	report.period = (struct history_period){.since = (int64_t)time(NULL) - DAYS * DAY, .limit = LIMIT};
	log_set_level(LOG_LEVEL_ERROR);
	while (status == EXIT_SUCCESS && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			arena_destroy(report.arena);
			return EXIT_SUCCESS;
		}
		status = report_value(&report, option, optarg) ? EXIT_SUCCESS : EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS && optind + 2 == argc && strcmp(argv[optind], "domain") == 0) {
		status = report_domain(&report, argv[optind + 1]) ? EXIT_SUCCESS : EXIT_USAGE;
	} else if (status == EXIT_SUCCESS && optind + 1 != argc) {
		fputs(usage, stderr);
		status = EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS && !report_exists(argv[optind])) {
		status = EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS) {
		status = report_run(&report, argv[optind]) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	arena_destroy(report.arena);
	return status;
}
