#include "ctl/explain.h"
#include "ctl/explain_bayes.h"
#include "ctl/explain_parts.h"

#include "lib/pipeline/lists.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_dnsbl.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stages.h"

#include <time.h>

enum { TEXT_MAX = 400, WIDTH = 100, FOUND_COLUMN = 24 };

static const char *safe(struct session *session, const char *text)
{
	return text_escape(session->arena, slice_from(text), "", true, TEXT_MAX);
}

void explain_wrap(FILE *out, const char *text, int indent, int column)
{
	struct slice rest = slice_from(text);
	struct slice word;
	for (bool first = true; slice_split(&rest, ' ', &word); first = false) {
		if (!first && column + 1 + (int)word.len > WIDTH) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", SLICE_ARGS(word));
		column += (int)word.len;
	}
	fputc('\n', out);
}

static const char *geo_text(struct session *session)
{
	const struct geo_facts *geo = &session->geo;
	const char *asn = geo->asn == 0 ? "no AS number known" : arena_printf(session->arena, "AS%u %s", geo->asn, geo->as_name);
	return arena_printf(session->arena, "%s, %s", geo->country[0] == '\0' ? "no country known" : geo->country, asn);
}

static const char *client_text(struct session *session)
{
	const struct iprev_verdict *iprev = &session->iprev;
	if (!session->iprev_known) {
		return "the client's address is not known";
	}
	const char *name = iprev->name[0] == '\0' ? "no name" : iprev->name;
	return arena_printf(session->arena, "iprev %s: %s", auth_result_name(iprev->result),
	                    iprev->problem == NULL ? name : iprev->problem);
}

static void spf_add(struct strbuf *text, const struct spf_verdict *spf, const char *mark)
{
	strbuf_add_text(text, auth_result_name(spf->result));
	if (spf->domain[0] != '\0') {
		strbuf_printf(text, " for %s%s", spf->domain, mark);
	}
	if (spf->mechanism != NULL) {
		strbuf_printf(text, ", by \"%s\"", spf->mechanism);
	}
	if (spf->problem != NULL) {
		strbuf_printf(text, ": %s", spf->problem);
	}
	if (spf->explanation != NULL) {
		strbuf_printf(text, "; the domain says: %s", spf->explanation);
	}
}

static const char *spf_text(struct session *session)
{
	struct strbuf text;
	strbuf_init(&text, session->arena);
	spf_add(&text, &session->spf, session->spf.scope == SPF_SCOPE_HELO ? " (HELO)" : "");
	if (session->spf_helo_checked) {
		strbuf_add_text(&text, "; HELO: ");
		spf_add(&text, &session->spf_helo, "");
	}
	return text.data;
}

static const char *dkim_text(struct session *session)
{
	struct strbuf text;
	strbuf_init(&text, session->arena);
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		const struct inspect_signature *signature = &session->inspection.signatures[i];
		strbuf_printf(&text, "%s%s for %s (%s, %s", i == 0 ? "" : "; ", auth_result_name(signature->result),
		              signature->domain, signature->selector, signature->algorithm);
		if (signature->key_bits > 0) {
			strbuf_printf(&text, ", %u bits", signature->key_bits);
		}
		strbuf_add_text(&text, signature->testing ? ", the domain is testing)" : ")");
		if (signature->problem != NULL) {
			strbuf_printf(&text, ": %s", signature->problem);
		}
	}
	return text.len == 0 ? "no signature" : text.data;
}

static const char *arc_text(struct session *session)
{
	const struct arc_verdict *arc = &session->inspection.arc;
	struct strbuf text;
	strbuf_init(&text, session->arena);
	strbuf_add_text(&text, arc->result == AUTH_NONE ? "no chain" : auth_result_name(arc->result));
	for (size_t i = arc->count; i > 0; i--) {
		const struct arc_set *set = &arc->sets[i - 1];
		strbuf_printf(&text, ", i=%u by %s (cv=%s)", set->instance, set->domain[0] == '\0' ? "nobody" : set->domain,
		              set->has_cv ? arc_cv_name(set->cv) : "?");
	}
	if (arc->result == AUTH_PASS && session->arc_trusted > 0) {
		strbuf_printf(&text, ", trusted down to i=%zu", arc->count - session->arc_trusted + 1);
	}
	if (arc->problem != NULL) {
		strbuf_printf(&text, ": %s", arc->problem);
	}
	if (session->arc_sealed > 0) {
		strbuf_printf(&text, "; sealed as i=%u", session->arc_sealed);
	}
	return text.data;
}

static const char *dmarc_text(struct session *session)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	struct strbuf text;
	strbuf_init(&text, session->arena);
	strbuf_printf(&text, "%s", auth_result_name(dmarc->result));
	if (dmarc->domain[0] != '\0') {
		strbuf_printf(&text, " for %s", dmarc->domain);
	}
	if (dmarc->record != NULL) {
		strbuf_printf(&text, ", policy %s%s at %s", dmarc_policy_name(dmarc->policy), dmarc->testing ? " (testing)" : "",
		              dmarc->policy_domain);
	}
	if (dmarc->spf_alignment != DMARC_NOT_ALIGNED) {
		strbuf_add_text(&text, ", SPF aligned");
	}
	if (dmarc->dkim_alignment != DMARC_NOT_ALIGNED) {
		strbuf_printf(&text, ", DKIM aligned (%s)", dmarc->dkim_domain);
	}
	if (dmarc->override.type != DMARC_OVERRIDE_NONE) {
		strbuf_printf(&text, ", %s applied, %s (%s)", dmarc_policy_name(dmarc->disposition),
		              dmarc_override_name(dmarc->override.type), dmarc->override.comment);
	}
	if (dmarc->problem != NULL) {
		strbuf_printf(&text, ": %s", dmarc->problem);
	}
	return text.data;
}

static const char *lists_text(struct session *session)
{
	if (session->lists == NULL) {
		return "nobody to ask for";
	}
	size_t fixed = list_index_count(session->lists->fixed);
	size_t stored = list_index_count(session->lists->stored);
	return !session->lists->known ? "the store cannot be read"
	       : fixed + stored == 0  ? "no entries"
	                              : arena_printf(session->arena, "%zu entr%s in the store, %zu in the configuration", stored,
	                                             stored == 1 ? "y" : "ies", fixed);
}

static const char *sign_text(struct session *session)
{
	struct strbuf text;
	strbuf_init(&text, session->arena);
	for (size_t i = 0; i < session->signature_count; i++) {
		const struct session_signature *signature = &session->signatures[i];
		strbuf_printf(&text, "%s%s by %s (%s)", i == 0 ? "signed for " : ", ", signature->domain, signature->selector,
		              dkim_algorithm_name(signature->algorithm));
	}
	return text.len == 0 ? "not signed" : text.data;
}

/* "(8712345 signatures, version 27000 of 2026-11-20, 4 days old)" */
static const char *database_text(struct session *session, const struct inspect_database *database)
{
	char made[32] = "";
	time_t time = (time_t)database->time;
	struct tm utc;
	struct strbuf text;
	strbuf_init(&text, session->arena);
	strbuf_printf(&text, "(%u signatures", database->signatures);
	if (database->official && database->time != 0 && gmtime_r(&time, &utc) != NULL &&
	    strftime(made, sizeof made, "%Y-%m-%d", &utc) > 0) {
		unsigned long long days = session->now > database->time ? (session->now - database->time) / (24 * 3600) : 0;
		strbuf_printf(&text, ", version %u of %s, %llu days old", database->version, made, days);
	}
	strbuf_add_char(&text, ')');
	return text.data;
}

static const char *virus_text(struct session *session)
{
	const struct inspect_reply *reply = &session->inspection;
	const char *with = database_text(session, &reply->database);
	switch (reply->virus) {
	case INSPECT_VIRUS_NOT_ASKED:
		return "not asked for";
	case INSPECT_VIRUS_CLEAN:
		return arena_printf(session->arena, "nothing found %s", with);
	case INSPECT_VIRUS_FOUND:
		return arena_printf(session->arena, "found %s %s", reply->virus_name, with);
	case INSPECT_VIRUS_LIMIT:
		return arena_printf(session->arena, "not fully scanned: %s", reply->virus_name);
	case INSPECT_VIRUS_ERROR:
	case INSPECT_VIRUS_NOT_SCANNED:
		return arena_printf(session->arena, "not scanned: %s", reply->virus_problem);
	case INSPECT_VIRUS_NO_DATABASE:
		return "not scanned: no signatures are loaded";
	}
	return NULL;
}

static const char *learn_text(struct session *session)
{
	for (size_t i = 0; i < session->finding_count; i++) {
		const struct finding *finding = session->findings[i];
		if (strncmp(finding->code->code, "learn.", 6) == 0) {
			return finding->detail[0] != '\0' ? finding->detail : finding->code->reply;
		}
	}
	return "not for learning";
}

static const char *mime_text(struct session *session)
{
	const struct inspect_reply *reply = &session->inspection;
	return reply->mime_ambiguous != NULL ? "can be read in more than one way"
	       : reply->mime_defect != NULL  ? "broken, but read the same way by all"
	                                     : "well-formed";
}

static const char *upstream_text(struct session *session)
{
	const struct session_upstream *upstream = &session->upstream;
	if (!upstream->relayed) {
		return "not from a trusted upstream relay";
	}
	return upstream->recovered ? arena_printf(session->arena, "the client stands in Received field %u", upstream->hops)
	                           : arena_printf(session->arena, "the client is not known: %s", upstream->problem);
}

static const char *tls_text(struct session *session)
{
	struct strbuf text;
	strbuf_init(&text, session->arena);
	if (session->tls_version[0] == '\0') {
		return "none";
	}
	strbuf_add_text(&text, session->tls_version);
	if (session->tls_cipher[0] != '\0') {
		strbuf_printf(&text, ", %s", session->tls_cipher);
	}
	if (session->cert_subject[0] != '\0') {
		const char *verified = session->cert_verified == SESSION_CERT_VERIFIED       ? " (verified)"
		                       : session->cert_verified == SESSION_CERT_NOT_VERIFIED ? " (not verified)"
		                                                                             : "";
		strbuf_printf(&text, ", client certificate %s%s", session->cert_subject, verified);
	}
	return text.data;
}

static const char *quarantine_text(struct session *session)
{
	return session->release == NULL ? "not released from it" : "released from it";
}

static const char *digest_text(struct session *session)
{
	return session->digest == NULL ? "neither a report nor a reply to one" : "a report, or a reply to one";
}

static const char *rate_text(struct session *session)
{
	(void)session;
	return "nothing is counted here: what the limits would say";
}

static const char *greylist_text(struct session *session)
{
	(void)session;
	return "nobody is noted here: who would wait";
}

static const char *attachment_text(struct session *session)
{
	size_t n = session->inspection.part_count + session->inspection.parts_unlisted;
	return arena_printf(session->arena, "%zu file%s", n, n == 1 ? "" : "s");
}

static const char *inspect_text(struct session *session)
{
	return session->pool_result == POOL_OK ? "answered" : pool_result_text(session->pool_result);
}

static const char *message_text(struct session *session)
{
	return arena_printf(session->arena, "%llu bytes, %zu header fields",
	                    (unsigned long long)message_size(session->message), session_headers(session)->count);
}

static const char *authres_text(struct session *session)
{
	return session->authres == NULL && session->message != NULL ? "nothing to add" : "one field to add";
}

static const struct stage_summary {
	const struct stage *stage;
	bool envelope; /* it has something to say without a message */
	const char *(*text)(struct session *session);
} summaries[] = {
	{&stage_message, false, message_text},
	{&stage_quarantine, true, quarantine_text},
	{&stage_upstream, true, upstream_text},
	{&stage_geo, true, geo_text},
	{&stage_client, true, client_text},
	{&stage_tls, true, tls_text},
	{&stage_dnsbl, true, dnsbl_summary},
	{&stage_lists, true, lists_text},
	{&stage_rate, true, rate_text},
	{&stage_spf, true, spf_text},
	{&stage_dkim, false, dkim_text},
	{&stage_arc, false, arc_text},
	{&stage_inspect, false, inspect_text},
	{&stage_dmarc, false, dmarc_text},
	{&stage_learn, false, learn_text},
	{&stage_mime, false, mime_text},
	{&stage_attachment, false, attachment_text},
	{&stage_virus, false, virus_text},
	{&stage_bayes, false, explain_bayes_text},
	{&stage_digest, true, digest_text},
	{&stage_greylist, false, greylist_text},
	{&stage_authres, true, authres_text},
	{&stage_sign, false, sign_text},
};

static const char *stage_text(struct session *session, const struct stage *stage)
{
	if (!pipeline_runs(session, stage)) {
		bool outbound = session->direction == DIRECTION_OUTBOUND;
		return (outbound ? stage->outbound : stage->inbound) ? "off" : outbound ? "not for outbound mail" : "not for inbound mail";
	}
	size_t i = 0;
	while (summaries[i].stage != stage) {
		i++;
	}
	return summaries[i].envelope || session->message != NULL ? summaries[i].text(session) : "no message";
}

static void print_finding(struct session *session, const struct finding *finding, FILE *out)
{
	const char *action = action_kind_name(finding->effective);
	if (finding->effective != finding->action.kind) {
		action = arena_printf(session->arena, "%s (would %s)", action, action_kind_name(finding->action.kind));
	}
	if (finding->lifted) {
		action = arena_printf(session->arena, "%s, lifted", action);
	}
	if (finding->recipient != FINDING_ALL_RECIPIENTS) {
		action = arena_printf(session->arena, "%s for <%s>", action,
		                      safe(session, session->recipients[finding->recipient].address.text));
	}
	const char *line = arena_printf(session->arena, "%s -> %s%s%s", finding->code->code, action,
	                                finding->detail[0] == '\0' ? "" : ": ", finding->detail);
	fprintf(out, "%*s", FOUND_COLUMN, "* ");
	explain_wrap(out, line, FOUND_COLUMN + 2, FOUND_COLUMN);
}

static void print_stage(struct session *session, size_t i, FILE *out)
{
	const struct stage *stage = stages[i];
	enum stage_mode mode = config_mode(session->config, SECTION_FIRST_STAGE + i);
	const char *text = safe(session, stage_text(session, stage));
	if (mode == MODE_OBSERVE || mode == MODE_TAG) {
		text = arena_printf(session->arena, "%s [%s]", text, stage_mode_name(mode));
	}
	char took[24] = "";
	if (pipeline_runs(session, stage)) {
		snprintf(took, sizeof took, "%.2f ms", (double)session->stage_ns[i] / 1e6);
	}
	fprintf(out, "  %-10s %9s  ", stage->section.name, took);
	explain_wrap(out, text, FOUND_COLUMN, FOUND_COLUMN);
	for (size_t k = 0; k < session->finding_count; k++) {
		const struct finding *finding = session->findings[k];
		if (config_section_of(session->config, finding->code) == SECTION_FIRST_STAGE + i) {
			print_finding(session, finding, out);
		}
	}
}

static void print_envelope(struct session *session, const char *file, FILE *out)
{
	char client[IP_TEXT_SIZE];
	struct strbuf line;
	strbuf_init(&line, session->arena);
	ip_format(&session->client, client);
	strbuf_printf(&line, "%s: client %s", direction_name(session->direction), client);
	if (session->client_name[0] != '\0') {
		strbuf_printf(&line, " (%s)", safe(session, session->client_name));
	}
	if (session->upstream.relayed) {
		ip_format(&session->peer, client);
		strbuf_printf(&line, " by way of %s", client);
	}
	strbuf_printf(&line, ", HELO %s, from <%s>", session->helo[0] == '\0' ? "none" : safe(session, session->helo),
	              safe(session, session->mail_from.text));
	for (size_t i = 0; i < session->recipient_count && i < 3; i++) {
		strbuf_printf(&line, "%s<%s>", i == 0 ? " to " : ", ", safe(session, session->recipients[i].address.text));
	}
	if (session->recipient_count > 3) {
		strbuf_printf(&line, " and %zu more", session->recipient_count - 3);
	}
	fprintf(out, "%s\n  ", file == NULL ? "(the envelope alone)" : safe(session, file));
	explain_wrap(out, line.data, 4, 2);
	fprintf(out, "\n  %-10s %9s  %s\n", "stage", "time", "what it found");
}

static void print_edit(struct session *session, const struct edit *edit, FILE *out)
{
	if (edit->kind == EDIT_DELETE_HEADER) {
		fprintf(out, "  - %s #%zu\n", edit->name, edit->index);
		return;
	}
	if (edit->kind == EDIT_DELETE_RECIPIENT) {
		fprintf(out, "  - recipient %s\n", safe(session, edit->value));
		return;
	}
	fprintf(out, "  + %s: ", edit->name);
	struct slice rest = slice_from(edit->value);
	struct slice line;
	for (bool first = true; slice_split(&rest, '\n', &line); first = false) {
		line = slice_trim(line);
		fprintf(out, "%s%s\n", first ? "" : "        ", text_escape(session->arena, line, "", true, TEXT_MAX));
	}
}

static const char *const verdict_words[] = {
	[VERDICT_ACCEPT] = "ACCEPT",     [VERDICT_TAG] = "TAG",         [VERDICT_QUARANTINE] = "QUARANTINE",
	[VERDICT_TEMPFAIL] = "TEMPFAIL", [VERDICT_DISCARD] = "DISCARD", [VERDICT_REJECT] = "REJECT",
};

static const char *verdict_reason(struct session *session, const struct verdict *verdict)
{
	if (verdict->reason == NULL) {
		return "";
	}
	if (verdict->by_score) {
		return arena_printf(session->arena, " with %g points, most of them for %s", verdict->score,
		                    verdict->reason->code->code);
	}
	return arena_printf(session->arena, " because of %s", verdict->reason->code->code);
}

/* Those with another verdict than all in common. */
static void print_recipients(struct session *session, FILE *out)
{
	for (size_t i = 0; i < session->recipient_count; i++) {
		const struct recipient *recipient = &session->recipients[i];
		if (recipient->refused || recipient->verdict.action != session->verdict.action ||
		    recipient->verdict.reason != session->verdict.reason) {
			fprintf(out, "  <%s>: %s%s%s\n", safe(session, recipient->address.text),
			        verdict_words[recipient->verdict.action], verdict_reason(session, &recipient->verdict),
			        recipient->refused ? ", at RCPT" : arena_printf(session->arena, ", %s", delivery_fate_name(recipient->fate)));
		}
	}
}

static void print_verdict(struct session *session, FILE *out)
{
	const struct verdict *verdict = &session->verdict;
	fprintf(out, "\n  verdict: %s%s, after %.1f ms\n", verdict_words[verdict->action],
	        verdict_reason(session, verdict), (double)session->elapsed_ns / 1e6);
	print_recipients(session, out);
	if (verdict->action == VERDICT_REJECT || verdict->action == VERDICT_TEMPFAIL) {
		fprintf(out, "  reply:   ");
		explain_wrap(out, arena_printf(session->arena, "%u %s %s", verdict->code, verdict->enhanced, verdict->text), 11,
		              11);
	}
	for (size_t i = 0; i < session->edit_count; i++) {
		print_edit(session, &session->edits[i], out);
	}
	fputc('\n', out);
}

void explain_table(struct session *session, const char *file, FILE *out)
{
	print_envelope(session, file, out);
	for (size_t i = 0; i < stages_count; i++) {
		print_stage(session, i, out);
	}
	explain_parts_print(session, out);
	explain_bayes_print(session, out);
	print_verdict(session, out);
}
