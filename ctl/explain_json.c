#include "ctl/explain.h"
#include "ctl/explain_bayes.h"
#include "ctl/explain_parts.h"
#include "lib/pipeline/results.h"
#include "lib/pipeline/dnsbl_check.h"

#include <jansson.h>

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

/* null: not checked, or the client's address is not known. */
static json_t *json_iprev(struct session *session)
{
	const struct iprev_verdict *iprev = &session->iprev;
	if (!session->iprev_known) {
		return json_null();
	}
	json_t *object = json_object();
	json_t *names = json_array();
	for (size_t i = 0; i < iprev->name_count; i++) {
		json_array_append_new(names, results_text(session, iprev->names[i]));
	}
	put(object, "result", json_string(auth_result_name(iprev->result)));
	put(object, "name", results_text(session, iprev->name[0] == '\0' ? NULL : iprev->name));
	put(object, "names", names);
	put(object, "problem", results_text(session, iprev->problem));
	return object;
}

static json_t *json_geo(struct session *session)
{
	const struct geo_facts *geo = &session->geo;
	json_t *object = json_object();
	put(object, "country", results_text(session, geo->country[0] == '\0' ? NULL : geo->country));
	put(object, "asn", geo->asn == 0 ? json_null() : json_integer(geo->asn));
	put(object, "as_name", results_text(session, geo->as_name[0] == '\0' ? NULL : geo->as_name));
	return object;
}

static json_t *json_findings(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->finding_count; i++) {
		const struct finding *finding = session->findings[i];
		json_t *object = json_object();
		put(object, "code", json_string(finding->code->code));
		put(object, "detail", results_text(session, finding->detail));
		put(object, "action", json_string(action_kind_name(finding->effective)));
		put(object, "configured", json_string(action_kind_name(finding->action.kind)));
		put(object, "lifted", json_boolean(finding->lifted));
		put(object, "rcpt", finding->recipient == FINDING_ALL_RECIPIENTS
		                        ? json_null()
		                        : results_text(session, session->recipients[finding->recipient].address.text));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_reply(struct session *session, const struct verdict *verdict)
{
	if (verdict->action != VERDICT_REJECT && verdict->action != VERDICT_TEMPFAIL) {
		return json_null();
	}
	return results_text(session,
	                 arena_printf(session->arena, "%u %s %s", verdict->code, verdict->enhanced, verdict->text));
}

static json_t *json_recipients(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		json_t *object = json_object();
		put(object, "rcpt", results_text(session, recipient->address.text));
		put(object, "action", json_string(verdict_action_name(recipient->verdict.action)));
		put(object, "reply", json_reply(session, &recipient->verdict));
		put(object, "fate", json_string(delivery_fate_name(recipient->fate)));
		put(object, "at_rcpt", json_boolean(recipient->refused));
		put(object, "score", json_real(recipient->verdict.score));
		put(object, "reason", recipient->verdict.reason == NULL ? json_null()
		                                                        : json_string(recipient->verdict.reason->code->code));
		json_array_append_new(array, object);
	}
	return array;
}

static const char *const edit_names[] = {
	[EDIT_DELETE_HEADER] = "delete_header",
	[EDIT_INSERT_HEADER] = "insert_header",
	[EDIT_DELETE_RECIPIENT] = "delete_recipient",
};

static json_t *json_edits(struct session *session)
{
	json_t *array = json_array();
	for (size_t i = 0; i < session->edit_count; i++) {
		const struct edit *edit = &session->edits[i];
		json_t *object = json_object();
		put(object, "edit", json_string(edit_names[edit->kind]));
		put(object, "name", results_text(session, edit->name));
		put(object, "value", results_text(session, edit->value));
		put(object, "index", json_integer((json_int_t)edit->index));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_question(struct session *session, const struct dnsbl_question *question)
{
	static const char *const results[] = {
		[DNSBL_UNLISTED] = "unlisted", [DNSBL_LISTED] = "listed", [DNSBL_ERROR] = "error"};
	json_t *object = json_object();
	json_t *places = json_array();
	for (unsigned place = 0; place < DNSBL_PLACE_COUNT; place++) {
		if ((question->places & DNSBL_PLACE_BIT(place)) != 0) {
			json_array_append_new(places, json_string(dnsbl_place_name((enum dnsbl_place)place)));
		}
	}
	put(object, "list", results_text(session, question->list->name));
	put(object, "subject", results_text(session, question->subject));
	put(object, "on", places);
	put(object, "result", question->done ? json_string(results[question->result]) : json_null());
	put(object, "codes", results_text(session, question->match.names));
	put(object, "text", results_text(session, question->text));
	put(object, "problem", results_text(session, question->match.problem));
	return object;
}

/* Each question to a list, without keys. */
static json_t *json_dnsbl(struct session *session)
{
	const struct dnsbl_check *checks[] = {session->dnsbl_client, session->dnsbl};
	json_t *array = json_array();
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; checks[i] != NULL && k < checks[i]->count; k++) {
			json_array_append_new(array, json_question(session, &checks[i]->questions[k]));
		}
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

/* null: the session has no TLS. */
static json_t *json_tls(struct session *session)
{
	if (session->tls_version[0] == '\0') {
		return json_null();
	}
	json_t *object = json_object();
	json_t *cert = NULL;
	if (session->cert_subject[0] != '\0' || session->cert_issuer[0] != '\0') {
		bool told = session->cert_verified != SESSION_CERT_UNKNOWN;
		cert = json_object();
		put(cert, "verified", told ? json_boolean(session->cert_verified == SESSION_CERT_VERIFIED) : json_null());
		put(cert, "subject", results_text(session, session->cert_subject));
		put(cert, "issuer", results_text(session, session->cert_issuer));
	}
	put(object, "version", results_text(session, session->tls_version));
	put(object, "cipher", session->tls_cipher[0] == '\0' ? json_null() : results_text(session, session->tls_cipher));
	put(object, "bits", session->tls_bits == 0 ? json_null() : json_integer(session->tls_bits));
	put(object, "client_cert", cert == NULL ? json_null() : cert);
	return object;
}

/* null: it does not come from a trusted upstream relay. */
static json_t *json_upstream(struct session *session)
{
	const struct session_upstream *upstream = &session->upstream;
	char relay[IP_TEXT_SIZE];
	char client[IP_TEXT_SIZE];
	if (!upstream->relayed) {
		return json_null();
	}
	json_t *object = json_object();
	ip_format(&session->peer, relay);
	ip_format(&session->client, client);
	put(object, "relay", json_string(relay));
	put(object, "recovered", json_boolean(upstream->recovered));
	put(object, "client", upstream->recovered ? json_string(client) : json_null());
	put(object, "client_name", upstream->recovered ? results_text(session, session->client_name) : json_null());
	put(object, "helo", upstream->recovered ? results_text(session, session->helo) : json_null());
	put(object, "hops", json_integer(upstream->hops));
	put(object, "problem", upstream->problem[0] == '\0' ? json_null() : results_text(session, upstream->problem));
	return object;
}

json_t *explain_object(struct session *session, const char *file)
{
	json_t *object = json_object();
	bool infected = session->inspection.virus == INSPECT_VIRUS_FOUND;
	put(object, "file", results_text(session, file));
	put(object, "action", json_string(verdict_action_name(session->verdict.action)));
	put(object, "reply", json_reply(session, &session->verdict));
	put(object, "direction", json_string(direction_name(session->direction)));
	put(object, "iprev", json_iprev(session));
	put(object, "geo", json_geo(session));
	put(object, "tls", json_tls(session));
	put(object, "upstream", json_upstream(session));
	put(object, "spf", results_spf(session, &session->spf));
	put(object, "spf_helo", results_spf(session, &session->spf_helo));
	put(object, "dkim", results_dkim(session));
	put(object, "dkim_ignored", json_integer((json_int_t)session->keys.ignored));
	put(object, "arc", results_arc(session));
	put(object, "dmarc", results_dmarc(session));
	put(object, "authres", results_text(session, session->authres));
	put(object, "dnsbl", json_dnsbl(session));
	put(object, "attachments", explain_parts_json(session));
	put(object, "signed", results_signed(session));
	put(object, "virus", results_text(session, infected ? session->inspection.virus_name : NULL));
	put(object, "virus_database", json_database(session));
	put(object, "bayes", explain_bayes_json(session));
	put(object, "score", json_real(session->verdict.score));
	put(object, "findings", json_findings(session));
	put(object, "recipients", json_recipients(session));
	put(object, "edits", json_edits(session));
	put(object, "support_id", json_string(session->support_id));
	/* Stages of later versions: not looked at, which is not the same as nothing found. */
	return object;
}

void explain_json(struct session *session, const char *file, FILE *out)
{
	json_t *object = explain_object(session, file);
	json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
}
