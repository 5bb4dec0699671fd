#include "lib/pipeline/dmarc_failure_collect.h"

#include "lib/auth/dmarc_record.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/dmarc_collect.h"
#include "lib/pipeline/stages.h"
#include "lib/report/dmarc_failure.h"
#include "lib/report/dmarc_uri.h"
#include "lib/store/history.h"

#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

enum { ADDRESSES_MAX = 2 };

/* A new one for each run of the daemon: hashes are alike within it, and lead nowhere afterwards. */
static unsigned char hash_key[DMARC_FAILURE_KEY_SIZE];
static void make_key(void)
{
	if (getrandom(hash_key, sizeof hash_key, 0) != (ssize_t)sizeof hash_key) {
		abort();
	}
}

/* Would it be aligned, had it passed? */
static bool is_aligned(const struct session *session, const char *name)
{
	const char *domain = name == NULL ? NULL : domain_canonical(session->arena, slice_from(name));
	const char *org = session->dmarc.org_domain;
	return domain != NULL && domain_is_below(domain, org[0] != '\0' ? org : session->dmarc.domain);
}

/* One of the author's own domain rather than another. */
static const struct inspect_signature *failed_signature(const struct session *session)
{
	const struct inspect_signature *failed = NULL;
	for (size_t i = 0; i < session->inspection.signature_count; i++) {
		const struct inspect_signature *signature = &session->inspection.signatures[i];
		if (signature->result != AUTH_FAIL && signature->result != AUTH_PERMERROR) {
			continue;
		}
		if (is_aligned(session, signature->domain)) {
			return signature;
		}
		failed = failed == NULL ? signature : failed;
	}
	return failed;
}

/* RFC 9991 4 wants it where SPF failed for an aligned domain. Its check has asked already: the answer is there. */
static const char *spf_record(struct session *session)
{
	const char *domain = session->spf.domain;
	if (!session->spf_known || session->spf.result == AUTH_PASS || !is_aligned(session, domain)) {
		return NULL;
	}
	const struct dns_answer *answer = lookups_get(session->lookups, domain, DNS_TYPE_TXT);
	for (size_t i = 0; answer != NULL && i < answer->count; i++) {
		struct slice data = answer->records[i].data;
		if (data.len >= 6 && strncasecmp(data.data, "v=spf1", 6) == 0) {
			return slice_dup(session->arena, data);
		}
	}
	return NULL;
}

static bool fo_has(struct slice fo, char letter)
{
	struct slice piece;
	while (fo.len > 0 && slice_split(&fo, ':', &piece)) {
		piece = slice_trim(piece);
		if (piece.len == 1 && ascii_lower(piece.data[0]) == letter) {
			return true;
		}
	}
	return false;
}

/* RFC 9989 4.7: what is reported, by fo=; NULL: nothing. */
static const char *failure_kind(const struct session *session, struct slice fo)
{
	const struct dmarc_verdict *dmarc = &session->dmarc;
	bool spf = dmarc->spf_alignment != DMARC_NOT_ALIGNED;
	bool dkim = dmarc->dkim_alignment != DMARC_NOT_ALIGNED;
	bool any = fo_has(fo, '1');
	bool all = fo_has(fo, '0') || (!any && !fo_has(fo, 'd') && !fo_has(fo, 's'));
	if ((any && !(spf && dkim)) || (all && !spf && !dkim)) {
		return "dmarc";
	}
	if (fo_has(fo, 'd') && failed_signature(session) != NULL) {
		return "signature";
	}
	bool spf_failed = session->spf_known && (session->spf.result == AUTH_FAIL || session->spf.result == AUTH_SOFTFAIL);
	return fo_has(fo, 's') && spf_failed ? "spf" : NULL;
}

static const char *delivery_result(const struct session *session)
{
	switch (session->verdict.action) {
	case VERDICT_ACCEPT:
	case VERDICT_TAG:
		return "delivered";
	case VERDICT_QUARANTINE:
		return "policy";
	case VERDICT_REJECT:
		return "reject";
	case VERDICT_TEMPFAIL:
	case VERDICT_DISCARD:
		break;
	}
	return "other";
}

static const char *field_text(struct session *session, const char *name)
{
	const struct header *field = headers_find(session_headers(session), name, 0);
	return field == NULL ? NULL : slice_dup(session->arena, slice_trim(header_unfold(session->arena, field->value)));
}

static struct slice parts_of(struct session *session, const struct dmarc_reports_options *options, const char *kind)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct dmarc_verdict *dmarc = &session->dmarc;
	const struct inspect_signature *signature = failed_signature(session);
	char source[IP_TEXT_SIZE];
	ip_format(&session->client, source);
	pthread_once(&once, make_key);
	struct dmarc_failure_facts facts = {
	    .key = hash_key,
	    .reporter = session->authserv_id,
	    .auth_failure = kind,
	    .spf_aligned = dmarc->spf_alignment != DMARC_NOT_ALIGNED,
	    .dkim_aligned = dmarc->dkim_alignment != DMARC_NOT_ALIGNED,
	    .spf = session->spf_known ? auth_result_name(session->spf.result) : NULL,
	    .spf_domain = session->spf_known ? session->spf.domain : NULL,
	    .spf_record = spf_record(session),
	    .dkim =
	        signature == NULL ? (dmarc->dkim_domain == NULL ? "none" : "pass") : auth_result_name(signature->result),
	    .dkim_domain = signature == NULL ? dmarc->dkim_domain : signature->domain,
	    .dkim_selector = signature == NULL ? NULL : signature->selector,
	    .dkim_identity = signature == NULL ? NULL : signature->identity,
	    .dmarc = auth_result_name(dmarc->result),
	    .domain = dmarc->domain,
	    .mail_from = session->mail_from.text,
	    .source = source,
	    .delivery = delivery_result(session),
	    .arrived = session->now,
	    .author = session->author.address.text == NULL ? "" : session->author.address.text,
	    .date = field_text(session, "Date"),
	    .message_id = field_text(session, "Message-ID"),
	    .subject = options->failure == DMARC_FAILURE_SUBJECT ? field_text(session, "Subject") : NULL,
	};
	return dmarc_failure_parts(session->arena, &facts);
}

void dmarc_failure_collect(struct session *session)
{
	const struct dmarc_reports_options *options = config_settings(session->config, SECTION_DMARC_REPORTS);
	struct dmarc_record record;
	struct dmarc_uri uris[DMARC_URI_MAX];
	if (options->failure == DMARC_FAILURE_OFF || session->mail_from.text[0] == '\0' ||
	    !dmarc_collect_concerns(session, options) || !dmarc_record_parse(slice_from(session->dmarc.record), &record) ||
	    record.ruf.len == 0 || record.psd == DMARC_PSD_YES) {
		return;
	}
	const char *kind = failure_kind(session, record.fo);
	size_t count = kind == NULL ? 0 : dmarc_uri_parse(session->arena, record.ruf, uris);
	struct dmarc_failure failure = {.id = history_new_id((int64_t)session->now),
	                                .day = (int64_t)(session->now / DMARC_DAY),
	                                .domain = session->dmarc.policy_domain,
	                                .parts = count == 0 ? (struct slice){"", 0} : parts_of(session, options, kind)};
	for (size_t i = 0; i < count && i < ADDRESSES_MAX; i++) {
		failure.address = uris[i].address.text;
		if (uris[i].size_max == 0 || failure.parts.len < uris[i].size_max) {
			dmarc_failures_add(engine_store(session->engine), &failure, (int64_t)session->now,
			                   (int64_t)options->failure_max);
		}
	}
}
