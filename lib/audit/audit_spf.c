/* SPF: what spf_lint() finds in the record and all that it leads to, its tree, and whom it lets in (RFC 7208). */
#include "lib/audit/audit_private.h"
#include "lib/auth/spf.h"
#include "lib/auth/spf_lint.h"
#include "lib/auth/spf_record.h"
#include "lib/mail/domain.h"

enum { UDP_ANSWER = 1232, RECORD_OVERHEAD = 12, TREE_NODES_MAX = 50 };

/* Codes of the audit by codes of the lint: "spf." and its name, but for these. */
static const char *fault_id(struct audit_run *run, enum spf_fault_code code)
{
	return code == SPF_FAULT_NO_RECORD ? "spf.none" : arena_printf(run->arena, "spf.%s", spf_fault_name(code));
}

/* Who else sends through an include, and which one belongs to whose mail servers. */
static const struct {
	const char *include, *mx, *name;
} senders[] = {
    {"_spf.google.com", "google.com", "Google Workspace"},
    {"spf.protection.outlook.com", "outlook.com", "Microsoft 365"},
    {"amazonses.com", NULL, "Amazon SES"},
    {"sendgrid.net", NULL, "SendGrid"},
    {"mailgun.org", NULL, "Mailgun"},
    {"servers.mcsv.net", NULL, "Mailchimp"},
    {"spf.mandrillapp.com", NULL, "Mandrill"},
    {"mail.zendesk.com", NULL, "Zendesk"},
    {"_spf.salesforce.com", NULL, "Salesforce"},
    {"spf.mailjet.com", NULL, "Mailjet"},
    {"spf.sendinblue.com", NULL, "Brevo"},
    {"spf.messagingengine.com", "messagingengine.com", "Fastmail"},
    {"zoho.com", "zoho.com", "Zoho"},
};
enum { SENDERS = sizeof senders / sizeof *senders };

static const char *sender_name(const char *include)
{
	for (size_t i = 0; i < SENDERS; i++) {
		if (strcmp(include, senders[i].include) == 0) {
			return senders[i].name;
		}
	}
	return NULL;
}

/* A record for a domain that has none: its own mail servers, and those of whom it is known by its MX. */
static const char *first_record(struct audit_run *run)
{
	const struct audit *audit = run->audit;
	if (audit->null_mx) {
		return audit_txt_record(run, run->domain, "v=spf1 -all");
	}
	for (size_t i = 0; i < SENDERS; i++) {
		if (audit->host_count > 0 && senders[i].mx != NULL && domain_is_below(audit->hosts[0].name, senders[i].mx)) {
			return audit_txt_record(run, run->domain, arena_printf(run->arena, "v=spf1 include:%s ~all", senders[i].include));
		}
	}
	return audit_txt_record(run, run->domain, audit->host_count > 0 ? "v=spf1 mx ~all" : "v=spf1 a ~all");
}

/* ---- the record to publish next ---- */

static bool stands_before(const struct strbuf *text, struct slice term)
{
	struct slice rest = {text->data, text->len};
	struct slice word;
	while (slice_split(&rest, ' ', &word)) {
		if (slice_equal_nocase(word, term)) {
			return true;
		}
	}
	return false;
}

/* The terms before all that do something, each once. */
static void add_terms(struct strbuf *text, const struct spf_record *record)
{
	for (size_t i = 0; i < record->count && record->terms[i].kind != SPF_TERM_ALL; i++) {
		const struct spf_term *term = &record->terms[i];
		bool open = spf_term_is_open(term, IP_UNKNOWN) || spf_term_is_open(term, IP_V4) || spf_term_is_open(term, IP_V6);
		if (term->kind != SPF_TERM_PTR && !open && !stands_before(text, term->text)) {
			strbuf_printf(text, " %.*s", SLICE_ARGS(term->text));
		}
	}
}

/* One record of all that can be read, repaired; NULL: none can. Others are refused as before, by "~all" at least; one step
 * further where `harden`: who repairs a record should not lose mail by it. */
static const char *next_record(struct audit_run *run, const struct dns_answer *txt, bool harden)
{
	struct strbuf text;
	struct slice redirect = {NULL, 0};
	size_t read = 0;
	bool fails = harden;
	bool has_all = false;
	strbuf_init(&text, run->arena);
	strbuf_add_text(&text, "v=spf1");
	for (size_t i = 0; i < txt->count; i++) {
		struct spf_record record;
		const char *problem;
		if (!spf_record_is(txt->records[i].data) ||
		    !spf_record_parse(run->arena, txt->records[i].data, &record, &problem)) {
			continue;
		}
		read++;
		add_terms(&text, &record);
		redirect = record.redirect.data != NULL ? record.redirect : redirect;
		for (size_t k = 0; k < record.count; k++) {
			has_all = has_all || record.terms[k].kind == SPF_TERM_ALL;
			fails = fails || (record.terms[k].kind == SPF_TERM_ALL && record.terms[k].qualifier == '-');
		}
	}
	if (read == 0) {
		return NULL;
	}
	if (redirect.data != NULL && !has_all) {
		strbuf_printf(&text, " redirect=%.*s", SLICE_ARGS(redirect));
	} else {
		strbuf_add_text(&text, fails ? " -all" : " ~all");
	}
	return audit_txt_record(run, run->domain, text.data);
}

static bool repairs(enum spf_fault_code code)
{
	switch (code) {
	case SPF_FAULT_MANY_RECORDS:
	case SPF_FAULT_PASS_ALL:
	case SPF_FAULT_WIDE:
	case SPF_FAULT_NEUTRAL_ALL:
	case SPF_FAULT_NO_ALL:
	case SPF_FAULT_PTR:
	case SPF_FAULT_REDIRECT_IGNORED:
	case SPF_FAULT_UNREACHABLE:
	case SPF_FAULT_DUPLICATE:
	case SPF_FAULT_UNKNOWN_MODIFIER:
		return true;
	case SPF_FAULT_SYNTAX:
	case SPF_FAULT_MODIFIER_TWICE:
	case SPF_FAULT_LOOKUPS:
	case SPF_FAULT_VOIDS:
	case SPF_FAULT_MX_HOSTS:
	case SPF_FAULT_INCLUDE_MISSING:
	case SPF_FAULT_LOOP:
	case SPF_FAULT_NO_RECORD:
	case SPF_FAULT_NAME_MISSING:
	case SPF_FAULT_MACRO:
	case SPF_FAULT_MAPPED:
	case SPF_FAULT_EXPLANATION:
	case SPF_FAULT_HOST_BITS:
	case SPF_FAULT_LONG:
	case SPF_FAULT_DNS:
	case SPF_FAULT_LIMIT:
	case SPF_FAULT_COUNT:
		break;
	}
	return false;
}

/* ---- the tree ---- */

struct tree {
	struct audit_run *run;
	size_t nodes;
	uint64_t addresses; /* of IPv4, by ip4 */
	size_t networks6;
};

static unsigned tree_record(struct tree *tree, const char *domain, unsigned depth, const char *how);

static unsigned tree_term(struct tree *tree, const struct spf_term *term, unsigned depth)
{
	struct audit_run *run = tree->run;
	if (term->kind == SPF_TERM_IP && term->qualifier == '+') {
		bool four = term->network.address.family == IP_V4;
		tree->addresses += four ? UINT64_C(1) << (32 - term->network.prefix) : 0;
		tree->networks6 += !four;
	}
	if (term->kind == SPF_TERM_INCLUDE && memchr(term->domain.data, '%', term->domain.len) == NULL) {
		const char *name = domain_canonical(run->arena, term->domain);
		return 1 + (name == NULL ? 0 : tree_record(tree, name, depth + 1, "include:"));
	}
	return term->kind != SPF_TERM_IP && term->kind != SPF_TERM_ALL;
}

/* Everything was asked for by the lint. */
static unsigned tree_record(struct tree *tree, const char *domain, unsigned depth, const char *how)
{
	struct audit_run *run = tree->run;
	struct audit_part *part = &run->audit->parts[AUDIT_SPF];
	const struct dns_answer *txt = lookups_peek(run->lookups, domain, DNS_TYPE_TXT);
	struct spf_record record;
	const char *problem;
	size_t i = 0;
	unsigned cost = 0;
	while (txt != NULL && i < txt->count && !spf_record_is(txt->records[i].data)) {
		i++;
	}
	if (txt == NULL || i == txt->count || depth > SPF_LINT_DEPTH_MAX || tree->nodes++ >= TREE_NODES_MAX ||
	    !spf_record_parse(run->arena, txt->records[i].data, &record, &problem)) {
		return 0;
	}
	size_t line = part->line_count;
	audit_line(run, AUDIT_SPF, "%s", "");
	for (size_t k = 0; k < record.count; k++) {
		cost += tree_term(tree, &record.terms[k], depth);
	}
	if (record.redirect.data != NULL && memchr(record.redirect.data, '%', record.redirect.len) == NULL) {
		const char *name = domain_canonical(run->arena, record.redirect);
		cost += 1 + (name == NULL ? 0 : tree_record(tree, name, depth + 1, "redirect="));
	}
	const char *sender = sender_name(domain);
	if (line < part->line_count) {
		part->lines[line] = arena_printf(run->arena, "%*s%s%s: %u lookups, %zu bytes%s%s", (int)(2 * depth), "", how, domain, cost,
		                                 txt->records[i].data.len, sender == NULL ? "" : "; all customers of ",
		                                 sender == NULL ? "" : sender);
	}
	return cost;
}

static void tell_tree(struct audit_run *run, const struct spf_lint *lint)
{
	struct tree tree = {.run = run};
	tree_record(&tree, run->domain, 0, "");
	audit_line(run, AUDIT_SPF, "%u of 10 lookups, %u of 2 void lookups", lint->lookups, lint->void_lookups);
	audit_line(run, AUDIT_SPF, "lets in by ip4 %llu addresses, by ip6 %zu networks", (unsigned long long)tree.addresses,
	           tree.networks6);
}

/* ---- the checks ---- */

static const struct spf_term *all_term(const struct spf_record *record)
{
	for (size_t i = 0; i < record->count; i++) {
		if (record->terms[i].kind == SPF_TERM_ALL) {
			return &record->terms[i];
		}
	}
	return NULL;
}

static void check_end(struct audit_run *run, const struct dns_answer *txt)
{
	struct spf_record record;
	const char *problem;
	for (size_t i = 0; i < txt->count; i++) {
		if (!spf_record_is(txt->records[i].data) ||
		    !spf_record_parse(run->arena, txt->records[i].data, &record, &problem)) {
			continue;
		}
		const struct spf_term *all = all_term(&record);
		run->audit->spf_usable = record.count > 1 || record.redirect.data != NULL;
		run->audit->sends_nothing = record.count == 1 && all != NULL && all->qualifier == '-';
		if (all != NULL && all->qualifier == '~' && run->audit->dmarc_known && !run->audit->dmarc_enforced) {
			audit_find(run, "spf.softfail", next_record(run, txt, true), "\"%.*s\"", SLICE_ARGS(all->text));
		}
	}
	if (run->audit->null_mx && !run->audit->sends_nothing) {
		audit_find(run, "mx.null_sends", audit_txt_record(run, run->domain, "v=spf1 -all"), "null MX, but SPF lets servers send");
	}
}

static void check_leftovers(struct audit_run *run, const struct dns_answer *txt)
{
	size_t bytes = RECORD_OVERHEAD + strlen(run->domain) + 6;
	for (size_t i = 0; i < txt->count; i++) {
		bytes += RECORD_OVERHEAD + txt->records[i].data.len + txt->records[i].data.len / 255 + 1;
	}
	if (bytes > UDP_ANSWER) {
		audit_find(run, "spf.answer_large", NULL, "%zu TXT records, about %zu bytes", txt->count, bytes);
	}
	const struct dns_answer *old = audit_ask(run, "spf.dns", run->domain, DNS_TYPE_SPF);
	if (old != NULL && old->count > 0) {
		audit_find(run, "spf.type99", NULL, "%s SPF \"%s\"", run->domain, audit_safe(run, old->records[0].data));
	}
}

static void check_ip(struct audit_run *run)
{
	struct spf_request request = {.client = run->request->ip,
	                              .helo = run->domain,
	                              .mail_from = arena_printf(run->arena, "postmaster@%s", run->domain),
	                              .receiver = "mailreeve",
	                              .now = run->request->now,
	                              .scope = SPF_SCOPE_MFROM};
	struct spf_verdict verdict;
	char text[IP_TEXT_SIZE];
	if (!spf_check(&request, run->lookups, run->arena, &verdict)) {
		run->pending = true;
		return;
	}
	ip_format(&run->request->ip, text);
	audit_line(run, AUDIT_SPF, "mail from %s: %s", text, auth_result_name(verdict.result));
	if (verdict.result == AUTH_FAIL || verdict.result == AUTH_SOFTFAIL || verdict.result == AUTH_NEUTRAL) {
		audit_find(run, "spf.ip_refused", NULL, "%s gets \"%s\"; add %s:%s", text, auth_result_name(verdict.result),
		           run->request->ip.family == IP_V4 ? "ip4" : "ip6", text);
	}
}

void audit_spf(struct audit_run *run)
{
	struct spf_lint lint;
	const struct dns_answer *txt = audit_ask(run, "spf.dns", run->domain, DNS_TYPE_TXT);
	if (!spf_lint(slice_from(run->domain), run->lookups, run->arena, &lint)) {
		run->pending = true;
		return;
	}
	if (txt == NULL || txt->status == DNS_NXDOMAIN) {
		return; /* told already */
	}
	for (size_t i = 0; i < lint.count; i++) {
		const struct spf_fault *fault = &lint.faults[i];
		bool own = strcmp(fault->domain, run->domain) == 0;
		const char *record = fault->code == SPF_FAULT_NO_RECORD      ? first_record(run)
		                     : own && repairs(fault->code) ? next_record(run, txt, false)
		                                                   : NULL;
		audit_find(run, fault_id(run, fault->code), record, "%s%s%s", own ? "" : fault->domain, own ? "" : ": ", fault->text);
	}
	check_leftovers(run, txt);
	if (lint.record == NULL) {
		return;
	}
	audit_line(run, AUDIT_SPF, "%s", audit_safe(run, slice_from(lint.record)));
	check_end(run, txt);
	tell_tree(run, &lint);
	if (run->request->ip.family != IP_UNKNOWN && !ip_is_private(&run->request->ip)) {
		check_ip(run);
	}
}
