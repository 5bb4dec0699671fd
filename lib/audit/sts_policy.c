#include "lib/audit/sts_policy.h"

struct reading {
	struct sts_policy *policy;
	bool has_version, has_mode, has_age;
};

static bool read_mode(struct slice value, enum sts_mode *mode_r)
{
	static const char *const names[] = {"none", "testing", "enforce"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (slice_equal(value, slice_from(names[i]))) {
			*mode_r = (enum sts_mode)i;
			return true;
		}
	}
	return false;
}

static bool is_pattern(struct slice value)
{
	size_t at = value.len > 2 && value.data[0] == '*' && value.data[1] == '.' ? 2 : 0;
	for (size_t i = at; i < value.len; i++) {
		char c = value.data[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '.') {
			return false;
		}
	}
	return value.len > at && value.data[at] != '.';
}

/* NULL, or what is wrong. */
static const char *read_field(struct reading *reading, struct slice name, struct slice value)
{
	struct sts_policy *policy = reading->policy;
	unsigned long long age;
	if (slice_equal(name, SLICE_LITERAL("version")) && !reading->has_version) {
		reading->has_version = true;
		return slice_equal(value, SLICE_LITERAL("STSv1")) ? NULL : "version is not STSv1";
	}
	if (slice_equal(name, SLICE_LITERAL("mode")) && !reading->has_mode) {
		reading->has_mode = true;
		return read_mode(value, &policy->mode) ? NULL : "mode is neither none, testing nor enforce";
	}
	if (slice_equal(name, SLICE_LITERAL("max_age")) && !reading->has_age) {
		reading->has_age = true;
		if (value.len > 10 || !slice_to_uint(value, STS_AGE_MAX, &age)) {
			return "max_age is no number of seconds up to a year";
		}
		policy->max_age = age;
		return NULL;
	}
	if (slice_equal(name, SLICE_LITERAL("mx"))) {
		if (!is_pattern(value)) {
			return "an mx is no name";
		}
		if (policy->mx_count == STS_MX_MAX) {
			return "too many mx";
		}
		policy->mx[policy->mx_count++] = value;
	}
	return NULL;
}

bool sts_policy_parse(struct slice text, struct sts_policy *policy_r, const char **problem_r)
{
	struct reading reading = {.policy = policy_r};
	struct slice rest = text.data == NULL ? SLICE_LITERAL("") : text;
	struct slice line;
	*policy_r = (struct sts_policy){.mode = STS_MODE_NONE};
	*problem_r = NULL;
	while (*problem_r == NULL && slice_split(&rest, '\n', &line)) {
		line = slice_trim(line);
		size_t colon = slice_find(line, ':', 0);
		if (line.len == 0) {
			continue;
		}
		if (colon == line.len) {
			*problem_r = "a line without a colon";
			break;
		}
		*problem_r = read_field(&reading, slice_trim((struct slice){line.data, colon}),
		                        slice_trim((struct slice){line.data + colon + 1, line.len - colon - 1}));
	}
	if (*problem_r == NULL) {
		*problem_r = !reading.has_version                                              ? "no version"
		             : !reading.has_mode                                               ? "no mode"
		             : !reading.has_age                                                ? "no max_age"
		             : policy_r->mode != STS_MODE_NONE && policy_r->mx_count == 0 ? "no mx"
		                                                                              : NULL;
	}
	return *problem_r == NULL;
}

bool sts_mx_matches(struct slice pattern, struct slice host)
{
	if (pattern.len > 2 && pattern.data[0] == '*') {
		size_t dot = slice_find(host, '.', 0);
		struct slice behind = {pattern.data + 1, pattern.len - 1};
		return dot > 0 && dot < host.len && slice_equal_nocase(behind, (struct slice){host.data + dot, host.len - dot});
	}
	return slice_equal_nocase(pattern, host);
}
