#include "ctl/audit.h"
#include "ctl/history.h"

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static json_t *json_finding(const struct audit_finding *finding)
{
	const struct audit_code *code = finding->code;
	json_t *object = json_object();
	put(object, "id", json_string(code->id));
	put(object, "subject", json_string(audit_subject_name(code->subject)));
	put(object, "level", json_string(audit_level_name(code->level)));
	put(object, "risk", json_integer(code->risk));
	put(object, "found", history_json_text(finding->text));
	put(object, "meaning", json_string(code->meaning));
	put(object, "advice", json_string(code->advice));
	put(object, "record", finding->record == NULL ? json_null() : history_json_text(finding->record));
	return object;
}

static json_t *json_part(const struct audit_part *part)
{
	json_t *object = json_object();
	json_t *facts = json_array();
	put(object, "grade", part->grade == '-' ? json_null() : json_stringn(&part->grade, 1));
	put(object, "reason", part->reason == NULL ? json_null() : json_string(part->reason));
	for (size_t i = 0; i < part->line_count; i++) {
		json_array_append_new(facts, history_json_text(part->lines[i]));
	}
	put(object, "facts", facts);
	return object;
}

static json_t *json_plan(const struct audit_view *view)
{
	const struct audit_finding **plan;
	json_t *array = json_array();
	size_t count = audit_plan(view->audit, view->arena, &plan);
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(array, json_finding(plan[i]));
	}
	return array;
}

void audit_json(const struct audit_view *view, FILE *out)
{
	const struct audit *audit = view->audit;
	json_t *object = json_object();
	json_t *parts = json_object();
	json_t *findings = json_array();
	json_t *next = json_array();
	const char *const *steps = audit_next_steps(audit, view->arena);
	for (enum audit_subject subject = 0; subject < AUDIT_SUBJECTS; subject++) {
		put(parts, audit_subject_name(subject), json_part(&audit->parts[subject]));
	}
	for (size_t i = 0; i < audit->finding_count; i++) {
		json_array_append_new(findings, json_finding(&audit->findings[i]));
	}
	for (size_t i = 0; steps[i] != NULL; i++) {
		json_array_append_new(next, json_string(steps[i]));
	}
	put(object, "domain", json_string(audit->domain));
	put(object, "time", json_integer((json_int_t)view->now));
	put(object, "grade", json_stringn(&audit->grade, 1));
	put(object, "connected", json_boolean(view->connected));
	put(object, "faults", json_integer((json_int_t)audit_count(audit, AUDIT_FAULT)));
	put(object, "warnings", json_integer((json_int_t)audit_count(audit, AUDIT_WARNING)));
	put(object, "notes", json_integer((json_int_t)audit_count(audit, AUDIT_NOTE)));
	put(object, "unknown", json_integer((json_int_t)audit_count(audit, AUDIT_UNKNOWN)));
	put(object, "subjects", parts);
	put(object, "findings", findings);
	put(object, "plan", json_plan(view));
	put(object, "next_steps", next);
	json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
}
