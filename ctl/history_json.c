#include "ctl/history.h"
#include "ctl/period.h"

static void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

json_t *history_json_text(const char *text)
{
	json_t *value = json_string(text);
	if (value == NULL) {
		struct arena *arena = arena_create(1024);
		value = json_string(text_escape(arena, slice_from(text), "", true, SIZE_MAX));
		arena_destroy(arena);
	}
	return value;
}

static void put_text(json_t *object, const char *key, const char *text)
{
	put(object, key, history_json_text(text));
}

/* null for what is not there. */
static void put_known(json_t *object, const char *key, const char *text)
{
	put(object, key, text[0] == '\0' ? json_null() : history_json_text(text));
}

/* null: the client came itself. */
static json_t *json_relay(const struct history_message *message)
{
	if (strcmp(message->peer, message->client) == 0) {
		return json_null();
	}
	json_t *object = json_object();
	put_text(object, "name", message->peer_name);
	put_text(object, "helo", message->peer_helo);
	return object;
}

static json_t *json_certificate(const struct history_message *message)
{
	bool known = message->cert_verified != HISTORY_CERT_UNKNOWN;
	if (!known && message->cert_subject[0] == '\0' && message->cert_issuer[0] == '\0') {
		return json_null();
	}
	json_t *object = json_object();
	put_known(object, "subject", message->cert_subject);
	put_known(object, "issuer", message->cert_issuer);
	put(object, "verified", known ? json_boolean(message->cert_verified == HISTORY_CERT_VERIFIED) : json_null());
	return object;
}

static json_t *json_tls(const struct history_message *message)
{
	if (message->tls_version[0] == '\0') {
		return json_null();
	}
	json_t *object = json_object();
	put_text(object, "version", message->tls_version);
	put_text(object, "cipher", message->tls_cipher);
	put(object, "bits", message->tls_bits == 0 ? json_null() : json_integer(message->tls_bits));
	put(object, "client_cert", json_certificate(message));
	return object;
}

const char *history_copy_state(const struct history_recipient *recipient)
{
	if (recipient->fate[0] == '\0' || strcmp(recipient->fate, "held") == 0) {
		return recipient->fate;
	}
	if (recipient->quarantine[0] == '\0' || strcmp(recipient->state, "held") == 0) {
		return "stored";
	}
	return recipient->state[0] == '\0' ? "gone" : recipient->state;
}

/* null: no copy was kept. */
static json_t *json_quarantine(const struct history_recipient *recipient)
{
	const char *state = history_copy_state(recipient);
	if (state[0] == '\0') {
		return json_null();
	}
	json_t *object = json_object();
	put_text(object, "state", state);
	if (recipient->quarantine[0] == '\0') {
		put(object, "id", json_null());
	} else {
		put(object, "id", json_sprintf("%s/%lld", recipient->quarantine, (long long)recipient->copy));
	}
	return object;
}

static json_t *json_recipients(const struct history_message *message)
{
	json_t *array = json_array();
	for (size_t i = 0; i < message->recipients_given; i++) {
		const struct history_recipient *recipient = &message->recipients[i];
		json_t *object = json_object();
		put_text(object, "rcpt", recipient->address);
		put_text(object, "action", recipient->action);
		put_known(object, "reply", recipient->reply);
		put(object, "refused_at_rcpt", json_boolean(recipient->refused));
		put(object, "quarantine", json_quarantine(recipient));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_findings(const struct history_message *message)
{
	json_t *array = json_array();
	for (size_t i = 0; i < message->findings_given; i++) {
		const struct history_finding *finding = &message->findings[i];
		json_t *object = json_object();
		bool one = finding->recipient >= 0 && (size_t)finding->recipient < message->recipients_given;
		put_text(object, "code", finding->code);
		put_text(object, "detail", finding->detail);
		put_text(object, "action", finding->effective);
		put_text(object, "configured", finding->action);
		put_text(object, "mode", finding->mode);
		put(object, "rcpt", one ? history_json_text(message->recipients[finding->recipient].address) : json_null());
		json_array_append_new(array, object);
	}
	return array;
}

/* spf, dkim, arc, dmarc ... as they were recorded; null for those that there was nothing to say of. */
static void put_results(json_t *object, const struct history_message *message)
{
	static const char *const keys[] = {"spf", "spf_helo", "dkim", "arc", "dmarc", "virus", "signed", "stages"};
	json_t *results = json_loads(message->results, 0, NULL);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *value = json_object_get(results, keys[i]);
		json_object_set(object, keys[i], value != NULL ? value : json_null());
	}
	json_decref(results);
}

json_t *history_json(const struct history_message *message)
{
	json_t *object = json_object();
	char time[PERIOD_TEXT_SIZE];
	period_format_iso(message->time, time);
	put_text(object, "time", time);
	put(object, "epoch", json_integer(message->time));
	put_known(object, "queue_id", message->queue_id);
	put_text(object, "support_id", message->support_id);
	put_text(object, "host", message->host);
	put_text(object, "action", message->action);
	put_known(object, "reason", message->reason);
	put_known(object, "reply", message->reply);
	put_text(object, "direction", message->direction);
	put_text(object, "client", message->client);
	put_text(object, "peer", message->peer);
	put_text(object, "client_name", message->client_name);
	put_text(object, "helo", message->helo);
	put_known(object, "country", message->country);
	put(object, "asn", message->asn == 0 ? json_null() : json_integer(message->asn));
	put_known(object, "as_name", message->as_name);
	put(object, "relay", json_relay(message));
	put(object, "tls", json_tls(message));
	put_known(object, "auth_user", message->auth_user);
	put_text(object, "mail_from", message->mail_from);
	put_known(object, "author", message->author);
	put_text(object, "subject", message->subject);
	put_known(object, "message_id", message->message_id);
	put(object, "size", json_integer(message->size));
	put(object, "score", json_real(message->score));
	put(object, "ms", json_integer(message->milliseconds));
	put(object, "data", json_boolean(message->ended));
	put_results(object, message);
	put(object, "findings", json_findings(message));
	put(object, "recipients", json_recipients(message));
	put(object, "recipient_count", json_integer(message->recipient_count));
	return object;
}
