/* mailreeve digest: reports to users. */
#include "ctl/command.h"
#include "lib/base/log.h"
#include "lib/pipeline/stage_digest.h"
#include "lib/report/templates.h"

#include <getopt.h>
#include <stdlib.h>
#include <time.h>

enum { EXIT_USAGE = 2, DAY = 86400, TEXT_MAX = 320 };

static const char usage[] =
    "usage: mailreeve digest status [--json]               when the last report went out, and who gets them\n"
    "       mailreeve digest --dry-run [--user ADDRESS] [--html] [--since-days N]\n"
    "                                                      prints what would be sent now\n"
    "       mailreeve digest --now --user ADDRESS          sends one now\n"
    "       mailreeve digest set ADDRESS [--frequency off|daily|weekly|default] [--language LANGUAGE|default]\n"
    "                                                      what a user has set for himself\n"
    "all with [--config FILE]\n";

enum { OPT_CONFIG = 256, OPT_DRY, OPT_NOW, OPT_USER, OPT_HTML, OPT_JSON, OPT_DAYS, OPT_FREQUENCY, OPT_LANGUAGE };

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"dry-run", no_argument, NULL, OPT_DRY},
    {"now", no_argument, NULL, OPT_NOW},
    {"user", required_argument, NULL, OPT_USER},
    {"html", no_argument, NULL, OPT_HTML},
    {"json", no_argument, NULL, OPT_JSON},
    {"since-days", required_argument, NULL, OPT_DAYS},
    {"frequency", required_argument, NULL, OPT_FREQUENCY},
    {"language", required_argument, NULL, OPT_LANGUAGE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct request {
	const char *config_path, *user, *frequency, *language;
	bool dry_run, send, html, json;
	unsigned long long days; /* 0: since the last report */
	struct arena *arena;
	struct config *config;
	struct store *store;
	struct digest_reporter reporter;
};

static bool refuse(const char *what, const char *why)
{
	fprintf(stderr, "mailreeve digest: %s%s%s\n", what, what[0] == '\0' ? "" : ": ", why);
	return false;
}

static const char *safe(const struct request *request, const char *text)
{
	return text_escape(request->arena, slice_from(text), "", true, TEXT_MAX);
}

/* ---- what would be sent ---- */

static bool print_one(const struct request *request, const struct digest_user *user)
{
	struct arena *arena = arena_create(65536);
	struct digest_report report;
	const char *problem;
	int64_t until = request->reporter.now + 1;
	int64_t since =
	    request->days == 0 ? digest_since(&request->reporter, user, until) : until - (int64_t)request->days * DAY;
	bool good = digest_make(&request->reporter, arena, user, since, until, &report, &problem);
	if (!good) {
		refuse(safe(request, user->owner), problem);
	} else if (report.entries == 0) {
		fprintf(stderr, "%s: there is nothing to tell\n", safe(request, user->owner));
	} else if (request->html) {
		fwrite(report.html.data, 1, report.html.len, stdout);
	} else {
		printf("To: %s (%s)\nSubject: %s\n\n", safe(request, user->owner),
		       digest_frequency_name(digest_frequency_of(&request->reporter, user)), report.subject);
		fwrite(report.text.data, 1, report.text.len, stdout);
	}
	arena_destroy(arena);
	return good;
}

/* Owners of the addresses that the history has something of. */
struct owners {
	const struct request *request;
	const char **items;
	size_t count, capacity;
};

static bool on_address(void *context, const char *address, const char *domain, int64_t newest)
{
	struct owners *owners = context;
	struct arena *arena = owners->request->arena;
	const char *owner = digest_owner(arena, address, owners->request->reporter.delimiter);
	(void)domain, (void)newest;
	for (size_t i = 0; owner != NULL && i < owners->count; i++) {
		if (strcmp(owners->items[i], owner) == 0) {
			return true;
		}
	}
	if (owner != NULL) {
		owners->items = arena_grow(arena, owners->items, sizeof *owners->items, owners->count, &owners->capacity);
		owners->items[owners->count++] = owner;
	}
	return true;
}

static bool print_user(const struct request *request, const char *owner)
{
	struct digest_user user;
	return digests_user(request->store, request->arena, owner, &user) == STORE_OK
	           ? print_one(request, &user)
	           : refuse("", "the store does not answer");
}

static bool dry_run(const struct request *request)
{
	struct owners owners = {.request = request};
	int64_t until = request->reporter.now + 1;
	int64_t days = request->days == 0 ? 1 : (int64_t)request->days;
	bool good = true;
	if (request->user != NULL) {
		return print_user(request, request->user);
	}
	if (digests_scan(request->store, until - days * DAY, until, on_address, &owners) != STORE_OK) {
		return refuse("", "the store does not answer");
	}
	for (size_t i = 0; i < owners.count; i++) {
		struct digest_user user;
		good = digests_user(request->store, request->arena, owners.items[i], &user) == STORE_OK && good;
		if (good && digest_frequency_of(&request->reporter, &user) != DIGEST_OFF) {
			good = print_one(request, &user) && good;
		}
	}
	return good;
}

/* ---- sending ---- */

static bool send_now(const struct request *request)
{
	const char *why = "";
	const char *name = safe(request, request->user);
	switch (digest_send_now(&request->reporter, request->arena, request->user, &why)) {
	case DIGEST_SENT:
		printf("%s: sent: %s\n", name, why);
		return true;
	case DIGEST_NOTHING:
		printf("%s: %s\n", name, why);
		return true;
	case DIGEST_REFUSED:
		return refuse(name, arena_printf(request->arena, "not taken: %s", why));
	case DIGEST_LATER:
		break;
	}
	return refuse(name, arena_printf(request->arena, "not sent: %s; the daemon tries it again", why));
}

/* ---- status, set ---- */

static const char *time_text(const struct request *request, int64_t time)
{
	char text[32];
	struct tm tm;
	time_t value = (time_t)time;
	if (time == 0 || localtime_r(&value, &tm) == NULL) {
		return "never";
	}
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	return arena_strdup(request->arena, text);
}

static bool on_user(void *context, const struct digest_user *user)
{
	const struct request *request = context;
	const char *frequency = digest_frequency_name(digest_frequency_of(&request->reporter, user));
	printf("%-40s %-6s%s  last %s%s\n", safe(request, user->owner), frequency,
	       user->frequency[0] == '\0' ? "" : " (his own)", time_text(request, user->sent),
	       user->wanted == 0     ? ""
	       : user->attempts == 0 ? ", one waits"
	                             : ", one is tried again");
	return true;
}

static bool status(const struct request *request)
{
	struct digest_status status_of;
	if (digests_status(request->store, &status_of) != STORE_OK) {
		return refuse("", "the store does not answer");
	}
	if (request->json) {
		printf("{\"last_sent\": %lld, \"waiting\": %lld, \"failed\": %lld, \"users\": %lld}\n",
		       (long long)status_of.sent, (long long)status_of.waiting, (long long)status_of.failed,
		       (long long)status_of.users);
		return true;
	}
	printf("the last report went out: %s\n%lld users have got one; %lld wait, of these %lld were tried in vain\n",
	       time_text(request, status_of.sent), (long long)status_of.users, (long long)status_of.waiting,
	       (long long)status_of.failed);
	return digests_each(request->store, on_user, (void *)(uintptr_t)request) == STORE_OK ||
	       refuse("", "the store does not answer");
}

static const char *setting(const char *value)
{
	return value != NULL && strcmp(value, "default") == 0 ? "" : value;
}

static bool set(const struct request *request)
{
	const char *frequency = setting(request->frequency);
	const char *language = setting(request->language);
	static const char *const words[] = {"", "off", "daily", "weekly"};
	bool known = frequency == NULL;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		known = known || strcmp(words[i], frequency) == 0;
	}
	if (!known) {
		return refuse("--frequency", "expected off, daily, weekly or default");
	}
	if (language != NULL && language[0] != '\0' &&
	    !templates_exist(request->arena, request->reporter.settings->templates, language)) {
		return refuse("--language", "there are no templates of that language; see digest.templates");
	}
	return digests_set(request->store, request->user, frequency, language) == STORE_OK ||
	       refuse("", "the store cannot be written now");
}

/* ---- the command ---- */

static bool request_value(struct request *request, int option, const char *value)
{
	switch (option) {
	case OPT_CONFIG:
		request->config_path = value;
		return true;
	case OPT_DRY:
		request->dry_run = true;
		return true;
	case OPT_NOW:
		request->send = true;
		return true;
	case OPT_USER:
		request->user = value;
		return true;
	case OPT_HTML:
		request->html = true;
		return true;
	case OPT_JSON:
		request->json = true;
		return true;
	case OPT_DAYS:
		return slice_to_uint(slice_from(value), 365, &request->days) ||
		       refuse("--since-days", "expected a number of days");
	case OPT_FREQUENCY:
		request->frequency = value;
		return true;
	case OPT_LANGUAGE:
		request->language = value;
		return true;
	default:
		fputs(usage, stderr);
		return false;
	}
}

static bool open_all(struct request *request, bool writes)
{
	request->config = command_load_config(request->config_path);
	request->store = request->config == NULL ? NULL : command_open_store(request->config, writes ? 0 : STORE_READ_ONLY);
	if (request->store == NULL) {
		return false;
	}
	if (!stage_digest_reporter(request->config, request->store, (int64_t)time(NULL), request->arena,
	                           &request->reporter)) {
		return refuse("", "digest.from is not set, or the stage is off: no reports are made");
	}
	const char *given = request->user;
	request->user =
	    given == NULL ? NULL
	                  : digest_owner(request->arena, arena_strdup(request->arena, given), request->reporter.delimiter);
	return given == NULL || request->user != NULL || refuse(given, "expected an address such as bob@example.org");
}

static int execute(struct request *request, bool (*run)(const struct request *request), bool writes)
{
	bool good = open_all(request, writes) && run(request);
	store_close(request->store);
	config_release(request->config);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int choose(struct request *request, int count, char **words)
{
	if (count == 0 && request->dry_run && !request->send) {
		return execute(request, dry_run, false);
	}
	if (count == 0 && request->send && request->user != NULL && !request->dry_run) {
		return execute(request, send_now, true);
	}
	if (count == 1 && strcmp(words[0], "status") == 0 && !request->dry_run && !request->send) {
		return execute(request, status, false);
	}
	if (count == 2 && strcmp(words[0], "set") == 0 && (request->frequency != NULL || request->language != NULL)) {
		request->user = words[1];
		return execute(request, set, true);
	}
	fputs(usage, stderr);
	return EXIT_USAGE;
}

int cmd_digest(int argc, char **argv)
{
	struct request request = {.arena = arena_create(65536)};
	int status_r = EXIT_SUCCESS;
	int option;
	log_set_level(LOG_LEVEL_WARNING);
	while (status_r == EXIT_SUCCESS && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			arena_destroy(request.arena);
			return EXIT_SUCCESS;
		}
		status_r = request_value(&request, option, optarg) ? EXIT_SUCCESS : EXIT_USAGE;
	}
	if (status_r == EXIT_SUCCESS) {
		status_r = choose(&request, argc - optind, argv + optind);
	}
	arena_destroy(request.arena);
	return status_r;
}
