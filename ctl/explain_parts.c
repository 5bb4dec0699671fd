#include "ctl/explain_parts.h"

#include "ctl/explain.h"
#include "lib/pipeline/stage_attachment.h"

enum { INDENT = 2 };

/* Is one of its classes what the message is stopped for? */
static bool is_blocked(const struct session *session, const struct inspect_part *part)
{
	for (size_t k = 0; k < session->finding_count; k++) {
		const struct finding *finding = session->findings[k];
		for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
			if ((part->classes & FILE_CLASS_BIT(i)) != 0 && finding->code == attachment_code((enum file_class)i) &&
			    finding->effective >= ACTION_QUARANTINE) {
				return true;
			}
		}
	}
	return false;
}

/* A text without a name is what the message says, not what it carries. */
static bool is_body(const struct inspect_part *part)
{
	bool text = part->type[0] == '\0' || slice_starts_nocase(slice_from(part->type), SLICE_LITERAL("text/"));
	return text && part->names[0] == NULL;
}

static const char *shown_name(const struct inspect_part *part)
{
	return part->names[0] != NULL ? part->names[0] : "";
}

static void add_path(json_t *path, const struct inspect_part *parts, int index)
{
	if (index >= 0) {
		add_path(path, parts, parts[index].parent);
		if (!is_body(&parts[index])) {
			json_array_append_new(path, json_string(shown_name(&parts[index])));
		}
	}
}

static json_t *part_json(const struct session *session, const struct inspect_part *part)
{
	json_t *object = json_object();
	json_t *names = json_array();
	json_t *path = json_array();
	json_t *classes = json_array();
	for (size_t i = 0; part->names[i] != NULL; i++) {
		json_array_append_new(names, json_string(part->names[i]));
	}
	add_path(path, session->inspection.parts, part->parent);
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((part->classes & FILE_CLASS_BIT(i)) != 0) {
			json_array_append_new(classes, json_string(file_classes[i].name));
		}
	}
	json_object_set_new(object, "names", names);
	json_object_set_new(object, "type", json_string(part->detected));
	json_object_set_new(object, "declared", json_string(part->type));
	json_object_set_new(object, "size", json_integer((json_int_t)part->size));
	json_object_set_new(object, "path", path);
	json_object_set_new(object, "encrypted", json_boolean(part->encrypted));
	json_object_set_new(object, "classes", classes);
	json_object_set_new(object, "blocked", json_boolean(is_blocked(session, part)));
	return object;
}

json_t *explain_parts_json(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->inspection.part_count; i++) {
		if (!is_body(&session->inspection.parts[i])) {
			json_array_append_new(array, part_json(session, &session->inspection.parts[i]));
		}
	}
	return array;
}

static int depth_of(const struct inspect_part *parts, const struct inspect_part *part)
{
	int depth = 0;
	for (; part->parent >= 0; part = &parts[part->parent]) {
		depth++;
	}
	return depth;
}

static void print_part(struct session *session, const struct inspect_part *part, FILE *out)
{
	struct strbuf line;
	strbuf_init(&line, session->arena);
	strbuf_printf(&line, "%s, %s, %llu bytes", part->names[0] != NULL ? part->names[0] : "(no name)", part->detected,
	              (unsigned long long)part->size);
	if (part->type[0] != '\0' && strcmp(part->type, part->detected) != 0) {
		strbuf_printf(&line, ", declared as %s", part->type);
	}
	for (size_t i = 1; part->names[0] != NULL && part->names[i] != NULL; i++) {
		strbuf_printf(&line, ", also named %s", part->names[i]);
	}
	const char *before = ": ";
	for (unsigned i = 0; i < FILE_CLASS_COUNT; i++) {
		if ((part->classes & FILE_CLASS_BIT(i)) != 0) {
			strbuf_printf(&line, "%s%s", before, file_classes[i].name);
			before = ", ";
		}
	}
	if (is_blocked(session, part)) {
		strbuf_add_text(&line, " -> blocked");
	}
	int indent = 4 + INDENT * depth_of(session->inspection.parts, part);
	fprintf(out, "%*s", indent, "");
	explain_wrap(out, line.data, indent + 4, indent);
}

void explain_parts_print(struct session *session, FILE *out)
{
	const struct inspect_reply *reply = &session->inspection;
	if (reply->part_count == 0) {
		return;
	}
	fputs("\n  files\n", out);
	for (size_t i = 0; i < reply->part_count; i++) {
		print_part(session, &reply->parts[i], out);
	}
	if (reply->parts_unlisted > 0) {
		fprintf(out, "    and %u more\n", reply->parts_unlisted);
	}
}
