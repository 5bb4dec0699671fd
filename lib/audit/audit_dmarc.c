/* DMARC: the record by the tree walk, its policy, its tags and where reports go (RFC 9989). */
#include "lib/audit/audit_private.h"
#include "lib/auth/dmarc_walk.h"
#include "lib/mail/domain.h"

enum { REPORT_URIS_MAX = 10 };

static const char *const known_tags[] = {"v", "p", "sp", "np", "rua", "ruf", "adkim", "aspf", "fo", "psd", "t", NULL};
static const char *const old_tags[] = {"rf", "ri", NULL};

static bool in_list(const char *const *list, struct slice name)
{
	for (; *list != NULL; list++) {
		if (slice_equal(name, slice_from(*list))) {
			return true;
		}
	}
	return false;
}

/* ---- the record to publish next ---- */

static const char *report_uri(struct audit_run *run)
{
	return arena_printf(run->arena, "mailto:dmarc-reports@%s", run->domain);
}

/* One step further than now: none where nobody reads reports, else quarantine, then reject. */
static enum dmarc_policy next_policy(const struct dmarc_record *record)
{
	if (record->p == DMARC_POLICY_NONE) {
		return record->rua.len == 0 ? DMARC_POLICY_NONE : DMARC_POLICY_QUARANTINE;
	}
	return record->p;
}

static void add_uris(struct audit_run *run, struct strbuf *text, const char *tag, struct slice list)
{
	struct slice uri;
	size_t count = 0;
	if (list.data == NULL) {
		return;
	}
	while (slice_split(&list, ',', &uri)) {
		uri = slice_trim(uri);
		uri.len = slice_find(uri, '!', 0);
		if (audit_mailto_domain(run, uri) != NULL && slice_is_ascii(uri)) {
			strbuf_printf(text, count == 0 ? "; %s=%.*s" : ",%.0s%.*s", tag, SLICE_ARGS(uri));
			count++;
		}
	}
	if (count == 0 && strcmp(tag, "rua") == 0) {
		strbuf_printf(text, "; rua=%s", report_uri(run));
	}
}

/* The record with all its faults repaired; with a policy one step stronger where `step`. */
static const char *next_record(struct audit_run *run, const struct dmarc_record *record, enum dmarc_policy policy)
{
	struct strbuf text;
	strbuf_init(&text, run->arena);
	strbuf_printf(&text, "v=DMARC1; p=%s", dmarc_policy_name(policy));
	if (record->has_np && record->np > policy) {
		strbuf_printf(&text, "; np=%s", dmarc_policy_name(record->np));
	}
	if (record->psd == DMARC_PSD_NO) {
		strbuf_add_text(&text, "; psd=n");
	}
	add_uris(run, &text, "rua", record->rua.len == 0 ? SLICE_LITERAL("") : record->rua);
	add_uris(run, &text, "ruf", record->ruf.len == 0 ? (struct slice){NULL, 0} : record->ruf);
	strbuf_add_text(&text, record->adkim_strict ? "; adkim=s" : "");
	strbuf_add_text(&text, record->aspf_strict ? "; aspf=s" : "");
	return audit_txt_record(run, arena_printf(run->arena, "_dmarc.%s", run->domain), text.data);
}

static const char *first_record(struct audit_run *run)
{
	const char *text = run->audit->null_mx ? "v=DMARC1; p=reject"
	                                       : arena_printf(run->arena, "v=DMARC1; p=none; rua=%s", report_uri(run));
	return audit_txt_record(run, arena_printf(run->arena, "_dmarc.%s", run->domain), text);
}

/* ---- tags ---- */

static void check_value(struct audit_run *run, const struct taglist *list, const char *tag, const char *letters, const char *record)
{
	const struct tag *found = taglist_find(list, tag);
	if (found != NULL && (found->value.len != 1 || strchr(letters, ascii_lower(found->value.data[0])) == NULL)) {
		audit_find(run, "dmarc.bad_value", record, "%s=%s", tag, audit_safe(run, found->value));
	}
}

static void check_failure_options(struct audit_run *run, const struct taglist *list, const char *record)
{
	const struct tag *found = taglist_find(list, "fo");
	struct slice item;
	struct slice rest = found == NULL ? (struct slice){NULL, 0} : found->value;
	while (rest.data != NULL && slice_split(&rest, ':', &item)) {
		item = slice_trim(item);
		if (item.len != 1 || strchr("01ds", ascii_lower(item.data[0])) == NULL) {
			audit_find(run, "dmarc.bad_value", record, "fo=%s", audit_safe(run, found->value));
			return;
		}
	}
}

static bool is_policy(struct slice value)
{
	return slice_equal_nocase(value, SLICE_LITERAL("none")) || slice_equal_nocase(value, SLICE_LITERAL("quarantine")) ||
	       slice_equal_nocase(value, SLICE_LITERAL("reject"));
}

static void check_tags(struct audit_run *run, const struct taglist *list, const char *record)
{
	static const char *const policies[] = {"p", "sp", "np"};
	for (size_t i = 0; i < 3; i++) {
		const struct tag *tag = taglist_find(list, policies[i]);
		if (tag != NULL && !is_policy(tag->value)) {
			audit_find(run, "dmarc.bad_policy", record, "%s=%s", policies[i], audit_safe(run, tag->value));
		}
	}
	if (taglist_find(list, "p") == NULL) {
		audit_find(run, "dmarc.no_policy", record, "no p=");
	}
	check_value(run, list, "adkim", "rs", record);
	check_value(run, list, "aspf", "rs", record);
	check_value(run, list, "t", "yn", record);
	check_value(run, list, "psd", "ynu", record);
	check_failure_options(run, list, record);
	for (size_t i = 0; i < list->count; i++) {
		const char *name = audit_safe(run, list->tags[i].name);
		if (strcmp(name, "pct") == 0) {
			audit_find(run, slice_equal(list->tags[i].value, SLICE_LITERAL("100")) ? "dmarc.deprecated" : "dmarc.pct", record,
			           "pct=%s", audit_safe(run, list->tags[i].value));
		} else if (in_list(old_tags, list->tags[i].name)) {
			audit_find(run, "dmarc.deprecated", record, "%s=%s", name, audit_safe(run, list->tags[i].value));
		} else if (!in_list(known_tags, list->tags[i].name)) {
			audit_find(run, "dmarc.unknown_tag", record, "%s=%s", name, audit_safe(run, list->tags[i].value));
		}
	}
	if (list->duplicate) {
		audit_find(run, "dmarc.duplicate_tag", record, "a tag stands there twice");
	}
	if (list->malformed || list->truncated) {
		audit_find(run, "dmarc.malformed", record, "something there is no tag");
	}
}

/* ---- reports ---- */

/* Reports to another organisation need its word (RFC 9990 4). */
static void check_external(struct audit_run *run, const char *owner, const char *org, const char *destination)
{
	struct dmarc_memo memo = {NULL};
	struct dmarc_walk walk;
	if (!dmarc_walk(run->arena, run->lookups, &memo, destination, &walk)) {
		run->pending = true;
		return;
	}
	if (strcmp(walk.org_domain, org) == 0) {
		return;
	}
	const char *name = arena_printf(run->arena, "%s._report._dmarc.%s", owner, destination);
	const struct dns_answer *answer = audit_ask(run, "dmarc.dns", name, DNS_TYPE_TXT);
	struct slice text;
	if (answer != NULL && audit_select(answer, "DMARC1", &text) == 0) {
		audit_find(run, "dmarc.report_unauthorised", audit_txt_record(run, name, "v=DMARC1"), "reports to %s", destination);
	}
}

static void check_reports(struct audit_run *run, const char *owner, const char *org, const char *tag, struct slice list, const char *record)
{
	struct slice uri;
	size_t count = 0;
	if (list.len == 0) {
		return;
	}
	while (slice_split(&list, ',', &uri) && count++ < REPORT_URIS_MAX) {
		uri = slice_trim(uri);
		const char *destination = audit_mailto_domain(run, uri);
		if (destination == NULL) {
			audit_find(run, "dmarc.report_uri", record, "%s=%s", tag, audit_safe(run, uri));
			continue;
		}
		if (memchr(uri.data, '!', uri.len) != NULL) {
			audit_find(run, "dmarc.report_size", record, "%s=%s", tag, audit_safe(run, uri));
		}
		if (!audit_takes_mail(run, "dmarc.dns", destination)) {
			audit_find(run, "dmarc.report_no_mx", record, "%s=%s", tag, audit_safe(run, uri));
		} else if (!domain_is_below(destination, org)) {
			check_external(run, owner, org, destination);
		}
	}
}

/* ---- policy ---- */

static void check_policy(struct audit_run *run, const struct dmarc_record *record, enum dmarc_policy policy)
{
	const char *stronger = next_record(run, record, next_policy(record));
	if (policy == DMARC_POLICY_NONE) {
		audit_find(run, record->rua.len == 0 ? "dmarc.unwatched" : "dmarc.policy_none", stronger, "p=none");
	} else if (policy == DMARC_POLICY_QUARANTINE) {
		audit_find(run, "dmarc.quarantine", next_record(run, record, DMARC_POLICY_REJECT), "p=quarantine");
	}
	if (policy != DMARC_POLICY_NONE && record->rua.len == 0 && !run->audit->null_mx) {
		audit_find(run, "dmarc.no_reports", stronger, "no rua=");
	}
}

static void check_below(struct audit_run *run, const struct dmarc_record *record)
{
	const char *same = next_record(run, record, record->p);
	if (record->has_sp && record->sp < record->p) {
		audit_find(run, "dmarc.subdomains_weak", same, "p=%s, but sp=%s", dmarc_policy_name(record->p), dmarc_policy_name(record->sp));
	}
	if (record->has_np && record->np < record->p) {
		audit_find(run, "dmarc.nonexistent_weak", same, "p=%s, but np=%s", dmarc_policy_name(record->p), dmarc_policy_name(record->np));
	}
	if (record->testing) {
		audit_find(run, "dmarc.testing", same, "t=y");
	}
	if (record->psd == DMARC_PSD_YES && domain_labels(run->domain) > 1) {
		audit_find(run, "dmarc.psd", same, "psd=y");
	}
}

static void check_record(struct audit_run *run, const struct dmarc_walk *walk, const struct dmarc_step *step, bool own)
{
	const struct dmarc_record *record = &step->record;
	struct audit *audit = run->audit;
	struct taglist list;
	enum dmarc_policy policy = own ? record->p : record->sp;
	const char *repaired = next_record(run, record, record->p);
	taglist_parse(record->text, &list);
	audit->dmarc_found = true;
	audit->dmarc = *record;
	audit->dmarc.p = policy;
	audit->dmarc_enforced = record->usable && policy != DMARC_POLICY_NONE && record->sp != DMARC_POLICY_NONE && !record->testing;
	audit_line(run, AUDIT_DMARC, "%s: %s", step->domain, audit_safe(run, record->text));
	audit_line(run, AUDIT_DMARC, "policy %s%s, of the organisation %s", dmarc_policy_name(policy),
	           own ? "" : " (inherited)", walk->org_domain);
	if (own) {
		check_tags(run, &list, repaired);
		check_below(run, record);
	}
	check_policy(run, record, policy);
	check_reports(run, step->domain, walk->org_domain, "rua", record->rua, repaired);
	check_reports(run, step->domain, walk->org_domain, "ruf", record->ruf, repaired);
}

/* At the domain itself: several records, or texts that only look like one. */
static void check_own(struct audit_run *run)
{
	const char *name = arena_printf(run->arena, "_dmarc.%s", run->domain);
	/* That it is pending, or failed, the walk tells. */
	const struct dns_answer *answer = lookups_get(run->lookups, name, DNS_TYPE_TXT);
	struct dmarc_record record;
	size_t found = 0;
	for (size_t i = 0; answer != NULL && i < answer->count; i++) {
		if (dmarc_record_parse(answer->records[i].data, &record)) {
			found++;
		} else if (slice_starts_nocase(slice_trim(answer->records[i].data), SLICE_LITERAL("v=dmarc")) ||
		           slice_starts_nocase(slice_trim(answer->records[i].data), SLICE_LITERAL("p="))) {
			audit_find(run, "dmarc.not_record", first_record(run), "\"%s\"", audit_safe(run, answer->records[i].data));
		}
	}
	if (found > 1) {
		audit_find(run, "dmarc.many_records", first_record(run), "%zu records at %s", found, name);
	}
}

void audit_dmarc(struct audit_run *run)
{
	struct dmarc_memo memo = {NULL};
	struct dmarc_walk walk;
	check_own(run);
	if (!dmarc_walk(run->arena, run->lookups, &memo, run->domain, &walk)) {
		run->pending = true;
		return;
	}
	if (walk.problem != NULL) {
		audit_find(run, "dmarc.dns", NULL, "%s", walk.problem);
		return;
	}
	run->audit->dmarc_known = true;
	/* The domain's own record, else the one of its organisation (RFC 9989 4.10.1). */
	for (size_t i = 0; i < walk.count; i++) {
		const struct dmarc_step *step = &walk.steps[i];
		if (step->found && (i == 0 || strcmp(step->domain, walk.org_domain) == 0 || step->record.psd == DMARC_PSD_YES)) {
			check_record(run, &walk, step, i == 0);
			return;
		}
	}
	if (run->audit->parts[AUDIT_DMARC].grade == 'A') {
		audit_find(run, "dmarc.none", first_record(run), "no record at _dmarc.%s or above", run->domain);
	}
}
