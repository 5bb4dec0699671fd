#include "lib/report/dmarc_failure.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/field.h"
#include "lib/report/dmarc_uri.h"
#include "lib/report/mail_date.h"
#include "lib/report/submit.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum {
	TEXT_MAX = 200,    /* bytes of a value that the message gave */
	HASH_BYTES = 15,   /* 20 characters of base64 */
	ATTEMPTS_MAX = 8,  /* over about a day, as aggregate reports */
	RETRY_FIRST = 900, /* seconds; each later pause is twice as long */
	LEASE = 1800,
	SUBMIT_SECONDS = 60,
	RECORD_MAX = 2000, /* bytes of an SPF record */
	LINE_MAX_WANTED = 76,
	LINE_HARD_MAX = 900, /* RFC 5322 2.1.1: 998 */
	EXPIRE_ROWS = 1000,
};

/* ---- the parts ---- */

/* One line of printable US-ASCII. */
static const char *plain(struct arena *arena, const char *text)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; text != NULL && text[i] != '\0' && i < TEXT_MAX; i++) {
		strbuf_add_char(&out, text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	}
	return out.len == 0 ? "" : out.data;
}

/* RFC 6590 2: the same address has the same hash while the key lives, and does not lead back to the mailbox. */
const char *dmarc_failure_redact(struct arena *arena, const unsigned char *key, const char *address)
{
	const char *at = strrchr(address, '@');
	size_t n = at == NULL ? strlen(address) : (size_t)(at - address);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned char text[HASH_BYTES / 3 * 4 + 1];
	unsigned size = 0;
	HMAC(EVP_sha256(), key, DMARC_FAILURE_KEY_SIZE, (const unsigned char *)address, n, digest, &size);
	EVP_EncodeBlock(text, digest, HASH_BYTES);
	for (size_t i = 0; i < sizeof text; i++) {
		text[i] = text[i] == '/' ? '-' : text[i] == '+' ? '_' : text[i];
	}
	return arena_printf(arena, "%s%s", (const char *)text, at == NULL ? "" : plain(arena, at));
}

static void add_known(struct strbuf *out, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0') {
		strbuf_printf(out, "%s: %s\r\n", name, plain(out->arena, value));
	}
}

static void add_result(struct strbuf *out, const char *method, const char *result, const char *property,
                       const char *value)
{
	if (result != NULL && result[0] != '\0') {
		strbuf_printf(out, ";\r\n\t%s=%s", method, plain(out->arena, result));
		if (value != NULL && value[0] != '\0') {
			strbuf_printf(out, " %s=%s", property,
			              field_is_token(value) ? value : field_quoted(out->arena, value, false));
		}
	}
}

static void add_results(struct strbuf *out, const struct dmarc_failure_facts *facts, bool dmarc, bool spf, bool dkim)
{
	strbuf_printf(out, "Authentication-Results: %s", plain(out->arena, facts->reporter));
	if (dmarc) {
		add_result(out, "dmarc", facts->dmarc, "header.from", facts->domain);
	}
	if (spf) {
		add_result(out, "spf", facts->spf, "smtp.mailfrom", facts->spf_domain);
	}
	if (dkim) {
		add_result(out, "dkim", facts->dkim, "header.d", facts->dkim_domain);
	}
	strbuf_add_text(out, "\r\n");
}

/* RFC 6591 4: SPF-DNS: txt : domain : "record", folded at the record's blanks. It ends before a word that fits into no
 * line. What may not stand in quotes as it is has no business in a record. */
static void add_spf_record(struct strbuf *out, const struct dmarc_failure_facts *facts)
{
	struct slice rest = slice_from(facts->spf_record);
	struct slice word;
	size_t line = out->len;
	strbuf_printf(out, "SPF-DNS: txt : %s : \"", plain(out->arena, facts->spf_domain));
	for (size_t taken = 0; rest.len > 0 && slice_split(&rest, ' ', &word); taken += word.len + 1) {
		if (word.len > LINE_HARD_MAX || taken + word.len > RECORD_MAX) {
			break;
		}
		if (taken > 0 && out->len - line + word.len > LINE_MAX_WANTED) {
			strbuf_add_text(out, "\r\n");
			line = out->len;
		}
		strbuf_add_text(out, taken > 0 ? " " : "");
		for (size_t i = 0; i < word.len; i++) {
			char c = word.data[i];
			strbuf_add_char(out, c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : c);
		}
	}
	strbuf_add_text(out, "\"\r\n");
}

static void add_dkim(struct strbuf *out, const struct dmarc_failure_facts *facts)
{
	const char *identity = facts->dkim_identity == NULL ? "" : facts->dkim_identity;
	if (identity[0] == '\0') {
		identity = arena_printf(out->arena, "@%s", plain(out->arena, facts->dkim_domain));
	}
	add_known(out, "DKIM-Domain", facts->dkim_domain);
	add_known(out, "DKIM-Identity",
	          identity[0] == '@' ? identity : dmarc_failure_redact(out->arena, facts->key, identity));
	add_known(out, "DKIM-Selector", facts->dkim_selector);
}

static void add_feedback(struct strbuf *out, const struct dmarc_failure_facts *facts)
{
	bool spf = strcmp(facts->auth_failure, "spf") == 0;
	bool dkim = strcmp(facts->auth_failure, "signature") == 0;
	const char *separator = facts->dkim_aligned || facts->spf_aligned ? "" : ", ";
	strbuf_add_text(out, "Feedback-Type: auth-failure\r\nVersion: 1\r\nUser-Agent: Mailreeve/" MR_VERSION "\r\n");
	add_known(out, "Auth-Failure", facts->auth_failure);
	strbuf_printf(out, "Identity-Alignment: %s%s%s\r\n",
	              !facts->dkim_aligned ? "dkim"
	              : facts->spf_aligned ? "none"
	                                   : "",
	              separator, facts->spf_aligned ? "" : "spf");
	add_results(out, facts, !spf && !dkim, spf, dkim);
	add_known(out, "Reported-Domain", facts->domain);
	add_known(out, "Delivery-Result", facts->delivery);
	add_known(out, "Source-IP", facts->source);
	if (facts->dkim_selector != NULL) {
		add_dkim(out, facts);
	}
	if (facts->spf_record != NULL) {
		add_spf_record(out, facts);
	}
	if (facts->mail_from != NULL) {
		strbuf_printf(out, "Original-Mail-From: <%s>\r\n",
		              facts->mail_from[0] == '\0' ? ""
		                                          : dmarc_failure_redact(out->arena, facts->key, facts->mail_from));
	}
	strbuf_add_text(out, "Arrival-Date: ");
	mail_date_add(out, facts->arrived);
	strbuf_add_text(out, "\r\n");
}

struct slice dmarc_failure_parts(struct arena *arena, const struct dmarc_failure_facts *facts)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	add_feedback(&out, facts);
	strbuf_add_text(&out, "\r\n");
	add_results(&out, facts, true, true, true);
	strbuf_printf(&out, "From: <%s>\r\n", dmarc_failure_redact(arena, facts->key, facts->author));
	add_known(&out, "Date", facts->date);
	if (facts->message_id != NULL && facts->message_id[0] != '\0') {
		struct slice id = slice_trim(slice_from(facts->message_id));
		bool brackets = id.len > 2 && id.data[0] == '<' && id.data[id.len - 1] == '>';
		const char *inner = slice_dup(arena, brackets ? (struct slice){id.data + 1, id.len - 2} : id);
		strbuf_printf(&out, "Message-ID: <%s>\r\n", dmarc_failure_redact(arena, facts->key, inner));
	}
	add_known(&out, "Subject", facts->subject);
	return (struct slice){out.data, out.len};
}

/* ---- the mail ---- */

struct slice dmarc_failure_mail(struct arena *arena, const struct dmarc_reporter *reporter,
                                const struct dmarc_failure *failure)
{
	const struct dmarc_reports_options *of = reporter->options;
	const char *boundary = arena_printf(arena, "failure.%llx", (unsigned long long)failure->id);
	const char *at = strrchr(of->email, '@');
	struct slice end = SLICE_LITERAL("\r\n\r\n");
	const char *fields = memmem(failure->parts.data, failure->parts.len, end.data, end.len);
	size_t feedback = fields == NULL ? failure->parts.len : (size_t)(fields - failure->parts.data) + 2;
	size_t header = fields == NULL ? feedback : feedback + 2;
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_printf(&out, "From: %s\r\n\t<%s>\r\nTo: <%s>\r\n",
	              field_quoted(arena, of->org_name[0] != '\0' ? of->org_name : reporter->submitter, false), of->email,
	              failure->address);
	strbuf_printf(&out, "Subject: DMARC failure report about %s\r\nDate: ", failure->domain);
	mail_date_add(&out, reporter->now);
	strbuf_printf(&out, "\r\nMessage-ID: <%s%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n", boundary,
	              at == NULL ? "" : at);
	strbuf_printf(&out, "Content-Type: multipart/report; report-type=feedback-report;\r\n\tboundary=\"%s\"\r\n\r\n",
	              boundary);
	strbuf_printf(&out,
	              "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
	              "This is a DMARC failure report (RFC 9991) about a message in the name of\r\n%s,\r\n"
	              "as %s received it. Local parts are replaced by hashes (RFC 6590).\r\n\r\n",
	              boundary, failure->domain, reporter->submitter);
	strbuf_printf(&out, "--%s\r\nContent-Type: message/feedback-report\r\n\r\n", boundary);
	strbuf_add(&out, failure->parts.data, feedback);
	strbuf_printf(&out, "\r\n--%s\r\nContent-Type: text/rfc822-headers\r\n\r\n", boundary);
	strbuf_add(&out, failure->parts.data + header, failure->parts.len - header);
	strbuf_printf(&out, "\r\n--%s--\r\n", boundary);
	return (struct slice){out.data, out.len};
}

/* ---- sending ---- */

/* True: never again. */
static bool deliver(const struct dmarc_reporter *reporter, struct arena *arena, const struct dmarc_failure *failure)
{
	struct submit_relay relay;
	const char *text = "";
	if (!submit_relay_parse(arena, reporter->options->relay, &relay, &text)) {
		log_error("dmarc_reports.relay: expected %s", text);
		return false;
	}
	struct submit_mail mail = {.helo = reporter->submitter,
	                           .from = reporter->options->email,
	                           .to = failure->address,
	                           .head = {"", 0},
	                           .message = dmarc_failure_mail(arena, reporter, failure)};
	enum submit_result result = submit_send(&relay, &mail, clock_now() + SUBMIT_SECONDS * CLOCK_NS_PER_S, arena, &text);
	log_info("DMARC failure report %llx about %s to <%s>: %s", (unsigned long long)failure->id, failure->domain,
	         failure->address, text);
	return result == SUBMIT_OK || result == SUBMIT_PERMANENT;
}

static bool is_done(const struct dmarc_reporter *reporter, struct arena *arena, const struct dmarc_failure *failure)
{
	struct dmarc_uri uri = {.size_max = 0};
	if (!address_parse_path(arena, arena_printf(arena, "<%s>", failure->address), &uri.address)) {
		return true;
	}
	struct lookups *lookups = lookups_create(reporter->dns);
	enum dmarc_willing willing = dmarc_reports_willing(arena, lookups, failure->domain, &uri);
	lookups_destroy(lookups);
	switch (willing) {
	case DMARC_WILLING:
		break;
	case DMARC_UNWILLING:
		log_info("DMARC failure report about %s: %s does not say that it takes such reports", failure->domain,
		         uri.address.domain);
		return true;
	case DMARC_WILLING_UNKNOWN:
		return failure->attempts >= ATTEMPTS_MAX;
	}
	return deliver(reporter, arena, failure) || failure->attempts >= ATTEMPTS_MAX;
}

enum store_result dmarc_failure_step(const struct dmarc_reporter *reporter, bool *more_r)
{
	struct arena *arena = arena_create(65536);
	struct dmarc_failure failure;
	int64_t now = (int64_t)reporter->now;
	enum store_result result = dmarc_failures_take(reporter->store, arena, now, LEASE, &failure, more_r);
	if (result == STORE_OK && *more_r && is_done(reporter, arena, &failure)) {
		result = dmarc_failures_done(reporter->store, failure.id, failure.address);
	} else if (result == STORE_OK && *more_r) {
		int64_t pause = (int64_t)RETRY_FIRST << (failure.attempts > 0 ? failure.attempts - 1 : 0);
		result = dmarc_failures_later(reporter->store, failure.id, failure.address, now + pause);
	} else if (result == STORE_OK) {
		int64_t keep = (int64_t)(reporter->options->keep / (DMARC_DAY * CLOCK_NS_PER_S));
		result = dmarc_failures_expire(reporter->store, now / DMARC_DAY - keep, EXPIRE_ROWS);
	}
	arena_destroy(arena);
	return result;
}
