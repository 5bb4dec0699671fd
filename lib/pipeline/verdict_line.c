#include "lib/pipeline/verdict_line.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

enum { VALUE_MAX = 256 };

static void line_text(struct session *session, struct strbuf *line, const char *key, const char *value)
{
	const char *safe = text_escape(session->arena, slice_from(value), "\"", false, VALUE_MAX);
	const char *quote = safe[0] == '\0' || strpbrk(safe, " =") != NULL ? "\"" : "";
	strbuf_printf(line, " %s=%s%s%s", key, quote, safe, quote);
}

static void line_dkim(struct session *session, struct strbuf *line)
{
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		const struct inspect_signature *signature = &session->inspection.signatures[i];
		line_text(session, line, "dkim",
		          arena_printf(session->arena, "%s(%s)", auth_result_name(signature->result), signature->domain));
	}
}

static void line_signed(struct session *session, struct strbuf *line)
{
	for (size_t i = 0; i < session->signature_count; i++) {
		const struct session_signature *signature = &session->signatures[i];
		strbuf_printf(line, "%s%s/%s", i == 0 ? " signed=" : ",", signature->domain, signature->selector);
	}
}

static void line_client(struct session *session, struct strbuf *line)
{
	const struct geo_facts *geo = &session->geo;
	if (session->iprev_known) {
		strbuf_printf(line, " iprev=%s", auth_result_name(session->iprev.result));
	}
	if (geo->country[0] != '\0' && ip_equal(&geo->address, &session->client)) {
		strbuf_printf(line, " country=%s", geo->country);
	}
	if (geo->asn != 0 && ip_equal(&geo->address, &session->client)) {
		strbuf_printf(line, " asn=%u", geo->asn);
	}
}

static void line_findings(struct session *session, struct strbuf *line)
{
	struct strbuf codes;
	strbuf_init(&codes, session->arena);
	for (size_t i = 0; i < session->finding_count; i++) {
		if (!session_found_before(session, i, ACTION_IGNORE)) {
			strbuf_printf(&codes, "%s%s", i == 0 ? "" : ",", session->findings[i]->code->code);
		}
	}
	if (codes.len > 0) {
		strbuf_printf(line, " findings=%s", codes.data);
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
static void line_tls(struct session *session, struct strbuf *line)
{
	static const char *const verified[] = {
	    [SESSION_CERT_UNKNOWN] = "unknown", [SESSION_CERT_VERIFIED] = "verified", [SESSION_CERT_NOT_VERIFIED] = "unverified"};
	if (session->tls_version[0] == '\0') {
		strbuf_add_text(line, " tls=none");
		return;
	}
	line_text(session, line, "tls", session->tls_version);
	line_text(session, line, "tls_cipher", session->tls_cipher);
	if (session->cert_subject[0] != '\0') {
		line_text(session, line, "tls_cert",
		          arena_printf(session->arena, "%s(%s)", verified[session->cert_verified], session->cert_subject));
	}
}

/* Who gave us another's mail. */
static void line_relay(struct session *session, struct strbuf *line)
{
	char relay[IP_TEXT_SIZE];
	if (session->upstream.relayed) {
		ip_format(&session->peer, relay);
		strbuf_printf(line, " relay=%s", relay);
	}
}

/* Who sends, from where: the same in both lines. */
static void line_begin(struct session *session, struct strbuf *line, const struct verdict *verdict)
{
	char client[IP_TEXT_SIZE];
	ip_format(&session->client, client);
	strbuf_init(line, session->arena);
	const char *queue_id = session->queue_id[0] == '\0' ? "NOQUEUE" : session->queue_id;
	strbuf_printf(line, "%s: verdict=%s id=%s direction=%s client=%s",
	              text_escape(session->arena, slice_from(queue_id), " :", false, 64),
	              verdict_action_name(verdict->action), session->support_id, direction_name(session->direction), client);
	line_text(session, line, "name", session->client_name);
	line_text(session, line, "helo", session->helo);
	line_relay(session, line);
	line_tls(session, line);
	if (session->auth_user[0] != '\0') {
		line_text(session, line, "auth", session->auth_user);
	}
	line_client(session, line);
	line_text(session, line, "from", arena_printf(session->arena, "<%s>", session->mail_from.text));
}

static void line_recipient(struct session *session, struct strbuf *line, const struct recipient *recipient)
{
	line_text(session, line, "rcpt", arena_printf(session->arena, "<%s>", recipient->address.text));
}

static void line_reason(struct session *session, struct strbuf *line, const struct verdict *verdict)
{
	if (verdict->score < 0 || verdict->score > 0) {
		strbuf_printf(line, " score=%g", verdict->score);
	}
	if (verdict->reason != NULL) {
		line_text(session, line, "reason", verdict->reason->code->code);
		line_text(session, line, "detail", verdict->reason->detail);
	}
	if (verdict->text != NULL) {
		line_text(session, line, "reply", arena_printf(session->arena, "%u %s", verdict->code, verdict->enhanced));
	}
}

/* What became of the recipients, where it is not the same for all. */
static void line_fates(struct session *session, struct strbuf *line)
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
			strbuf_printf(line, " %s=%zu", delivery_fate_name((enum delivery_fate)fate), counts[fate]);
		}
	}
	if (session->quarantine_id[0] != '\0') {
		strbuf_printf(line, " quarantine=%s", session->quarantine_id);
	}
	if (session->release != NULL) {
		strbuf_printf(line, " released=%s/%u%s", session->release->token.message, session->release->token.copy,
		              session->release->token.forced ? " forced=yes" : "");
	}
}

const char *verdict_line(struct session *session)
{
	struct strbuf line;
	line_begin(session, &line, &session->verdict);
	if (session->recipient_count > 0) {
		line_recipient(session, &line, &session->recipients[0]);
	}
	if (session->refused_count > 0) {
		strbuf_printf(&line, " refused=%zu", session->refused_count);
	}
	strbuf_printf(&line, " nrcpt=%zu size=%llu", session->recipient_count,
	              session->message == NULL ? 0ULL : (unsigned long long)message_size(session->message));
	line_fates(session, &line);
	if (session->spf_known) {
		strbuf_printf(&line, " spf=%s", auth_result_name(session->spf.result));
	}
	if (session->spf_helo_checked) {
		strbuf_printf(&line, " spf_helo=%s", auth_result_name(session->spf_helo.result));
	}
	line_dkim(session, &line);
	if (session->inspection.arc.result != AUTH_NONE) {
		const struct arc_verdict *arc = &session->inspection.arc;
		const char *sealer = arc->count == 0 ? "" : arc->sets[arc->count - 1].domain;
		line_text(session, &line, "arc", arena_printf(session->arena, "%s(%s)", auth_result_name(arc->result), sealer));
	}
	if (session->arc_sealed > 0) {
		strbuf_printf(&line, " arc_sealed=%u", session->arc_sealed);
	}
	if (session->dmarc_known) {
		line_text(session, &line, "dmarc",
		          arena_printf(session->arena, "%s(%s)", auth_result_name(session->dmarc.result), session->dmarc.domain));
	}
	if (session->dmarc.override.type != DMARC_OVERRIDE_NONE) {
		line_text(session, &line, "dmarc_override", dmarc_override_name(session->dmarc.override.type));
	}
	line_text(session, &line, "virus", virus_text(&session->inspection));
	line_signed(session, &line);
	line_findings(session, &line);
	line_reason(session, &line, &session->verdict);
	strbuf_printf(&line, " ms=%llu", (unsigned long long)(session->elapsed_ns / CLOCK_NS_PER_MS));
	return line.data;
}

void verdict_line_log(struct session *session)
{
	log_info("%s", verdict_line(session));
}

void verdict_line_log_rcpt(struct session *session, const struct recipient *recipient)
{
	struct strbuf line;
	line_begin(session, &line, &recipient->verdict);
	line_recipient(session, &line, recipient);
	line_reason(session, &line, &recipient->verdict);
	log_info("%s at=rcpt", line.data);
}
