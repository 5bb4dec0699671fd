#define PCRE2_CODE_UNIT_WIDTH 8

#include "lib/policy/list_pattern.h"

#include "lib/policy/list_entry.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { NEST_MAX = 50, DEPTH_MAX = 5000 };

struct list_pattern {
	atomic_uint references;
	char *field;
	pcre2_code *code;
	pcre2_match_context *limits;
};

static uint32_t pattern_options(struct slice flags)
{
	/* Texts of messages need not be UTF-8: what is not is matched by nothing. \C could read half a character. */
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
	for (size_t i = 0; i < flags.len; i++) {
		switch (flags.data[i]) {
		case 'i':
			options |= PCRE2_CASELESS;
			break;
		case 'm':
			options |= PCRE2_MULTILINE;
			break;
		case 's':
			options |= PCRE2_DOTALL;
			break;
		case 'x':
			options |= PCRE2_EXTENDED;
			break;
		}
	}
	return options;
}

static pcre2_code *pattern_code(struct arena *arena, const struct list_pattern_parts *parts, const char **problem_r)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int error;
	PCRE2_SIZE offset;
	if (context == NULL) {
		abort();
	}
	pcre2_set_parens_nest_limit(context, NEST_MAX);
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)parts->regex.data, parts->regex.len, pattern_options(parts->flags),
	                                 &error, &offset, context);
	pcre2_compile_context_free(context);
	if (code == NULL) {
		PCRE2_UCHAR text[256];
		pcre2_get_error_message(error, text, sizeof text);
		*problem_r =
		    arena_printf(arena, "the pattern is wrong at its byte %zu: %s", (size_t)offset + 1, (const char *)text);
	}
	return code;
}

struct list_pattern *list_pattern_compile(struct arena *arena, struct slice value, const char **problem_r)
{
	struct list_pattern_parts parts;
	if (!list_pattern_split(value, &parts)) {
		*problem_r = "expected FIELD:/REGEX/FLAGS";
		return NULL;
	}
	pcre2_code *code = pattern_code(arena, &parts, problem_r);
	if (code == NULL) {
		return NULL;
	}
	struct list_pattern *pattern = calloc(1, sizeof *pattern);
	if (pattern == NULL || (pattern->field = strndup(parts.field.data, parts.field.len)) == NULL ||
	    (pattern->limits = pcre2_match_context_create(NULL)) == NULL) {
		abort();
	}
	atomic_init(&pattern->references, 1);
	pattern->code = code;
	pcre2_set_match_limit(pattern->limits, LIST_PATTERN_STEPS);
	pcre2_set_depth_limit(pattern->limits, DEPTH_MAX);
	pcre2_set_heap_limit(pattern->limits, LIST_PATTERN_MEMORY);
	return pattern;
}

struct list_pattern *list_pattern_acquire(struct list_pattern *pattern)
{
	if (pattern != NULL) {
		atomic_fetch_add_explicit(&pattern->references, 1, memory_order_relaxed);
	}
	return pattern;
}

void list_pattern_release(struct list_pattern *pattern)
{
	if (pattern != NULL && atomic_fetch_sub_explicit(&pattern->references, 1, memory_order_acq_rel) == 1) {
		pcre2_code_free(pattern->code);
		pcre2_match_context_free(pattern->limits);
		free(pattern->field);
		free(pattern);
	}
}

const char *list_pattern_field(const struct list_pattern *pattern)
{
	return pattern->field;
}

enum list_pattern_result list_pattern_match(const struct list_pattern *pattern, struct slice text)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	size_t length = text.len < LIST_PATTERN_TEXT_MAX ? text.len : LIST_PATTERN_TEXT_MAX;
	if (data == NULL) {
		abort();
	}
	int result =
	    pcre2_match(pattern->code, (PCRE2_SPTR)(length == 0 ? "" : text.data), length, 0, 0, data, pattern->limits);
	pcre2_match_data_free(data);
	/* 0: it matches, and has more groups than there was room for. */
	return result >= 0 ? LIST_PATTERN_MATCH : result == PCRE2_ERROR_NOMATCH ? LIST_PATTERN_NO : LIST_PATTERN_LIMIT;
}
