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

static void import_bytes(struct import *import, const char *file, struct slice bytes)
{
	struct arena *arena = arena_create(65536);
	const char *problem = NULL;
	json_t *reports = report_reader_run(bytes, arena, &problem);
	for (size_t i = 0; i < json_array_size(reports); i++) {
		const json_t *report = json_array_get(reports, i);
		const char *what = json_string_value(json_object_get(report, "problem"));
		if (what != NULL) {
			complain(import, arena, file, what);
		} else {
			import_report(import, arena, file, report);
		}
	}
	if (json_array_size(reports) == 0) {
		complain(import, arena, file, problem != NULL ? problem : "no report in it");
	}
	json_decref(reports);
	arena_destroy(arena);
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

static void import_file(struct import *import, const char *file, int fd)
{
	struct arena *arena = arena_create(65536);
	struct strbuf bytes;
	strbuf_init(&bytes, arena);
	if (fd < 0 || !read_file(fd, &bytes)) {
		complain(import, arena, file, strerror(errno));
	} else {
		import_bytes(import, file, (struct slice){bytes.data, bytes.len});
	}
	if (fd > STDIN_FILENO) {
		close(fd);
	}
	arena_destroy(arena);
}

/* Files are opened by whoever calls, the store by the daemon's user. */
static int *open_files(char **files, int count)
{
	int *fds = calloc((size_t)count, sizeof *fds);
	for (int i = 0; fds != NULL && i < count; i++) {
		fds[i] = strcmp(files[i], "-") == 0 ? STDIN_FILENO : open(files[i], O_RDONLY | O_CLOEXEC);
	}
	return fds;
}

static int execute(const char *config_path, char **files, int count)
{
	struct import import = {.added = 0};
	int *fds = open_files(files, count);
	struct config *config = command_load_config(config_path);
	import.store = config == NULL ? NULL : command_open_store(config, STORE_MIGRATE);
	for (int i = 0; import.store != NULL && i < count; i++) {
		import_file(&import, files[i], fds[i]);
	}
	bool good = import.store != NULL && import.failed == 0;
	if (import.store != NULL) {
		printf("%zu imported, %zu known before, %zu failed\n", import.added, import.known, import.failed);
	}
	store_close(import.store);
	config_release(config);
	free(fds);
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
