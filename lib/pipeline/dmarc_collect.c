#include "lib/pipeline/dmarc_collect.h"

#include "lib/auth/dmarc_record.h"
#include "lib/pipeline/stages.h"
#include "lib/report/dmarc_reports.h"
#include "lib/report/dmarc_xml.h"

enum { SIGNATURES_MAX = 16 };

static bool is_about_reports(const struct session *session, const char *email)
{
	for (size_t i = 0; i < session->recipient_count; i++) {
		if (slice_equal_nocase(slice_from(session->recipients[i].address.text), slice_from(email))) {
			return true;
		}
	}
	return false;
}

static bool is_judged(const struct session *session)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	return session->direction == DIRECTION_INBOUND && session->dmarc_known && dmarc->record != NULL &&
	       (dmarc->result == AUTH_PASS || dmarc->result == AUTH_FAIL) && session->client.family != IP_UNKNOWN &&
	       session->verdict.action != VERDICT_TEMPFAIL;
}

static size_t collect_signatures(const struct session *session, struct dmarc_xml_dkim signatures_r[SIGNATURES_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < session->inspection.signature_count && count < SIGNATURES_MAX; i++) {
		const struct inspect_signature *signature = &session->inspection.signatures[i];
		signatures_r[count++] = (struct dmarc_xml_dkim){.domain = signature->domain,
		                                                .selector = signature->selector,
		                                                .result = signature->result,
		                                                .problem = signature->problem};
	}
	return count;
}

bool dmarc_collect_concerns(const struct session *session, const struct dmarc_reports_options *options)
{
	return options->email[0] != '\0' && engine_records(session->engine) && is_judged(session) &&
	       !is_about_reports(session, options->email);
}

void dmarc_collect(struct session *session)
{
	const struct dmarc_reports_options *options = config_settings(session->config, SECTION_DMARC_REPORTS);
	const struct dmarc_verdict *dmarc = &session->dmarc;
	struct dmarc_xml_dkim signatures[SIGNATURES_MAX];
	struct dmarc_record record;
	struct strbuf before, after;
	if (!dmarc_collect_concerns(session, options) || !dmarc_record_parse(slice_from(dmarc->record), &record) ||
	    record.rua.len == 0) {
		return;
	}
	struct dmarc_xml_row row = {
	    .source = &session->client,
	    .dmarc = dmarc,
	    .envelope_from = session->mail_from.domain,
	    .spf = session->spf_known ? &session->spf : NULL,
	    .dkim = signatures,
	    .dkim_count = collect_signatures(session, signatures),
	};
	strbuf_init(&before, session->arena);
	strbuf_init(&after, session->arena);
	dmarc_xml_row(&before, &after, &row);
	int64_t day = (int64_t)(session->now / DMARC_DAY);
	struct dmarc_rows_message message = {
	    .day = day,
	    .domain = dmarc->policy_domain,
	    .record = slice_from(dmarc->record),
	    .before = {before.data, before.len},
	    .after = {after.data, after.len},
	    .due = dmarc_reports_due(options, day, dmarc->policy_domain),
	};
	dmarc_rows_add(engine_store(session->engine), &message);
}
