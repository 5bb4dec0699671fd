#include "lib/report/report_read.h"

#include <time.h>

enum { DETAILS_MAX = 20 };

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

static json_t *cut(const char *text)
{
	size_t n = strnlen(text, REPORT_TEXT_MAX);
	while (n > 0 && text[n] != '\0' && !slice_is_utf8((struct slice){text, n})) {
		n--;
	}
	return json_stringn(text, n);
}

/* RFC 3339, "2016-04-01T00:00:00Z"; 0: it is none. */
static json_int_t time_of(const json_t *report, const char *key)
{
	struct tm tm = {.tm_isdst = 0};
	const char *text = text_of(json_object_get(report, "date-range"), key);
	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL ? 0 : (json_int_t)timegm(&tm);
}

static json_t *details_of(const json_t *policy)
{
	const json_t *details = json_object_get(policy, "failure-details");
	json_t *text = json_string("");
	for (size_t i = 0; i < json_array_size(details) && i < DETAILS_MAX; i++) {
		const json_t *detail = json_array_get(details, i);
		json_t *more = json_sprintf("%s%s%.100s (%lld)", json_string_value(text), i == 0 ? "" : ", ",
		                            text_of(detail, "result-type"),
		                            (long long)json_integer_value(json_object_get(detail, "failed-session-count")));
		if (more == NULL) {
			break;
		}
		json_decref(text);
		text = more;
	}
	return text;
}

static json_int_t count_of(const json_t *policy, const char *key)
{
	json_int_t count = json_integer_value(json_object_get(json_object_get(policy, "summary"), key));
	return count < 0 ? 0 : count;
}

static json_t *row_of(const json_t *policy)
{
	const json_t *about = json_object_get(policy, "policy");
	const json_t *mx = json_object_get(about, "mx-host");
	json_t *row = json_object();
	json_object_set_new(row, "policy", cut(text_of(about, "policy-type")));
	json_object_set_new(
	    row, "mx",
	    cut(json_is_array(mx)
	            ? (json_string_value(json_array_get(mx, 0)) == NULL ? "" : json_string_value(json_array_get(mx, 0)))
	            : text_of(about, "mx-host")));
	json_object_set_new(row, "success", json_integer(count_of(policy, "total-successful-session-count")));
	json_object_set_new(row, "failure", json_integer(count_of(policy, "total-failure-session-count")));
	json_object_set_new(row, "details", details_of(policy));
	return row;
}

json_t *report_read_tls(struct slice text, const char **problem_r)
{
	json_error_t error;
	json_t *report = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
	const json_t *policies = json_object_get(report, "policies");
	const char *domain = text_of(json_object_get(json_array_get(policies, 0), "policy"), "policy-domain");
	if (domain[0] == '\0' || text_of(report, "report-id")[0] == '\0') {
		*problem_r = report == NULL ? "no JSON" : "no TLS report: it has no report-id, or no policy with a domain";
		json_decref(report);
		return NULL;
	}
	json_t *result = json_object();
	json_t *rows = json_array();
	for (size_t i = 0; i < json_array_size(policies) && i < REPORT_ROWS_MAX; i++) {
		json_array_append_new(rows, row_of(json_array_get(policies, i)));
	}
	json_object_set_new(result, "kind", json_string("tls"));
	json_object_set_new(result, "org", cut(text_of(report, "organization-name")));
	json_object_set_new(result, "id", cut(text_of(report, "report-id")));
	json_object_set_new(result, "begin", json_integer(time_of(report, "start-datetime")));
	json_object_set_new(result, "end", json_integer(time_of(report, "end-datetime")));
	json_object_set_new(result, "domain", cut(domain));
	json_object_set_new(result, "rows", rows);
	json_decref(report);
	return result;
}
