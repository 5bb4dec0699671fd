#include "lib/pipeline/session.h"

#include "lib/base/clock.h"
#include "lib/pipeline/dmarc_collect.h"
#include "lib/pipeline/dmarc_failure_collect.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/parting.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/record.h"
#include "lib/pipeline/stage_message.h"
#include "lib/pipeline/stages.h"
#include "lib/pipeline/tagging.h"
#include "lib/pipeline/verdict_line.h"
#include "lib/policy/globals.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	CONNECTION_CHUNK = 2048,
	TRANSACTION_CHUNK = 16384,
	NAME_MAX_BYTES = 512, /* of HELO, host names, queue ids: what RFC 5321 4.5.3.1 allows and more */
};

const struct globals *session_globals(const struct session *session)
{
	return config_settings(session->config, SECTION_GLOBALS);
}

struct session *session_create(struct engine *engine)
{
	struct session *session = calloc(1, sizeof *session);
	if (session == NULL) {
		abort();
	}
	session->engine = engine;
	meter_count(engine_meter(engine), METER_SESSION_OPENED, 1);
	session->config = engine_config(engine);
	session->connection = arena_create(CONNECTION_CHUNK);
	session->lookups = lookups_create(engine_dns(engine));
	session->client_name = session->mta_name = session->tls_version = session->tls_cipher = "";
	session->cert_subject = session->cert_issuer = session->peer_name = session->peer_helo = "";
	session->upstream.problem = "";
	session->authserv_id = session->queue_id = session->auth_user = "";
	session->mail_from = (struct address){"", "", ""};
	return session;
}

void session_destroy(struct session *session)
{
	if (session == NULL) {
		return;
	}
	meter_count(engine_meter(session->engine), METER_SESSION_CLOSED, 1);
	record_transaction(session);
	message_destroy(session->message);
	list_set_release(session->lists);
	lookups_destroy(session->lookups);
	arena_destroy(session->arena);
	arena_destroy(session->connection);
	config_release(session->config);
	free(session);
}

/* A text from the MTA, bounded, in the connection's memory. */
static const char *connection_text(struct session *session, const char *text)
{
	return text == NULL ? "" : arena_memdup(session->connection, text, strnlen(text, NAME_MAX_BYTES));
}

static const char *session_authserv_id(struct session *session, const char *of_mta)
{
	const char *configured = session_globals(session)->authserv_id;
	if (configured[0] != '\0') {
		return configured;
	}
	if (of_mta != NULL && of_mta[0] != '\0') {
		return connection_text(session, of_mta);
	}
	return engine_name(session->config, session->connection);
}

static bool session_from_own_network(const struct session *session)
{
	const struct option_networks *own = &session_globals(session)->own_networks;
	for (size_t i = 0; i < own->count; i++) {
		if (ip_network_contains(&own->items[i], &session->peer)) {
			return true;
		}
	}
	return false;
}

void session_connect(struct session *session, const struct ip *client, const char *host, const char *authserv_id)
{
	if (client != NULL) {
		session->client = session->peer = *client;
	}
	session->client_known = true;
	session->client_name = connection_text(session, host);
	session->mta_name = connection_text(session, authserv_id);
	session->authserv_id = session_authserv_id(session, authserv_id);
	session->direction = session_from_own_network(session) ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
	pipeline_advance(session, PHASE_CONNECT);
	lookups_mark(session->lookups);
}

void session_name_verified(struct session *session)
{
	session->peer_name_verified = true;
}

void session_local(struct session *session, const char *address)
{
	ip_parse(address, &session->local);
}

/* Sendmail tells its bare version. */
void session_mta(struct session *session, const char *version)
{
	session->mta_is_sendmail = version != NULL && ascii_is_digit(version[0]);
}

void session_helo(struct session *session, const char *helo)
{
	size_t n = strnlen(helo, sizeof session->helo - 1);
	memcpy(session->helo, helo, n);
	session->helo[n] = '\0';
	session->helo_count++;
	pipeline_advance(session, PHASE_HELO);
	lookups_mark(session->lookups);
}

/* A distinguished name as Sendmail gives it: +HH for a byte that is not plain. Decoded, but for control bytes. */
static const char *connection_name(struct session *session, const char *text)
{
	char *name = arena_strdup(session->connection, connection_text(session, text));
	char *out = name;
	for (const char *in = name; session->mta_is_sendmail && *in != '\0'; in++) {
		char digits[3] = {in[0] == '+' ? in[1] : '\0', in[0] == '+' && in[1] != '\0' ? in[2] : '\0', '\0'};
		bool coded = isxdigit((unsigned char)digits[0]) && isxdigit((unsigned char)digits[1]);
		long byte = coded ? strtol(digits, NULL, 16) : 0;
		coded = byte >= ' ' && byte < 0x7f;
		*out++ = coded ? (char)byte : *in;
		in += coded ? 2 : 0;
	}
	if (session->mta_is_sendmail) {
		*out = '\0';
	}
	return name;
}

void session_tls(struct session *session, const struct session_tls *tls)
{
	session->tls_version = connection_text(session, tls->version);
	session->tls_cipher = connection_text(session, tls->cipher);
	session->tls_bits = tls->bits;
	session->cert_subject = connection_name(session, tls->cert_subject);
	session->cert_issuer = connection_name(session, tls->cert_issuer);
	session->cert_verified = tls->verified;
}

/* 40 random bits in Crockford's base 32: eight characters that can be read out on the phone. */
static void session_support_id(struct session *session)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
		random = clock_now();
	}
	for (int i = 0; i < 8; i++) {
		session->support_id[i] = digits[random >> (5 * i) & 31U];
	}
	session->support_id[8] = '\0';
}

/* Everything of a transaction to its first state. */
static void transaction_reset(struct session *session)
{
	record_transaction(session);
	message_destroy(session->message);
	session->message = NULL;
	list_set_release(session->lists);
	session->lists = NULL;
	session->lists_state = NULL;
	session->message_status = MESSAGE_OK;
	if (session->arena == NULL) {
		session->arena = arena_create(TRANSACTION_CHUNK);
	} else {
		arena_reset(session->arena);
	}
	lookups_reset(session->lookups);
	session->queue_id = session->auth_user = "";
	session->mail_from = (struct address){"", "", ""};
	session->recipients = NULL;
	session->recipient_count = session->recipient_capacity = session->refused_count = session->rejected_count = 0;
	session->smtputf8 = session->releasing = false;
	session->iprev_known = session->helo_known = session->geo_stated = false;
	session->iprev = (struct iprev_verdict){.result = AUTH_NONE, .name = ""};
	session->client_stated = 0;
	session->client_until = 0;
	session->upstream = (struct session_upstream){.problem = ""};
	session->spf_known = session->spf_helo_known = session->spf_helo_checked = session->keys_known = false;
	session->arc_keys_known = session->inspected = session->arc_known = session->dmarc_known = false;
	session->spf = session->spf_helo = (struct spf_verdict){.result = AUTH_NONE, .domain = ""};
	session->spf_helo.scope = SPF_SCOPE_HELO;
	session->keys.count = session->keys.ignored = 0;
	session->arc_keys = NULL;
	session->arc_sealing = false;
	session->arc_sealed = 0;
	session->arc_trusted = 0;
	session->author = (struct author){.status = AUTHOR_NO_FROM, .address = {"", "", ""}};
	session->pool_result = POOL_OK;
	session->poison = false;
	session->inspection = (struct inspect_reply){.virus = INSPECT_VIRUS_NOT_ASKED};
	session->dmarc = (struct dmarc_verdict){.result = AUTH_NONE, .domain = "", .org_domain = "", .policy_domain = ""};
	session->bayes = NULL;
	session->rate = NULL;
	session->authres = NULL;
	session->signature_count = 0;
	session->findings = NULL;
	session->finding_count = session->finding_capacity = session->common_count = 0;
	session->edits = NULL;
	session->edit_count = session->edit_capacity = 0;
	session->wake_at = session->helo_until = 0;
	session->dnsbl = NULL;
	session->dnsbl_allowed = false;
	memset(session->stage_ns, 0, sizeof session->stage_ns);
	session->digest = NULL;
	session->release = NULL;
	session->verdict = (struct verdict){.action = VERDICT_ACCEPT};
	session->answer = DELIVERY_PASS;
	session->quarantine_id[0] = '\0';
	session->elapsed_ns = 0;
}

static void transaction_open_message(struct session *session)
{
	const struct globals *globals = session_globals(session);
	struct message_settings settings = {
		.memory_max = globals->message_memory,
		.size_max = globals->message_max,
		.spool_dir = globals->spool_dir,
		.budget = engine_message_budget(session->engine),
		.budget_max = globals->memory_total,
		.headers = {.max_count = globals->header_count_max, .max_bytes = globals->header_max},
	};
	session->message = message_create(session->arena, &settings);
}

void session_mail(struct session *session, const char *path, const char *auth_user, const char *queue_id, uint64_t now)
{
	transaction_reset(session);
	session_support_id(session);
	session->now = now != 0 ? now : (uint64_t)time(NULL);
	session_queue_id(session, queue_id);
	if (auth_user != NULL) {
		session->auth_user = arena_memdup(session->arena, auth_user, strnlen(auth_user, NAME_MAX_BYTES));
	}
	bool outbound = session->auth_user[0] != '\0' || session_from_own_network(session);
	session->direction = outbound ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
	address_parse_path(session->arena, path, &session->mail_from);
	pipeline_advance(session, PHASE_MAIL);
}

void session_smtputf8(struct session *session)
{
	session->smtputf8 = true;
}

void session_releasing(struct session *session)
{
	session->releasing = true;
}

void session_queue_id(struct session *session, const char *queue_id)
{
	if (queue_id != NULL && queue_id[0] != '\0' && session->queue_id[0] == '\0') {
		session->queue_id = arena_memdup(session->arena, queue_id, strnlen(queue_id, NAME_MAX_BYTES));
	}
}

struct policy_context session_policy(const struct session *session)
{
	return (struct policy_context){.config = session->config,
	                               .direction = session->direction,
	                               .scores = config_settings(session->config, SECTION_SCORES),
	                               .support_id = session->support_id,
	                               .arena = session->arena};
}

void session_judge_recipient(struct session *session, size_t index, unsigned traits, bool before_data)
{
	struct recipient *recipient = &session->recipients[index];
	struct policy_context context = session_policy(session);
	struct policy_recipient judged = {.index = (int)index,
	                                  .scope = recipient->scope,
	                                  .allow = recipient->allow,
	                                  .forced = session->release != NULL && session->release->token.forced};
	if (before_data && recipient->allow_possible > judged.allow) {
		judged.allow = recipient->allow_possible;
	}
	policy_judge(&context, session->findings, session->finding_count, &judged, traits, &recipient->verdict);
}

static enum session_rcpt_result session_rcpt_judge(struct session *session, size_t index)
{
	struct recipient *recipient = &session->recipients[index];
	if (session->releasing && index == 0) {
		return SESSION_RCPT_OK; /* what stands against it is judged with its token; two recipients are no release */
	}
	session_judge_recipient(session, index, FINDING_AT_RCPT, true);
	recipient->refused =
	    recipient->verdict.action == VERDICT_TEMPFAIL || recipient->verdict.action == VERDICT_REJECT;
	if (!recipient->refused) {
		return SESSION_RCPT_OK;
	}
	session->refused_count++;
	verdict_line_log_rcpt(session, recipient);
	meter_refused(engine_meter(session->engine), session, recipient);
	return SESSION_RCPT_REFUSED;
}

enum session_rcpt_result session_rcpt(struct session *session, const char *path)
{
	if (session->recipient_count >= session_globals(session)->recipients_max) {
		return SESSION_RCPT_TOO_MANY;
	}
	session->recipients = arena_grow(session->arena, session->recipients, sizeof *session->recipients,
	                                 session->recipient_count, &session->recipient_capacity);
	struct recipient *recipient = &session->recipients[session->recipient_count++];
	*recipient = (struct recipient){.path = arena_strdup(session->arena, path), .allow = POLICY_NONE};
	address_parse_path(session->arena, path, &recipient->address);
	recipient->scope =
	    config_scope(session->config, &recipient->address, session_globals(session)->recipient_delimiter);
	pipeline_advance(session, PHASE_RCPT);
	return session_rcpt_judge(session, session->recipient_count - 1);
}

void session_rcpt_rejected(struct session *session)
{
	session->rejected_count++;
	pipeline_advance(session, PHASE_REJECTED);
}

static void session_note(struct session *session, enum message_status status)
{
	if (session->message_status == MESSAGE_OK) {
		session->message_status = status;
	}
}

void session_header(struct session *session, struct slice name, struct slice value)
{
	if (session->message == NULL) {
		transaction_open_message(session);
	}
	session_note(session, message_add_header(session->message, name, value));
}

void session_headers_end(struct session *session)
{
	if (session->message == NULL) {
		transaction_open_message(session);
	}
	session_note(session, message_end_headers(session->message));
	pipeline_advance(session, PHASE_HEADERS);
}

void session_body(struct session *session, const void *data, size_t n)
{
	if (session->message == NULL) {
		session_headers_end(session);
	}
	session_note(session, message_add_body(session->message, data, n));
}

void session_load(struct session *session, struct slice bytes)
{
	transaction_open_message(session);
	session_note(session, message_load(session->message, bytes));
	pipeline_advance(session, PHASE_HEADERS);
}

const struct headers *session_headers(const struct session *session)
{
	static const struct headers none;
	return session->message == NULL ? &none : message_headers(session->message);
}

/* The recipients that were not refused at RCPT, whose verdicts stand; or all of them where none is left. */
void session_judge(struct session *session)
{
	struct policy_context context = session_policy(session);
	bool all = session->refused_count == session->recipient_count;
	const struct verdict *strictest = NULL;
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		if (!recipient->refused) {
			session_judge_recipient(session, i, 0, false);
		}
		if ((all || !recipient->refused) && (strictest == NULL || recipient->verdict.action > strictest->action)) {
			strictest = &recipient->verdict;
		}
	}
	if (strictest != NULL) {
		session->verdict = *strictest;
		return;
	}
	struct policy_recipient nobody = {.index = FINDING_ALL_RECIPIENTS};
	policy_judge(&context, session->findings, session->finding_count, &nobody, 0, &session->verdict);
}

/* Does he get the message, now or once it is not held any more? */
static bool recipient_gets_it(const struct recipient *recipient)
{
	return recipient->fate == DELIVERY_SENT || recipient->fate == DELIVERY_HELD;
}

static bool session_is_parted(const struct session *session)
{
	bool parted = false;
	for (size_t i = 0; i < session->recipient_count; i++) {
		parted = parted || !recipient_gets_it(&session->recipients[i]);
	}
	return parted && (session->answer == DELIVERY_PASS || session->answer == DELIVERY_HOLD);
}

/* The header tells those who get the message what was found for them, and nothing of the others. */
static void session_tag(struct session *session)
{
	struct policy_context context = session_policy(session);
	size_t count = session->finding_count;
	if (!session_is_parted(session)) {
		tagging_apply(session);
		return;
	}
	struct finding *kept = arena_alloc(session->arena, (count + 1) * sizeof *kept);
	for (size_t i = 0; i < count; i++) {
		kept[i] = *session->findings[i];
		policy_begin(&context, session->findings[i]);
	}
	for (size_t i = 0; i < session->recipient_count; i++) {
		if (recipient_gets_it(&session->recipients[i])) {
			session_judge_recipient(session, i, 0, false);
		}
	}
	tagging_apply(session);
	for (size_t i = 0; i < count; i++) {
		*session->findings[i] = kept[i];
	}
}

static const struct verdict *session_decide(struct session *session)
{
	uint64_t start = clock_now();
	session->deadline = start + session_globals(session)->message_deadline;
	if (!pipeline_finish(session)) {
		session_find(session, message_undecided, NULL, NULL);
	}
	session_judge(session);
	parting_decide(session);
	session_tag(session);
	parting_edit(session);
	session->elapsed_ns = clock_now() - start;
	return &session->verdict;
}

const struct verdict *session_end(struct session *session)
{
	if (session->message == NULL) {
		session_headers_end(session);
	}
	if (message_fd(session->message) < 0) {
		session_note(session, message_seal(session->message));
	}
	const struct verdict *verdict = session_decide(session);
	verdict_line_log(session);
	meter_message(engine_meter(session->engine), session);
	session->ended = true;
	dmarc_collect(session);
	dmarc_failure_collect(session);
	return verdict;
}

const struct verdict *session_end_envelope(struct session *session)
{
	return session_decide(session);
}

void session_abort(struct session *session)
{
	if (session->arena != NULL) {
		transaction_reset(session);
	}
}
