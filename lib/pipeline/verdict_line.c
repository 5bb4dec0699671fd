#include "lib/pipeline/verdict_line.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { VALUE_MAX = 256 };

/* The fields come first; the line is made of them. */
struct line {
	struct session *session;
	struct log_field *fields;
	size_t count, capacity;
};

/* value: safe already. */
static void line_add(struct line *line, const char *key, enum log_kind kind, const char *value)
{
	struct arena *arena = line->session->arena;
	line->fields = arena_grow(arena, line->fields, sizeof *line->fields, line->count, &line->capacity);
	line->fields[line->count++] = (struct log_field){key, value, kind};
}

static void line_text(struct line *line, const char *key, const char *value)
{
	line_add(line, key, LOG_TEXT, text_escape(line->session->arena, slice_from(value), "\"", false, VALUE_MAX));
}

static void line_number(struct line *line, const char *key, uint64_t value)
{
	line_add(line, key, LOG_NUMBER, arena_printf(line->session->arena, "%llu", (unsigned long long)value));
}

static const char *line_print(const struct line *line)
{
	struct strbuf text;
	strbuf_init(&text, line->session->arena);
	strbuf_printf(&text, "%s:", line->fields[0].value);
	for (size_t i = 1; i < line->count; i++) {
		const char *value = line->fields[i].value;
		const char *quote = value[0] == '\0' || strpbrk(value, " =") != NULL ? "\"" : "";
		strbuf_printf(&text, " %s=%s%s%s", line->fields[i].key, quote, value, quote);
	}
	return text.data;
}

static void line_dkim(struct session *session, struct line *line)
{
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		const struct inspect_signature *signature = &session->inspection.signatures[i];
		const char *text = arena_printf(session->arena, "%s(%s)", auth_result_name(signature->result), signature->domain);
		line_text(line, "dkim", text);
		line->fields[line->count - 1].kind = LOG_EACH;
	}
}

static void line_signed(struct session *session, struct line *line)
{
	struct strbuf all;
	strbuf_init(&all, session->arena);
	for (size_t i = 0; i < session->signature_count; i++) {
		const struct session_signature *signature = &session->signatures[i];
		strbuf_printf(&all, "%s%s/%s", i == 0 ? "" : ",", signature->domain, signature->selector);
	}
	if (all.len > 0) {
		line_add(line, "signed", LOG_LIST, all.data);
	}
}

static void line_client(struct session *session, struct line *line)
{
	const struct geo_facts *geo = &session->geo;
	if (session->iprev_known) {
		line_text(line, "iprev", auth_result_name(session->iprev.result));
	}
	if (geo->country[0] != '\0' && ip_equal(&geo->address, &session->client)) {
		line_text(line, "country", geo->country);
	}
	if (geo->asn != 0 && ip_equal(&geo->address, &session->client)) {
		line_number(line, "asn", geo->asn);
	}
}

static void line_findings(struct session *session, struct line *line)
{
	struct strbuf codes;
	strbuf_init(&codes, session->arena);
	for (size_t i = 0; i < session->finding_count; i++) {
		if (!session_found_before(session, i, ACTION_IGNORE)) {
			strbuf_printf(&codes, "%s%s", i == 0 ? "" : ",", session->findings[i]->code->code);
		}
	}
	if (codes.len > 0) {
		line_add(line, "findings", LOG_LIST, codes.data);
	}
}

static const char *virus_text(const struct inspect_reply *reply)
{
	switch (reply->virus) {
	case INSPECT_VIRUS_NOT_ASKED:
		return "not-asked";
	case INSPECT_VIRUS_CLEAN:
		return "clean";
	case INSPECT_VIRUS_FOUND:
		return reply->virus_name;
	case INSPECT_VIRUS_LIMIT:
		return "limit";
	case INSPECT_VIRUS_ERROR:
		return "error";
	case INSPECT_VIRUS_NO_DATABASE:
		return "no-database";
	case INSPECT_VIRUS_NOT_SCANNED:
		return "not-scanned";
	}
	return NULL;
}

/* "verified(/CN=mail.example)"; who the MTA says nothing about is unknown. */
static void line_tls(struct session *session, struct line *line)
{
	static const char *const verified[] = {
	    [SESSION_CERT_UNKNOWN] = "unknown", [SESSION_CERT_VERIFIED] = "verified", [SESSION_CERT_NOT_VERIFIED] = "unverified"};
	if (session->tls_version[0] == '\0') {
		line_text(line, "tls", "none");
		return;
	}
	line_text(line, "tls", session->tls_version);
	line_text(line, "tls_cipher", session->tls_cipher);
	if (session->cert_subject[0] != '\0') {
		line_text(line, "tls_cert",
		          arena_printf(session->arena, "%s(%s)", verified[session->cert_verified], session->cert_subject));
	}
}

/* Who gave us another's mail. */
static void line_relay(struct session *session, struct line *line)
{
	char relay[IP_TEXT_SIZE];
	if (session->upstream.relayed) {
		ip_format(&session->peer, relay);
		line_text(line, "relay", relay);
	}
}

/* Who sends, from where: the same in both lines. */
static void line_begin(struct session *session, struct line *line, const struct verdict *verdict)
{
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	*line = (struct line){.session = session};
	const char *queue_id = session->queue_id[0] == '\0' ? "NOQUEUE" : session->queue_id;
	line_add(line, "queue_id", LOG_TEXT, text_escape(session->arena, slice_from(queue_id), " :", false, 64));
	line_text(line, "verdict", verdict_action_name(verdict->action));
	line_text(line, "id", session->support_id);
	line_text(line, "direction", direction_name(session->direction));
	line_text(line, "client", client);
	line_text(line, "name", session->client_name);
	line_text(line, "helo", session->helo);
	line_relay(session, line);
	line_tls(session, line);
	if (session->auth_user[0] != '\0') {
		line_text(line, "auth", session->auth_user);
	}
	line_client(session, line);
	line_text(line, "from", arena_printf(session->arena, "<%s>", session->mail_from.text));
}

static void line_recipient(struct session *session, struct line *line, const struct recipient *recipient)
{
	line_text(line, "rcpt", arena_printf(session->arena, "<%s>", recipient->address.text));
}

static void line_reason(struct session *session, struct line *line, const struct verdict *verdict)
{
	if (verdict->score < 0 || verdict->score > 0) {
		line_add(line, "score", LOG_NUMBER, arena_printf(session->arena, "%g", verdict->score));
	}
	if (verdict->reason != NULL) {
		line_text(line, "reason", verdict->reason->code->code);
		line_text(line, "detail", verdict->reason->detail);
	}
	if (verdict->text != NULL) {
		line_text(line, "reply", arena_printf(session->arena, "%u %s", verdict->code, verdict->enhanced));
	}
}

/* What became of the recipients, where it is not the same for all. */
static void line_fates(struct session *session, struct line *line)
{
	size_t counts[DELIVERY_RETURNED + 1] = {0};
	for (size_t i = 0; i < session->recipient_count; i++) {
		counts[session->recipients[i].fate]++;
	}
	bool parted = counts[DELIVERY_STORED] > 0;
	for (size_t fate = DELIVERY_SENT; fate <= DELIVERY_RETURNED; fate++) {
		parted = parted || (counts[fate] > 0 && counts[fate] + session->refused_count < session->recipient_count);
	}
	for (size_t fate = DELIVERY_SENT; parted && fate <= DELIVERY_RETURNED; fate++) {
		if (counts[fate] > 0) {
			line_number(line, delivery_fate_name((enum delivery_fate)fate), counts[fate]);
		}
	}
	if (session->quarantine_id[0] != '\0') {
		line_text(line, "quarantine", session->quarantine_id);
	}
	if (session->release != NULL) {
		const struct release_token *token = &session->release->token;
		line_text(line, "released", arena_printf(session->arena, "%s/%u", token->message, token->copy));
		if (token->forced) {
			line_text(line, "forced", "yes");
		}
	}
}

static void line_results(struct session *session, struct line *line)
{
	if (session->spf_known) {
		line_text(line, "spf", auth_result_name(session->spf.result));
	}
	if (session->spf_helo_checked) {
		line_text(line, "spf_helo", auth_result_name(session->spf_helo.result));
	}
	line_dkim(session, line);
	if (session->inspection.arc.result != AUTH_NONE) {
		const struct arc_verdict *arc = &session->inspection.arc;
		const char *sealer = arc->count == 0 ? "" : arc->sets[arc->count - 1].domain;
		line_text(line, "arc", arena_printf(session->arena, "%s(%s)", auth_result_name(arc->result), sealer));
	}
	if (session->arc_sealed > 0) {
		line_number(line, "arc_sealed", session->arc_sealed);
	}
	if (session->dmarc_known) {
		line_text(line, "dmarc",
		          arena_printf(session->arena, "%s(%s)", auth_result_name(session->dmarc.result), session->dmarc.domain));
	}
	if (session->dmarc.override.type != DMARC_OVERRIDE_NONE) {
		line_text(line, "dmarc_override", dmarc_override_name(session->dmarc.override.type));
	}
	line_text(line, "virus", virus_text(&session->inspection));
	line_signed(session, line);
}

static void line_make(struct session *session, struct line *line)
{
	line_begin(session, line, &session->verdict);
	if (session->recipient_count > 0) {
		line_recipient(session, line, &session->recipients[0]);
	}
	if (session->refused_count > 0) {
		line_number(line, "refused", session->refused_count);
	}
	line_number(line, "nrcpt", session->recipient_count);
	line_number(line, "size", session->message == NULL ? 0 : message_size(session->message));
	line_fates(session, line);
	line_results(session, line);
	line_findings(session, line);
	line_reason(session, line, &session->verdict);
	line_number(line, "ms", session->elapsed_ns / CLOCK_NS_PER_MS);
}

void verdict_line_log(struct session *session)
{
	struct line line;
	if (log_wants(LOG_LEVEL_INFO)) {
		line_make(session, &line);
		log_event(LOG_LEVEL_INFO, "verdict", line_print(&line), line.fields, line.count);
	}
}

void verdict_line_log_rcpt(struct session *session, const struct recipient *recipient)
{
	struct line line;
	if (log_wants(LOG_LEVEL_INFO)) {
		line_begin(session, &line, &recipient->verdict);
		line_recipient(session, &line, recipient);
		line_reason(session, &line, &recipient->verdict);
		line_text(&line, "at", "rcpt");
		log_event(LOG_LEVEL_INFO, "verdict", line_print(&line), line.fields, line.count);
	}
}

void verdict_line_debug(struct session *session, const struct finding *finding)
{
	if (log_wants(LOG_LEVEL_DEBUG)) {
		log_debug("%s: finds %s: %s", text_escape(session->arena, slice_from(session->queue_id), " :", false, 64),
		          finding->code->code, finding->detail);
	}
}
