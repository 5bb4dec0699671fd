/* mailreeve report import: aggregate and TLS reports of others into the store. */
#include "ctl/command.h"
#include "ctl/report.h"
#include "ctl/report_reader.h"
#include "ctl/table.h"
#include "lib/base/log.h"
#include "lib/mail/domain.h"
#include "lib/store/received_reports.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, NAME_WIDTH = 100 };

static const char usage[] =
    "usage: mailreeve report import [--config FILE] FILE...\n"
    "Reads DMARC aggregate reports and SMTP TLS reports that others sent: messages, or the reports themselves (.xml, "
    ".json), in\n"
    "gzip or zip. FILE -: standard input, for an alias such as  dmarc: \"|mailreeve report import -\"\n"
    "A report is kept once. mailreeve report domain shows what they say.\n";

struct import {
	struct store *store;
	size_t added, known, failed;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

static int64_t number_of(const json_t *object, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(object, key));
}

static struct received_row row_of(const json_t *row)
{
	return (struct received_row){.source = text_of(row, "source"),
	                             .disposition = text_of(row, "disposition"),
	                             .dkim = text_of(row, "dkim"),
	                             .spf = text_of(row, "spf"),
	                             .header_from = text_of(row, "header_from"),
	                             .dkim_domains = text_of(row, "dkim_domains"),
	                             .spf_domain = text_of(row, "spf_domain"),
	                             .messages = number_of(row, "count"),
	                             .mx = text_of(row, "mx"),
	                             .details = text_of(row, "details"),
	                             .success = number_of(row, "success"),
	                             .failure = number_of(row, "failure")};
}

static void complain(struct import *import, struct arena *arena, const char *file, const char *problem)
{
	import->failed++;
	fprintf(stderr, "mailreeve report import: %s: %s\n", file, table_text(arena, problem, NAME_WIDTH));
}

static void import_report(struct import *import, struct arena *arena, const char *file, const json_t *object)
{
	const json_t *rows = json_object_get(object, "rows");
	size_t count = json_array_size(rows);
	struct received_row *items = calloc(count == 0 ? 1 : count, sizeof *items);
	const char *domain = domain_canonical(arena, slice_from(text_of(object, "domain")));
	struct received_report report = {.kind = text_of(object, "kind"),
	                                 .org = text_of(object, "org"),
	                                 .report_id = text_of(object, "id"),
	                                 .domain = domain,
	                                 .policy = text_of(object, "policy"),
	                                 .begin = number_of(object, "begin"),
	                                 .end = number_of(object, "end")};
	bool known;
	if (items == NULL) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		items[i] = row_of(json_array_get(rows, i));
	}
	if (domain == NULL) {
		complain(import, arena, file, "its domain is no domain name");
	} else if (received_report_add(import->store, &report, items, count, (int64_t)time(NULL), &known) != STORE_OK) {
		complain(import, arena, file, "the store does not take it");
	} else {
		*(known ? &import->known : &import->added) += 1;
		printf("%s: %s report of %s about %s%s\n", file, report.kind, table_text(arena, report.org, NAME_WIDTH), domain,
		       known ? ", known before" : "");
	}
	free(items);
}

/* One byte more than is taken tells that there is more. */
static bool read_file(int fd, struct strbuf *bytes)
{
	char block[65536];
	ssize_t n;
	while ((n = read(fd, block, sizeof block)) != 0) {
		if (n < 0 && errno != EINTR) {
			return false;
		}
		strbuf_add(bytes, block, n > 0 ? (size_t)n : 0);
		if (bytes->len > REPORT_READER_FILE_MAX) {
			errno = EFBIG;
			return false;
		}
	}
	return true;
}

/* What is in a file; NULL: it was said why not. */
static json_t *reports_of(struct import *import, const char *file)
{
	struct arena *arena = arena_create(65536);
	struct strbuf bytes;
	json_t *reports = NULL;
	const char *problem = "no report in it";
	int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	strbuf_init(&bytes, arena);
	if (fd < 0 || !read_file(fd, &bytes)) {
		problem = strerror(errno);
	} else {
		reports = report_reader_run((struct slice){bytes.data, bytes.len}, arena, &problem);
	}
	if (json_array_size(reports) == 0) {
		complain(import, arena, file, problem);
	}
	if (fd > STDIN_FILENO) {
		close(fd);
	}
	arena_destroy(arena);
	return reports;
}

static void import_reports(struct import *import, const char *file, const json_t *reports)
{
	struct arena *arena = arena_create(4096);
	for (size_t i = 0; i < json_array_size(reports); i++) {
		const json_t *report = json_array_get(reports, i);
		const char *problem = json_string_value(json_object_get(report, "problem"));
		if (problem != NULL) {
			complain(import, arena, file, problem);
		} else {
			import_report(import, arena, file, report);
		}
	}
	arena_destroy(arena);
}

/* All is read before the store is opened: the store has threads, and a process with threads should not fork. Files are
 * opened by whoever calls, the store by the daemon's user. */
static int execute(const char *config_path, char **files, int count)
{
	struct import import = {.added = 0};
	struct config *config = command_load_config(config_path);
	json_t **reports = calloc((size_t)count, sizeof(json_t *));
	if (reports == NULL) {
		abort();
	}
	for (int i = 0; config != NULL && i < count; i++) {
		reports[i] = reports_of(&import, files[i]);
	}
	import.store = config == NULL ? NULL : command_open_store(config, STORE_MIGRATE);
	for (int i = 0; i < count; i++) {
		if (import.store != NULL) {
			import_reports(&import, files[i], reports[i]);
		}
		json_decref(reports[i]);
	}
	free(reports);
	bool good = import.store != NULL && import.failed == 0;
	if (import.store != NULL) {
		printf("%zu imported, %zu known before, %zu failed\n", import.added, import.known, import.failed);
	}
	store_close(import.store);
	config_release(config);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int report_import(int argc, char **argv)
{
	static const struct option long_options[] = {
	    {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *config = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (option != 'c') {
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
		config = optarg;
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	log_set_level(LOG_LEVEL_WARNING);
	return execute(config, argv + optind, argc - optind);
}
