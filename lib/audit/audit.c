#include "lib/audit/audit_private.h"

#include "lib/mail/domain.h"

#include <stdlib.h>

static const struct {
	const char *name, *title;
	void (*check)(struct audit_run *run);
} subjects[AUDIT_SUBJECTS] = {
    [AUDIT_MX] = {"mx", "MX", audit_mx},
    [AUDIT_HELO] = {"helo", "HELO and PTR", audit_helo},
    [AUDIT_SPF] = {"spf", "SPF", audit_spf},
    [AUDIT_DKIM] = {"dkim", "DKIM", audit_dkim},
    [AUDIT_DMARC] = {"dmarc", "DMARC", audit_dmarc},
    [AUDIT_MTA_STS] = {"mta-sts", "MTA-STS", audit_mta_sts},
    [AUDIT_TLSRPT] = {"tls-rpt", "TLS-RPT", audit_tlsrpt},
    [AUDIT_DANE] = {"dane", "DANE", audit_dane},
    [AUDIT_STARTTLS] = {"starttls", "STARTTLS", audit_starttls},
    [AUDIT_BIMI] = {"bimi", "BIMI", audit_bimi},
};

/* What later subjects take from earlier ones: SPF's "~all" is judged by DMARC's policy, DMARC by what can pass. */
static const enum audit_subject order[AUDIT_SUBJECTS] = {AUDIT_MX,      AUDIT_HELO,   AUDIT_DMARC, AUDIT_SPF,      AUDIT_DKIM,
                                                         AUDIT_MTA_STS, AUDIT_TLSRPT, AUDIT_DANE,  AUDIT_STARTTLS, AUDIT_BIMI};

const char *audit_subject_name(enum audit_subject subject)
{
	return subjects[subject].name;
}

const char *audit_subject_title(enum audit_subject subject)
{
	return subjects[subject].title;
}

const char *audit_level_name(enum audit_level level)
{
	switch (level) {
	case AUDIT_NOTE:
		return "note";
	case AUDIT_WARNING:
		return "warning";
	case AUDIT_FAULT:
		return "fault";
	case AUDIT_UNKNOWN:
		return "unknown";
	}
	return "?";
}

static const struct audit_code *code_find(const char *id)
{
	const struct audit_code *code = audit_codes;
	while (code->id != NULL && strcmp(code->id, id) != 0) {
		code++;
	}
	if (code->id == NULL) {
		abort();
	}
	return code;
}

void audit_find(struct audit_run *run, const char *id, const char *record, const char *format, ...)
{
	struct audit *audit = run->audit;
	const struct audit_code *code = code_find(id);
	struct audit_part *part = &audit->parts[code->subject];
	va_list args;
	if (code->grade > part->grade && part->grade != '-') {
		part->grade = code->grade;
	}
	if (audit->finding_count == AUDIT_FINDINGS_MAX) {
		return;
	}
	va_start(args, format);
	const char *text = arena_vprintf(run->arena, format, args);
	va_end(args);
	for (size_t i = 0; i < audit->finding_count; i++) {
		if (audit->findings[i].code == code && strcmp(audit->findings[i].text, text) == 0) {
			return;
		}
	}
	audit->findings[audit->finding_count++] = (struct audit_finding){code, text, record};
}

void audit_line(struct audit_run *run, enum audit_subject subject, const char *format, ...)
{
	struct audit_part *part = &run->audit->parts[subject];
	va_list args;
	if (part->line_count < AUDIT_LINES_MAX) {
		va_start(args, format);
		part->lines[part->line_count++] = arena_vprintf(run->arena, format, args);
		va_end(args);
	}
}

void audit_skip(struct audit_run *run, enum audit_subject subject, const char *reason)
{
	struct audit_part *part = &run->audit->parts[subject];
	if (part->grade == 'A') { /* else there is something to say of it already */
		part->grade = '-';
		part->reason = reason;
	}
}

const char *audit_safe(struct audit_run *run, struct slice text)
{
	return text_escape(run->arena, text, "", false, AUDIT_TEXT_MAX);
}

const struct dns_answer *audit_ask(struct audit_run *run, const char *unknown_id, const char *name, enum dns_type type)
{
	const struct dns_answer *answer = lookups_get(run->lookups, name, type);
	if (answer == NULL) {
		run->pending = true;
	} else if (answer->status == DNS_TEMPORARY) {
		const char *id = strncmp(answer->problem, "bogus", 5) == 0 ? "dane.bogus" : unknown_id;
		audit_find(run, id, NULL, "%s %s: %s", audit_safe(run, slice_from(name)), dns_type_name(type),
		           audit_safe(run, slice_from(answer->problem)));
		answer = NULL;
	}
	return answer;
}

bool audit_addresses(struct audit_run *run, const char *unknown_id, const char *name, struct ip *addresses_r,
                     size_t *count_r, bool *secure_r)
{
	const struct dns_answer *answers[2] = {audit_ask(run, unknown_id, name, DNS_TYPE_A),
	                                       audit_ask(run, unknown_id, name, DNS_TYPE_AAAA)};
	*count_r = 0;
	*secure_r = true;
	for (size_t i = 0; i < 2; i++) {
		*secure_r = *secure_r && answers[i] != NULL && answers[i]->secure;
		for (size_t k = 0; answers[i] != NULL && k < answers[i]->count && k < AUDIT_ADDRESSES_MAX; k++) {
			addresses_r[(*count_r)++] = answers[i]->records[k].address;
		}
	}
	return answers[0] != NULL && answers[1] != NULL;
}

const char *audit_txt_record(struct audit_run *run, const char *name, const char *text)
{
	struct strbuf line;
	size_t length = strlen(text);
	strbuf_init(&line, run->arena);
	strbuf_printf(&line, "%s. 3600 IN TXT", name);
	for (size_t at = 0; at == 0 || at < length; at += 255) {
		size_t n = length - at < 255 ? length - at : 255;
		strbuf_add_text(&line, " \"");
		for (size_t i = at; i < at + n; i++) {
			if (text[i] < ' ' || text[i] > '~') { /* a piece of a stranger's record */
				strbuf_printf(&line, "\\%03u", (unsigned char)text[i]);
			} else {
				strbuf_printf(&line, "%s%c", text[i] == '"' || text[i] == '\\' ? "\\" : "", text[i]);
			}
		}
		strbuf_add_char(&line, '"');
	}
	return line.data;
}

static bool has_version(struct slice text, const char *version)
{
	struct slice first = slice_trim((struct slice){text.data, slice_find(text, ';', 0)});
	size_t equals = slice_find(first, '=', 0);
	return equals < first.len &&
	       slice_equal(slice_trim((struct slice){first.data, equals}), SLICE_LITERAL("v")) &&
	       slice_equal(slice_trim((struct slice){first.data + equals + 1, first.len - equals - 1}), slice_from(version));
}

size_t audit_select(const struct dns_answer *answer, const char *version, struct slice *text_r)
{
	size_t count = 0;
	for (size_t i = 0; i < answer->count; i++) {
		if (has_version(answer->records[i].data, version) && count++ == 0) {
			*text_r = answer->records[i].data;
		}
	}
	return count;
}

bool audit_takes_mail(struct audit_run *run, const char *unknown_id, const char *domain)
{
	const struct dns_answer *mx = audit_ask(run, unknown_id, domain, DNS_TYPE_MX);
	if (mx == NULL) {
		return true;
	}
	if (mx->count > 0) {
		return mx->count > 1 || mx->records[0].data.len > 0;
	}
	struct ip addresses[2 * AUDIT_ADDRESSES_MAX];
	size_t count;
	bool secure;
	return !audit_addresses(run, unknown_id, domain, addresses, &count, &secure) || count > 0;
}

const char *audit_mailto_domain(struct audit_run *run, struct slice uri)
{
	static const struct slice scheme = {"mailto:", 7};
	if (!slice_starts_nocase(uri, scheme)) {
		return NULL;
	}
	struct slice address = {uri.data + scheme.len, uri.len - scheme.len};
	address.len = slice_find(address, '?', 0);
	address.len = slice_find(address, '!', 0);
	size_t at = slice_find(address, '@', 0);
	if (at == 0 || at + 1 >= address.len) {
		return NULL;
	}
	return domain_canonical(run->arena, (struct slice){address.data + at + 1, address.len - at - 1});
}

static int finding_compare(const void *a, const void *b)
{
	const struct audit_finding *x = a;
	const struct audit_finding *y = b;
	if (x->code->subject != y->code->subject) {
		return x->code->subject < y->code->subject ? -1 : 1;
	}
	if (x->code->grade != y->code->grade) {
		return x->code->grade > y->code->grade ? -1 : 1;
	}
	return x->code != y->code ? (x->code < y->code ? -1 : 1) : strcmp(x->text, y->text);
}

bool audit_run(const struct audit_request *request, struct lookups *lookups, struct arena *arena, struct audit *audit_r)
{
	struct audit_run run = {.request = request, .lookups = lookups, .arena = arena, .audit = audit_r};
	const char *domain = domain_canonical(arena, slice_from(request->domain));
	*audit_r = (struct audit){.domain = domain == NULL || domain_labels(domain) < 2 ? "" : domain, .grade = 'A'};
	run.domain = audit_r->domain;
	for (size_t i = 0; i < AUDIT_SUBJECTS; i++) {
		audit_r->parts[i].grade = 'A';
	}
	if (audit_r->domain[0] == '\0') {
		return true;
	}
	audit_r->findings = arena_alloc(arena, AUDIT_FINDINGS_MAX * sizeof *audit_r->findings);
	for (size_t i = 0; i < AUDIT_SUBJECTS; i++) {
		if (audit_r->no_domain) {
			audit_skip(&run, order[i], "the name does not exist");
		} else {
			subjects[order[i]].check(&run);
		}
	}
	if (run.pending) {
		return false;
	}
	qsort(audit_r->findings, audit_r->finding_count, sizeof *audit_r->findings, finding_compare);
	for (size_t i = 0; i < AUDIT_SUBJECTS; i++) {
		if (audit_r->parts[i].grade > audit_r->grade) {
			audit_r->grade = audit_r->parts[i].grade;
		}
	}
	return true;
}

size_t audit_count(const struct audit *audit, enum audit_level level)
{
	size_t count = 0;
	for (size_t i = 0; i < audit->finding_count; i++) {
		count += audit->findings[i].code->level == level;
	}
	return count;
}
