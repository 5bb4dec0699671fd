#include "lib/pipeline/record.h"

#include "lib/base/clock.h"
#include "lib/dns/zone_text.h"
#include "lib/pipeline/auto_learn.h"
#include "lib/pipeline/results.h"
#include "lib/pipeline/stage_dnsbl.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"
#include "lib/store/history.h"

#include <openssl/evp.h>
#include <stddef.h>

#define DAY (24 * 3600 * CLOCK_NS_PER_S)

enum {
	TEXT_MAX = 512, /* bytes of what the client says */
	REPLY_MAX = 1000,
	SUBJECT_MAX = 300,
	WORD_MAX = 40,
	DNS_MAX = 32768,
	HASH_BYTES = 8,
};

static const struct option_word subjects[] = {{"none", RECORD_SUBJECT_NONE},
                                              {"hash", RECORD_SUBJECT_HASH},
                                              {"word", RECORD_SUBJECT_WORD},
                                              {"full", RECORD_SUBJECT_FULL},
                                              {NULL, 0}};

static const struct option_row history_options[] = {
    {.name = "keep",
     .type = OPTION_DURATION,
     .offset = offsetof(struct record_options, keep),
     .fallback = "30d",
     .min = 0,
     .max = 3650 * DAY,
     .help = "how long the rows of a message are kept in the store; 0: none are made"},
    {.name = "tls_keep",
     .type = OPTION_DURATION,
     .offset = offsetof(struct record_options, tls_keep),
     .fallback = "90d",
     .min = DAY,
     .max = 3650 * DAY,
     .help = "how long the ledger of TLS by day and sender domain is kept (mailreeve report tls)"},
    {.name = "subject",
     .type = OPTION_WORD,
     .offset = offsetof(struct record_options, subject),
     .fallback = "full",
     .words = subjects,
     .help = "what is kept of a subject: nothing, a hash that tells equal ones, the first word, or all of it"},
    {.name = "dns",
     .type = OPTION_BOOL,
     .offset = offsetof(struct record_options, dns),
     .fallback = "yes",
     .help = "keep the DNS answers of each message, so that mailreeve explain can judge it by them again"},
    {.name = NULL},
};

const struct section history_section = {
    .name = "history",
    .help = "What is remembered of each message in the store: for mailreeve find, report and explain ID.",
    .options = history_options,
    .settings_size = sizeof(struct record_options),
};

/* What the network says, bounded, and safe for whoever prints it. */
static const char *safe(struct session *session, const char *text, size_t max)
{
	return text_escape(session->arena, slice_from(text == NULL ? "" : text), "", true, max);
}

static const char *subject_hash(struct session *session, struct slice subject)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	struct strbuf text;
	strbuf_init(&text, session->arena);
	if (EVP_Digest(subject.data, subject.len, digest, &size, EVP_sha256(), NULL) != 1) {
		return "";
	}
	for (size_t i = 0; i < HASH_BYTES; i++) {
		strbuf_printf(&text, "%02x", digest[i]);
	}
	return text.data;
}

const char *record_subject(struct session *session, enum record_subject level, struct slice value)
{
	struct slice subject = slice_trim(header_decode(session->arena, header_unfold(session->arena, value)));
	if (subject.len == 0) {
		return "";
	}
	switch (level) {
	case RECORD_SUBJECT_NONE:
		break;
	case RECORD_SUBJECT_HASH:
		return subject_hash(session, subject);
	case RECORD_SUBJECT_WORD:
		subject.len = slice_find(subject, ' ', 0);
		return text_escape(session->arena, subject, "", true, WORD_MAX);
	case RECORD_SUBJECT_FULL:
		return text_escape(session->arena, subject, "", true, SUBJECT_MAX);
	}
	return "";
}

static const char *reply_text(struct session *session, const struct verdict *verdict)
{
	if (verdict->action != VERDICT_REJECT && verdict->action != VERDICT_TEMPFAIL) {
		return "";
	}
	return safe(session, arena_printf(session->arena, "%u %s %s", verdict->code, verdict->enhanced, verdict->text),
	            REPLY_MAX);
}

static const char *ip_text(struct session *session, const struct ip *ip)
{
	char *text = arena_alloc(session->arena, IP_TEXT_SIZE);
	ip_format(ip, text);
	return text;
}

static enum history_cert cert_verified(enum session_cert cert)
{
	switch (cert) {
	case SESSION_CERT_UNKNOWN:
		break;
	case SESSION_CERT_VERIFIED:
		return HISTORY_CERT_VERIFIED;
	case SESSION_CERT_NOT_VERIFIED:
		return HISTORY_CERT_NOT_VERIFIED;
	}
	return HISTORY_CERT_UNKNOWN;
}

static void fill_client(struct session *session, struct history_message *message)
{
	message->host = session->authserv_id;
	message->client = ip_text(session, &session->client);
	message->peer = ip_text(session, &session->peer);
	message->client_name = safe(session, session->client_name, TEXT_MAX);
	message->helo = safe(session, session->helo, TEXT_MAX);
	message->country = session->geo.country;
	message->asn = session->geo.asn;
	message->as_name = safe(session, session->geo.as_name, TEXT_MAX);
	message->tls_version = safe(session, session->tls_version, TEXT_MAX);
	message->tls_cipher = safe(session, session->tls_cipher, TEXT_MAX);
	message->tls_bits = session->tls_bits;
	message->cert_subject = safe(session, session->cert_subject, TEXT_MAX);
	message->cert_issuer = safe(session, session->cert_issuer, TEXT_MAX);
	message->cert_verified = cert_verified(session->cert_verified);
	message->peer_name = session->upstream.relayed ? safe(session, session->peer_name, TEXT_MAX) : "";
	message->peer_helo = session->upstream.relayed ? safe(session, session->peer_helo, TEXT_MAX) : "";
	message->auth_user = safe(session, session->auth_user, TEXT_MAX);
	message->queue_id = safe(session, session->queue_id, TEXT_MAX);
	message->support_id = session->support_id;
	message->direction = direction_name(session->direction);
	message->mail_from = safe(session, session->mail_from.text, TEXT_MAX);
	message->mail_from_domain = session->mail_from.domain;
}

static void fill_header(struct session *session, const struct record_options *options, struct history_message *message)
{
	const struct headers *headers = session_headers(session);
	const struct header *subject = headers_find(headers, "Subject", 0);
	const struct header *id = headers_find(headers, "Message-ID", 0);
	struct author author;
	author_find(session->arena, headers, &author);
	message->author = safe(session, author.address.text, TEXT_MAX);
	message->author_domain = author.address.domain;
	message->subject =
	    subject == NULL ? "" : record_subject(session, (enum record_subject)options->subject, subject->value);
	message->message_id =
	    id == NULL ? "" : text_escape(session->arena, header_unfold(session->arena, id->value), "", true, TEXT_MAX);
	message->size = session->message == NULL ? 0 : (int64_t)message_size(session->message);
}

/* The best of all signatures: one that passes is enough. */
static const char *dkim_result(const struct session *session)
{
	const struct inspect_reply *reply = &session->inspection;
	for (size_t i = 0; i < reply->signature_count; i++) {
		if (reply->signatures[i].result == AUTH_PASS) {
			return auth_result_name(AUTH_PASS);
		}
	}
	return !session->inspected
	           ? ""
	           : auth_result_name(reply->signature_count == 0 ? AUTH_NONE : reply->signatures[0].result);
}

static void fill_results(struct session *session, struct history_message *message)
{
	message->spf = session->spf_known ? auth_result_name(session->spf.result) : "";
	message->dkim = dkim_result(session);
	message->arc = session->arc_known ? auth_result_name(session->inspection.arc.result) : "";
	message->dmarc = session->dmarc_known ? auth_result_name(session->dmarc.result) : "";
	message->dmarc_domain = session->dmarc_known ? session->dmarc.domain : "";
	message->results = results_record(session);
}

static void fill_verdict(struct session *session, struct history_message *message)
{
	const struct verdict *verdict = &session->verdict;
	message->ended = session->ended;
	message->action = verdict_action_name(verdict->action);
	message->reason = verdict->reason == NULL ? "" : verdict->reason->code->code;
	message->reply = reply_text(session, verdict);
	message->score = verdict->score;
	message->milliseconds = (int64_t)(session->elapsed_ns / CLOCK_NS_PER_MS);
}

/* The client went away: the strictest that a recipient was told. */
static void fill_refused(struct session *session, struct history_message *message)
{
	const struct verdict *strictest = NULL;
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		if (recipient->refused && (strictest == NULL || recipient->verdict.action > strictest->action)) {
			strictest = &recipient->verdict;
		}
	}
	message->action = verdict_action_name(strictest->action);
	message->reason = strictest->reason == NULL ? "" : strictest->reason->code->code;
	message->reply = reply_text(session, strictest);
	message->score = strictest->score;
}

/* What the recipient got: an answer that all have in common is each one's, whatever his own verdict was. */
static const struct verdict *verdict_of(const struct session *session, const struct recipient *recipient)
{
	switch (recipient->fate) {
	case DELIVERY_RETURNED:
	case DELIVERY_HELD:
		return &session->verdict;
	case DELIVERY_REFUSED:
	case DELIVERY_SENT:
	case DELIVERY_STORED:
	case DELIVERY_DROPPED:
		break;
	}
	return &recipient->verdict;
}

/* Nobody was told the verdict of a copy that was stored. */
static bool is_told(const struct session *session, const struct recipient *recipient)
{
	return recipient->refused || (session->ended && recipient->fate == DELIVERY_RETURNED);
}

/* Where his copy is, if a person may still decide about it. Of those with the same path there is one. */
static void fill_fate(const struct session *session, const struct recipient *recipient, struct history_recipient *row)
{
	if (!session->ended) {
		return;
	}
	switch (recipient->fate) {
	case DELIVERY_HELD:
		row->fate = "held";
		break;
	case DELIVERY_STORED:
		row->fate = "stored";
		row->quarantine = session->quarantine_id;
		row->copy = (int64_t)recipient->first + 1;
		break;
	case DELIVERY_REFUSED:
	case DELIVERY_SENT:
	case DELIVERY_DROPPED:
	case DELIVERY_RETURNED:
		break;
	}
}

static void fill_recipients(struct session *session, struct history_message *message)
{
	struct history_recipient *rows = arena_alloc(session->arena, (session->recipient_count + 1) * sizeof *rows);
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		const struct verdict *verdict = session->ended ? verdict_of(session, recipient) : &recipient->verdict;
		bool judged = session->ended || recipient->refused;
		rows[i] = (struct history_recipient){
		    .address = safe(session, recipient->address.text, TEXT_MAX),
		    .domain = recipient->address.domain,
		    .action = judged ? verdict_action_name(verdict->action) : "aborted",
		    .reply = is_told(session, recipient) ? reply_text(session, verdict) : "",
		    .refused = recipient->refused,
		};
		fill_fate(session, recipient, &rows[i]);
	}
	message->recipients = rows;
	message->recipients_given = session->recipient_count;
	message->recipient_count = (int64_t)session->recipient_count;
}

/* Did the mode of its stage alone keep the finding from its action? */
static bool finding_would(const struct finding *finding, enum stage_mode mode)
{
	return !finding->lifted && (mode == MODE_OBSERVE || mode == MODE_TAG) && finding->action.kind != ACTION_IGNORE &&
	       finding->effective != finding->action.kind;
}

static void fill_findings(struct session *session, struct history_message *message)
{
	struct history_finding *rows = arena_alloc(session->arena, (session->finding_count + 1) * sizeof *rows);
	for (size_t i = 0; i < session->finding_count; i++) {
		const struct finding *finding = session->findings[i];
		enum stage_mode mode = config_mode(session->config, config_section_of(session->config, finding->code));
		rows[i] = (struct history_finding){
		    .code = finding->code->code,
		    .detail = finding->detail,
		    .action = action_kind_name(finding->action.kind),
		    .effective = action_kind_name(finding->effective),
		    .mode = stage_mode_name(mode),
		    .would = finding_would(finding, mode),
		    .recipient = finding->recipient,
		};
	}
	message->findings = rows;
	message->findings_given = session->finding_count;
}

static const char *dns_text(struct session *session)
{
	struct strbuf text;
	strbuf_init(&text, session->arena);
	const struct dnsbl_settings *dnsbl = config_settings(session->config, stages_section(&stage_dnsbl));
	zone_text_write(session->lookups, DNS_MAX, &text);
	return dnsbl_hide(session->arena, &dnsbl->lists, text.data);
}

static bool any_refused(const struct session *session)
{
	for (size_t i = 0; i < session->recipient_count; i++) {
		if (session->recipients[i].refused) {
			return true;
		}
	}
	return false;
}

void record_transaction(struct session *session)
{
	const struct record_options *options = config_settings(session->config, SECTION_HISTORY);
	struct store *store = engine_records(session->engine) ? engine_store(session->engine) : NULL;
	auto_learn_offer(engine_auto_learn(session->engine), session);
	if (store == NULL || options->keep == 0 || session->arena == NULL || !(session->ended || any_refused(session))) {
		return;
	}
	struct history_message message = {.id = history_new_id((int64_t)session->now), .time = (int64_t)session->now};
	fill_client(session, &message);
	fill_header(session, options, &message);
	fill_results(session, &message);
	if (session->ended) {
		fill_verdict(session, &message);
	} else {
		fill_refused(session, &message);
	}
	fill_recipients(session, &message);
	fill_findings(session, &message);
	message.dns = options->dns ? dns_text(session) : "";
	session->ended = false;
	history_record(store, &message);
}
