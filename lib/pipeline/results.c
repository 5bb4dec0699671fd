#include "lib/pipeline/results.h"

#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stages.h"

/* JSON is UTF-8; bytes of a message need not be: then they are shown escaped. NULL is null. */
json_t *results_text(struct session *session, const char *text)
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

json_t *results_spf(struct session *session, const struct spf_verdict *spf)
{
	json_t *object = json_object();
	put(object, "result", json_string(auth_result_name(spf->result)));
	put(object, "domain", results_text(session, spf->domain));
	put(object, "scope", json_string(spf->scope == SPF_SCOPE_HELO ? "helo" : "mfrom"));
	put(object, "explanation", results_text(session, spf->explanation));
	put(object, "mechanism", results_text(session, spf->mechanism));
	put(object, "problem", results_text(session, spf->problem));
	return object;
}

static json_t *json_signature(struct session *session, const struct inspect_signature *signature)
{
	json_t *object = json_object();
	put(object, "result", json_string(auth_result_name(signature->result)));
	put(object, "domain", results_text(session, signature->domain));
	put(object, "selector", results_text(session, signature->selector));
	put(object, "identity", signature->identity[0] == '\0' ? json_null() : results_text(session, signature->identity));
	put(object, "algorithm", results_text(session, signature->algorithm));
	put(object, "key_bits", json_integer(signature->key_bits));
	put(object, "testing", json_boolean(signature->testing));
	put(object, "problem", results_text(session, signature->problem));
	return object;
}

json_t *results_dkim(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		json_array_append_new(array, json_signature(session, &session->inspection.signatures[i]));
	}
	return array;
}

json_t *results_signed(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->signature_count; i++) {
		const struct session_signature *signature = &session->signatures[i];
		json_t *object = json_object();
		put(object, "domain", results_text(session, signature->domain));
		put(object, "selector", results_text(session, signature->selector));
		put(object, "algorithm", json_string(dkim_algorithm_name(signature->algorithm)));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_arc_set(struct session *session, const struct arc_set *set)
{
	json_t *object = json_object();
	put(object, "instance", json_integer(set->instance));
	put(object, "domain", results_text(session, set->domain));
	put(object, "selector", results_text(session, set->selector));
	put(object, "cv", set->has_cv ? json_string(arc_cv_name(set->cv)) : json_null());
	return object;
}

json_t *results_arc(struct session *session)
{
	const struct arc_verdict *arc = &session->inspection.arc;
	json_t *object = json_object();
	json_t *sets = json_array();
	for (size_t i = 0; i < arc->count; i++) {
		json_array_append_new(sets, json_arc_set(session, &arc->sets[i]));
	}
	put(object, "result", json_string(auth_result_name(arc->result)));
	put(object, "instances", json_integer((json_int_t)arc->count));
	put(object, "sealer", results_text(session, arc->count == 0 ? NULL : arc->sets[arc->count - 1].domain));
	put(object, "oldest_pass", arc->result == AUTH_PASS ? json_integer(arc->oldest_pass) : json_null());
	put(object, "sets", sets);
	put(object, "trusted", json_boolean(arc->result == AUTH_PASS && session->arc_trusted > 0));
	put(object, "sealed", session->arc_sealed > 0 ? json_integer(session->arc_sealed) : json_null());
	put(object, "problem", results_text(session, arc->problem));
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
	put(object, "comment", results_text(session, override->comment));
	return object;
}

json_t *results_dmarc(struct session *session)
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
	put(object, "domain", results_text(session, dmarc->domain));
	put(object, "org_domain", results_text(session, dmarc->org_domain));
	put(object, "policy_domain", results_text(session, dmarc->policy_domain));
	put(object, "alignment", alignment);
	put(object, "testing", json_boolean(dmarc->testing));
	put(object, "problem", results_text(session, dmarc->problem));
	return object;
}

/* Milliseconds, by stage. */
static json_t *results_stages(const struct session *session)
{
	json_t *object = json_object();
	for (size_t i = 0; i < stages_count; i++) {
		if (pipeline_runs(session, stages[i])) {
			/* To the microsecond: the digits behind it are noise that fills the store. */
			put(object, stages[i]->section.name, json_real((double)(session->stage_ns[i] / 1000) / 1000));
		}
	}
	return object;
}

const char *results_record(struct session *session)
{
	const struct inspect_reply *reply = &session->inspection;
	json_t *object = json_object();
	if (session->spf_known) {
		put(object, "spf", results_spf(session, &session->spf));
	}
	if (session->spf_helo_checked) {
		put(object, "spf_helo", results_spf(session, &session->spf_helo));
	}
	if (reply->signature_count > 0) {
		put(object, "dkim", results_dkim(session));
	}
	if (reply->arc.result != AUTH_NONE) {
		put(object, "arc", results_arc(session));
	}
	if (session->dmarc_known) {
		put(object, "dmarc", results_dmarc(session));
	}
	if (reply->virus == INSPECT_VIRUS_FOUND) {
		put(object, "virus", results_text(session, reply->virus_name));
	}
	if (session->signature_count > 0) {
		put(object, "signed", results_signed(session));
	}
	put(object, "stages", results_stages(session));
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(7));
	json_decref(object);
	char *copy = text == NULL ? arena_strdup(session->arena, "{}") : arena_strdup(session->arena, text);
	free(text);
	return copy;
}
