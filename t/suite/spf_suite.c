/* The RFC 7208 test suite: every test with all answers at hand, and again with each answer late. */
#include "lib/auth/spf.h"
#include "t/late_lookups.h"
#include "t/tap.h"

#include <jansson.h>
#include <unistd.h>

static void zone_string(struct strbuf *zone, const char *text, size_t n)
{
	strbuf_add_char(zone, '"');
	for (size_t i = 0; i < n; i++) {
		strbuf_printf(zone, "\\%03u", (unsigned char)text[i]);
	}
	strbuf_add_text(zone, "\" ");
}

/* The strings of one record in character-strings of at most 255 bytes. */
static void zone_text(struct strbuf *zone, const json_t *strings)
{
	size_t i;
	json_t *value;
	if (json_array_size(strings) == 0) {
		zone_string(zone, "", 0);
	}
	json_array_foreach(strings, i, value) {
		const char *text = json_string_value(value);
		size_t n = json_string_length(value);
		for (size_t at = 0; at < n || at == 0; at += 255) {
			zone_string(zone, text + at, n - at > 255 ? 255 : n - at);
		}
	}
}

static void zone_name(struct strbuf *zone, const char *name)
{
	for (const char *c = name; *c != '\0'; c++) {
		bool plain = ascii_is_alpha(*c) || ascii_is_digit(*c) || *c == '.' || *c == '-' || *c == '_';
		strbuf_printf(zone, plain ? "%c" : "\\%03u", plain ? *c : (unsigned char)*c);
	}
	strbuf_add_text(zone, name[0] == '\0' || name[strlen(name) - 1] != '.' ? "." : "");
}

static void zone_row(struct strbuf *zone, const char *owner, const json_t *row)
{
	const char *type = json_string_value(json_object_get(row, "type"));
	const char *data = json_string_value(json_object_get(row, "data"));
	if (json_is_true(json_object_get(row, "timeout"))) {
		strbuf_add_text(zone, "$TIMEOUT ");
		zone_name(zone, owner);
		strbuf_printf(zone, " %s\n", strcmp(type, "ANY") == 0 ? "" : type);
		return;
	}
	if (strcmp(type, "SPF") == 0) {
		return; /* type 99 is history */
	}
	zone_name(zone, owner);
	strbuf_printf(zone, " 300 IN %s ", type);
	if (strcmp(type, "TXT") == 0) {
		zone_text(zone, json_object_get(row, "strings"));
	} else if (strcmp(type, "MX") == 0) {
		strbuf_printf(zone, "%lld ", (long long)json_integer_value(json_object_get(row, "pref")));
		zone_name(zone, data);
	} else if (strcmp(type, "A") == 0 || strcmp(type, "AAAA") == 0) {
		strbuf_add_text(zone, data);
	} else {
		zone_name(zone, data);
	}
	strbuf_add_char(zone, '\n');
}

static const char *write_zone(const json_t *scenario)
{
	struct arena *arena = arena_create(65536);
	struct strbuf zone;
	const char *name;
	json_t *rows;
	json_t *row;
	size_t i;
	strbuf_init(&zone, arena);
	json_object_foreach(json_object_get(scenario, "zonedata"), name, rows) {
		json_array_foreach(rows, i, row) {
			zone_row(&zone, name, row);
		}
	}
	const char *path = late_write_zone(zone.data);
	arena_destroy(arena);
	return path;
}

static bool result_allowed(const json_t *test, const char *result)
{
	size_t i;
	json_t *allowed;
	json_array_foreach(json_object_get(test, "results"), i, allowed) {
		if (strcmp(json_string_value(allowed), result) == 0) {
			return true;
		}
	}
	return false;
}

static void run_test(const char *zone, const json_t *test, bool late)
{
	struct arena *arena = arena_create(65536);
	struct lookups *lookups = late_create(zone, late);
	struct spf_verdict verdict;
	struct spf_request request = {
		.helo = json_string_value(json_object_get(test, "helo")),
		.mail_from = json_string_value(json_object_get(test, "mailfrom")),
		.receiver = "unknown",
		.now = 1700000000,
	};
	const char *name = json_string_value(json_object_get(test, "name"));
	const char *expected = json_string_value(json_object_get(test, "explanation"));
	ip_parse(json_string_value(json_object_get(test, "host")), &request.client);
	int rounds = 0;
	while (!spf_check(&request, lookups, arena, &verdict) && rounds++ < 100) {
		late_round(lookups);
	}
	const char *result = auth_result_name(verdict.result);
	bool good = result_allowed(test, result) && rounds < 100;
	if (expected != NULL && good) {
		bool ours = verdict.explanation != NULL;
		good = strcmp(expected, "DEFAULT") == 0 ? !ours : ours && strcmp(expected, verdict.explanation) == 0;
	}
	ok(good, "%s%s", name, late ? ", late answers" : "");
	if (!good) {
		char *wanted = json_dumps(json_object_get(test, "results"), 0);
		diag("got %s, expected %s; explanation %s, expected %s; problem %s", result, wanted,
		     verdict.explanation == NULL ? "none" : verdict.explanation, expected == NULL ? "any" : expected,
		     verdict.problem == NULL ? "none" : verdict.problem);
		free(wanted);
	}
	late_destroy(lookups);
	arena_destroy(arena);
}

int main(void)
{
	char path[4096];
	const char *data = getenv("MAILREEVE_DATA");
	json_error_t error;
	size_t i;
	size_t k;
	json_t *scenario;
	json_t *test;
	snprintf(path, sizeof path, "%s/spf/rfc7208.json", data == NULL ? "../shared/data" : data);
	if (access(path, R_OK) != 0) {
		skip_all("the RFC 7208 suite is not there: %s", path);
	}
	json_t *suite = json_load_file(path, JSON_ALLOW_NUL, &error);
	if (suite == NULL) {
		printf("Bail out! %s: %s\n", path, error.text);
		return 1;
	}
	int count = 0;
	for (int late = 0; late <= 1; late++) {
		json_array_foreach(json_object_get(suite, "scenarios"), i, scenario) {
			const char *zone = write_zone(scenario);
			json_array_foreach(json_object_get(scenario, "tests"), k, test) {
				run_test(zone, test, late == 1);
				count++;
			}
			unlink(zone);
		}
	}
	is_int(count, 2 * 203, "all 203 tests ran, twice");
	json_decref(suite);
	return done_testing();
}
