#include "ctl/explain.h"
#include "ctl/explain_parts.h"

#include <jansson.h>

/* JSON is UTF-8; bytes of a message need not be: then they are shown escaped. NULL is null. */
static json_t *json_text(struct session *session, const char *text)
{
	if (text == NULL) {
		return json_null();
	}
	json_t *value = json_string(text);
	return value != NULL ? value : json_string(text_escape(session->arena, slice_from(text), "", true, SIZE_MAX));
}

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static json_t *json_spf(struct session *session, const struct spf_verdict *spf)
{
	json_t *object = json_object();
	put(object, "result", json_string(auth_result_name(spf->result)));
	put(object, "domain", json_text(session, spf->domain));
	put(object, "scope", json_string(spf->scope == SPF_SCOPE_HELO ? "helo" : "mfrom"));
	put(object, "explanation", json_text(session, spf->explanation));
	put(object, "mechanism", json_text(session, spf->mechanism));
	put(object, "problem", json_text(session, spf->problem));
	return object;
}

static json_t *json_signature(struct session *session, const struct inspect_signature *signature)
{
	json_t *object = json_object();
	put(object, "result", json_string(auth_result_name(signature->result)));
	put(object, "domain", json_text(session, signature->domain));
	put(object, "selector", json_text(session, signature->selector));
	put(object, "identity", signature->identity[0] == '\0' ? json_null() : json_text(session, signature->identity));
	put(object, "algorithm", json_text(session, signature->algorithm));
	put(object, "key_bits", json_integer(signature->key_bits));
	put(object, "testing", json_boolean(signature->testing));
	put(object, "problem", json_text(session, signature->problem));
	return object;
}

static json_t *json_dkim(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		json_array_append_new(array, json_signature(session, &session->inspection.signatures[i]));
	}
	return array;
}

static json_t *json_signed(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->signature_count; i++) {
		const struct session_signature *signature = &session->signatures[i];
		json_t *object = json_object();
		put(object, "domain", json_text(session, signature->domain));
		put(object, "selector", json_text(session, signature->selector));
		put(object, "algorithm", json_string(dkim_algorithm_name(signature->algorithm)));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_arc_set(struct session *session, const struct arc_set *set)
{
	json_t *object = json_object();
	put(object, "instance", json_integer(set->instance));
	put(object, "domain", json_text(session, set->domain));
	put(object, "selector", json_text(session, set->selector));
	put(object, "cv", set->has_cv ? json_string(arc_cv_name(set->cv)) : json_null());
	return object;
}

static json_t *json_arc(struct session *session)
{
	const struct arc_verdict *arc = &session->inspection.arc;
	json_t *object = json_object();
	json_t *sets = json_array();
	for (size_t i = 0; i < arc->count; i++) {
		json_array_append_new(sets, json_arc_set(session, &arc->sets[i]));
	}
	put(object, "result", json_string(auth_result_name(arc->result)));
	put(object, "instances", json_integer((json_int_t)arc->count));
	put(object, "sealer", json_text(session, arc->count == 0 ? NULL : arc->sets[arc->count - 1].domain));
	put(object, "oldest_pass", arc->result == AUTH_PASS ? json_integer(arc->oldest_pass) : json_null());
	put(object, "sets", sets);
	put(object, "trusted", json_boolean(arc->result == AUTH_PASS && session->arc_trusted > 0));
	put(object, "sealed", session->arc_sealed > 0 ? json_integer(session->arc_sealed) : json_null());
	put(object, "problem", json_text(session, arc->problem));
	return object;
}

static const char *alignment_name(enum dmarc_alignment alignment)
{
	switch (alignment) {
	case DMARC_NOT_ALIGNED:
		return "none";
	case DMARC_ALIGNED_RELAXED:
		return "relaxed";
	case DMARC_ALIGNED_STRICT:
		return "strict";
	}
	return NULL;
}

static json_t *json_override(struct session *session)
{
	const struct dmarc_override *override = &session->dmarc.override;
	if (override->type == DMARC_OVERRIDE_NONE) {
		return json_null();
	}
	json_t *object = json_object();
	put(object, "type", json_string(dmarc_override_name(override->type)));
	put(object, "comment", json_text(session, override->comment));
	return object;
}

static json_t *json_dmarc(struct session *session)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	json_t *object = json_object();
	json_t *alignment = json_object();
	put(alignment, "spf", json_string(alignment_name(dmarc->spf_alignment)));
	put(alignment, "dkim", json_string(alignment_name(dmarc->dkim_alignment)));
	put(object, "result", json_string(auth_result_name(dmarc->result)));
	put(object, "policy", json_string(dmarc_policy_name(dmarc->policy)));
	put(object, "asked", json_string(dmarc_policy_name(dmarc->asked)));
	put(object, "disposition", json_string(dmarc_policy_name(dmarc->disposition)));
	put(object, "override", json_override(session));
	put(object, "domain", json_text(session, dmarc->domain));
	put(object, "org_domain", json_text(session, dmarc->org_domain));
	put(object, "policy_domain", json_text(session, dmarc->policy_domain));
	put(object, "alignment", alignment);
	put(object, "testing", json_boolean(dmarc->testing));
	put(object, "problem", json_text(session, dmarc->problem));
	return object;
}

static json_t *json_findings(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->finding_count; i++) {
		const struct finding *finding = session->findings[i];
		json_t *object = json_object();
		put(object, "code", json_string(finding->code->code));
		put(object, "detail", json_text(session, finding->detail));
		put(object, "action", json_string(action_kind_name(finding->effective)));
		put(object, "configured", json_string(action_kind_name(finding->action.kind)));
		put(object, "lifted", json_boolean(finding->lifted));
		put(object, "rcpt", finding->recipient == FINDING_ALL_RECIPIENTS
		                        ? json_null()
		                        : json_text(session, session->recipients[finding->recipient].address.text));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_reply(struct session *session, const struct verdict *verdict)
{
	if (verdict->action != VERDICT_REJECT && verdict->action != VERDICT_TEMPFAIL) {
		return json_null();
	}
	return json_text(session,
	                 arena_printf(session->arena, "%u %s %s", verdict->code, verdict->enhanced, verdict->text));
}

static json_t *json_recipients(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		json_t *object = json_object();
		put(object, "rcpt", json_text(session, recipient->address.text));
		put(object, "action", json_string(verdict_action_name(recipient->verdict.action)));
		put(object, "reply", json_reply(session, &recipient->verdict));
		put(object, "at_rcpt", json_boolean(recipient->refused));
		put(object, "score", json_real(recipient->verdict.score));
		put(object, "reason", recipient->verdict.reason == NULL ? json_null()
		                                                        : json_string(recipient->verdict.reason->code->code));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_edits(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->edit_count; i++) {
		const struct edit *edit = &session->edits[i];
		json_t *object = json_object();
		put(object, "edit", json_string(edit->kind == EDIT_DELETE_HEADER ? "delete_header" : "insert_header"));
		put(object, "name", json_text(session, edit->name));
		put(object, "value", json_text(session, edit->value));
		put(object, "index", json_integer((json_int_t)edit->index));
		json_array_append_new(array, object);
	}
	return array;
}

/* null: no scan was asked for. */
static json_t *json_database(const struct session *session)
{
	const struct inspect_database *database = &session->inspection.database;
	if (session->inspection.virus == INSPECT_VIRUS_NOT_ASKED) {
		return json_null();
	}
	json_t *object = json_object();
	put(object, "signatures", json_integer(database->signatures));
	put(object, "official", json_boolean(database->official));
	put(object, "version", database->version == 0 ? json_null() : json_integer(database->version));
	put(object, "time", database->time == 0 ? json_null() : json_integer((json_int_t)database->time));
	return object;
}

void explain_json(struct session *session, const char *file, FILE *out)
{
	json_t *object = json_object();
	bool infected = session->inspection.virus == INSPECT_VIRUS_FOUND;
	put(object, "file", json_text(session, file));
	put(object, "action", json_string(verdict_action_name(session->verdict.action)));
	put(object, "reply", json_reply(session, &session->verdict));
	put(object, "direction", json_string(direction_name(session->direction)));
	put(object, "spf", json_spf(session, &session->spf));
	put(object, "spf_helo", json_spf(session, &session->spf_helo));
	put(object, "dkim", json_dkim(session));
	put(object, "dkim_ignored", json_integer((json_int_t)session->keys.ignored));
	put(object, "arc", json_arc(session));
	put(object, "dmarc", json_dmarc(session));
	put(object, "authres", json_text(session, session->authres));
	put(object, "attachments", explain_parts_json(session));
	put(object, "signed", json_signed(session));
	put(object, "virus", json_text(session, infected ? session->inspection.virus_name : NULL));
	put(object, "virus_database", json_database(session));
	put(object, "score", json_real(session->verdict.score));
	put(object, "findings", json_findings(session));
	put(object, "recipients", json_recipients(session));
	put(object, "edits", json_edits(session));
	put(object, "support_id", json_string(session->support_id));
	/* Stages of later versions: not looked at, which is not the same as nothing found. */
	put(object, "bayes", json_null());
	json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
}
