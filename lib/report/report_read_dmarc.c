/* By expat, with the path of the element as the state: "feedback/record/row/count". */
#include "lib/report/report_read.h"

#include <expat.h>
#include <stdlib.h>

enum { PATH_MAX_BYTES = 512 };

struct reader {
	XML_Parser parser;
	char path[PATH_MAX_BYTES]; /* elements that are open, a slash between */
	size_t depth;
	char text[REPORT_TEXT_MAX + 1]; /* of the innermost */
	size_t text_len;
	json_t *report, *rows, *row;
	bool seen_root;
	const char *problem;
};

static void give_up(struct reader *reader, const char *problem)
{
	reader->problem = problem;
	XML_StopParser(reader->parser, XML_FALSE);
}

/* Without the prefix of its name space. */
static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');
	return colon == NULL ? name : colon + 1;
}

static void on_start(void *context, const char *name, const char **attributes)
{
	struct reader *reader = context;
	(void)attributes;
	const char *local = local_name(name);
	size_t n = strlen(reader->path);
	if (++reader->depth > REPORT_XML_DEPTH || n + strlen(local) + 2 > sizeof reader->path) {
		give_up(reader, "nested too deeply");
		return;
	}
	if (n > 0) {
		reader->path[n++] = '/';
	}
	memcpy(reader->path + n, local, strlen(local) + 1);
	reader->text_len = 0;
	if (reader->depth == 1) {
		reader->seen_root = strcmp(local, "feedback") == 0;
		if (!reader->seen_root) {
			give_up(reader, "no aggregate report: its element is not <feedback>");
		}
	} else if (strcmp(reader->path, "feedback/record") == 0) {
		reader->row = json_object();
	}
}

static void on_text(void *context, const char *text, int n)
{
	struct reader *reader = context;
	size_t room = REPORT_TEXT_MAX - reader->text_len;
	size_t taken = (size_t)n < room ? (size_t)n : room;
	memcpy(reader->text + reader->text_len, text, taken);
	reader->text_len += taken;
}

/* Cut UTF-8 is no text for JSON: then it is left out. */
static json_t *text_value(struct reader *reader)
{
	struct slice text = slice_trim((struct slice){reader->text, reader->text_len});
	while (text.len > 0 && !slice_is_utf8(text)) {
		text.len--;
	}
	return json_stringn(text.len == 0 ? "" : text.data, text.len);
}

static json_t *number_value(struct reader *reader)
{
	unsigned long long number = 0;
	slice_to_uint(slice_trim((struct slice){reader->text, reader->text_len}), INT64_MAX, &number);
	return json_integer((json_int_t)number);
}

static void add_domain(struct reader *reader)
{
	const char *before = json_string_value(json_object_get(reader->row, "dkim_domains"));
	json_t *domain = text_value(reader);
	if (before == NULL) {
		json_object_set_new(reader->row, "dkim_domains", domain);
	} else if (strlen(before) < REPORT_TEXT_MAX) {
		json_object_set_new(reader->row, "dkim_domains", json_sprintf("%s,%s", before, json_string_value(domain)));
		json_decref(domain);
	} else {
		json_decref(domain);
	}
}

static const struct field {
	const char *path, *key;
	bool number, row;
} fields[] = {
    {"feedback/report_metadata/org_name", "org", false, false},
    {"feedback/report_metadata/email", "email", false, false},
    {"feedback/report_metadata/report_id", "id", false, false},
    {"feedback/report_metadata/date_range/begin", "begin", true, false},
    {"feedback/report_metadata/date_range/end", "end", true, false},
    {"feedback/policy_published/domain", "domain", false, false},
    {"feedback/policy_published/p", "policy", false, false},
    {"feedback/record/row/source_ip", "source", false, true},
    {"feedback/record/row/count", "count", true, true},
    {"feedback/record/row/policy_evaluated/disposition", "disposition", false, true},
    {"feedback/record/row/policy_evaluated/dkim", "dkim", false, true},
    {"feedback/record/row/policy_evaluated/spf", "spf", false, true},
    {"feedback/record/identifiers/header_from", "header_from", false, true},
    {"feedback/record/identifiers/envelope_from", "envelope_from", false, true},
    {"feedback/record/auth_results/spf/domain", "spf_domain", false, true},
    {"feedback/record/auth_results/spf/result", "spf_result", false, true},
};

static void keep_text(struct reader *reader)
{
	if (strcmp(reader->path, "feedback/record/auth_results/dkim/domain") == 0) {
		add_domain(reader);
		return;
	}
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (strcmp(reader->path, fields[i].path) == 0) {
			json_object_set_new(fields[i].row ? reader->row : reader->report, fields[i].key,
			                    fields[i].number ? number_value(reader) : text_value(reader));
			return;
		}
	}
}

static void on_end(void *context, const char *name)
{
	struct reader *reader = context;
	(void)name;
	keep_text(reader);
	if (strcmp(reader->path, "feedback/record") == 0) {
		if (json_array_size(reader->rows) < REPORT_ROWS_MAX) {
			json_array_append_new(reader->rows, reader->row);
		} else {
			json_object_set_new(reader->report, "truncated", json_true());
			json_decref(reader->row);
		}
		reader->row = NULL;
	}
	char *slash = strrchr(reader->path, '/');
	*(slash == NULL ? reader->path : slash) = '\0';
	reader->depth--;
	reader->text_len = 0;
}

/* No report declares entities: none are expanded. */
static void on_entity(void *context, const XML_Char *name, int is_parameter, const XML_Char *value, int length,
                      const XML_Char *base, const XML_Char *system_id, const XML_Char *public_id,
                      const XML_Char *notation)
{
	(void)name, (void)is_parameter, (void)value, (void)length, (void)base, (void)system_id, (void)public_id,
	    (void)notation;
	give_up(context, "it declares entities");
}

static bool has_text(const json_t *report, const char *key)
{
	const char *text = json_string_value(json_object_get(report, key));
	return text != NULL && text[0] != '\0';
}

static const char *missing(const json_t *report)
{
	return !has_text(report, "org")      ? "it has no org_name"
	       : !has_text(report, "id")     ? "it has no report_id"
	       : !has_text(report, "domain") ? "it has no policy_published domain"
	                                     : NULL;
}

json_t *report_read_dmarc(struct slice xml, const char **problem_r)
{
	struct reader reader = {.parser = XML_ParserCreate(NULL), .report = json_object(), .rows = json_array()};
	if (reader.parser == NULL) {
		abort();
	}
	json_object_set_new(reader.report, "kind", json_string("dmarc"));
	json_object_set_new(reader.report, "truncated", json_false());
	json_object_set_new(reader.report, "rows", reader.rows);
	XML_SetUserData(reader.parser, &reader);
	XML_SetElementHandler(reader.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader.parser, on_text);
	XML_SetEntityDeclHandler(reader.parser, on_entity);
	bool good = xml.len <= INT32_MAX && XML_Parse(reader.parser, xml.data, (int)xml.len, XML_TRUE) == XML_STATUS_OK;
	if (reader.problem == NULL) {
		reader.problem = good ? missing(reader.report) : XML_ErrorString(XML_GetErrorCode(reader.parser));
	}
	XML_ParserFree(reader.parser);
	json_decref(reader.row);
	if (reader.problem == NULL) {
		return reader.report;
	}
	json_decref(reader.report);
	*problem_r = reader.problem;
	return NULL;
}
