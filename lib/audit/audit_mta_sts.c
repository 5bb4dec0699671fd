/* MTA-STS: the record, and the policy where it was fetched (RFC 8461). */
#include "lib/audit/audit_contact.h"
#include "lib/audit/audit_private.h"
#include "lib/audit/sts_policy.h"

enum { ID_MAX = 32, AGE_LEAST = 86400 };

static const char *txt_record(struct audit_run *run)
{
	return audit_txt_record(run, arena_printf(run->arena, "_mta-sts.%s", run->domain),
	                        arena_printf(run->arena, "v=STSv1; id=%llu", (unsigned long long)run->request->now));
}

/* The lines of a policy that names the domain's servers. */
static const char *policy_text(struct audit_run *run, const char *mode)
{
	struct strbuf text;
	strbuf_init(&text, run->arena);
	strbuf_printf(&text, "https://mta-sts.%s/.well-known/mta-sts.txt: version: STSv1 / mode: %s", run->domain, mode);
	for (size_t i = 0; i < run->audit->host_count; i++) {
		strbuf_printf(&text, " / mx: %s", audit_safe(run, slice_from(run->audit->hosts[i].name)));
	}
	strbuf_add_text(&text, " / max_age: 2592000 (each on a line of its own)");
	return text.data;
}

/* 1 to 32 letters and digits (3.1). */
static bool is_id(struct slice id)
{
	for (size_t i = 0; i < id.len; i++) {
		if (!ascii_is_alpha(id.data[i]) && !ascii_is_digit(id.data[i])) {
			return false;
		}
	}
	return id.len > 0 && id.len <= ID_MAX;
}

static void check_record(struct audit_run *run, struct slice text)
{
	struct taglist list;
	taglist_parse(text, &list);
	const struct tag *id = taglist_find(&list, "id");
	if (list.malformed || list.duplicate || list.truncated || id == NULL || !is_id(id->value)) {
		audit_find(run, "sts.syntax", txt_record(run), "\"%s\"", audit_safe(run, text));
	}
	audit_line(run, AUDIT_MTA_STS, "%s", audit_safe(run, text));
}

static void check_host(struct audit_run *run)
{
	struct audit *audit = run->audit;
	const char *host = arena_printf(run->arena, "mta-sts.%s", run->domain);
	bool secure;
	if (audit_addresses(run, "sts.dns", host, audit->policy_addresses, &audit->policy_address_count, &secure) &&
	    audit->policy_address_count == 0) {
		audit_find(run, "sts.no_host", NULL, "%s has no address", host);
	}
}

static void check_servers(struct audit_run *run, const struct sts_policy *policy)
{
	const struct audit *audit = run->audit;
	for (size_t i = 0; i < audit->host_count; i++) {
		bool named = false;
		for (size_t k = 0; k < policy->mx_count; k++) {
			named = named || sts_mx_matches(policy->mx[k], slice_from(audit->hosts[i].name));
		}
		if (!named) {
			audit_find(run, "sts.mx_missing", policy_text(run, "enforce"), "%s", audit_safe(run, slice_from(audit->hosts[i].name)));
		}
	}
	for (size_t k = 0; k < policy->mx_count; k++) {
		bool used = false;
		for (size_t i = 0; i < audit->host_count; i++) {
			used = used || sts_mx_matches(policy->mx[k], slice_from(audit->hosts[i].name));
		}
		if (!used) {
			audit_find(run, "sts.mx_unused", NULL, "mx: %s", audit_safe(run, policy->mx[k]));
		}
	}
}

static void check_policy(struct audit_run *run, const struct audit_contact *contact)
{
	struct sts_policy policy;
	const char *problem;
	if (!contact->policy_is_text) {
		audit_find(run, "sts.content_type", NULL, "not text/plain");
	}
	if (!sts_policy_parse(contact->policy, &policy, &problem)) {
		audit_find(run, "sts.policy_syntax", policy_text(run, "testing"), "%s", problem);
		return;
	}
	switch (policy.mode) {
	case STS_MODE_NONE:
		audit_find(run, "sts.mode_none", policy_text(run, "testing"), "mode: none");
		return;
	case STS_MODE_TESTING:
		audit_find(run, "sts.mode_testing", policy_text(run, "enforce"), "mode: testing");
		break;
	case STS_MODE_ENFORCE:
		audit_line(run, AUDIT_MTA_STS, "mode enforce, %llu days", (unsigned long long)policy.max_age / 86400);
		break;
	}
	if (policy.max_age < AGE_LEAST) {
		audit_find(run, "sts.max_age", NULL, "max_age: %llu", (unsigned long long)policy.max_age);
	}
	check_servers(run, &policy);
}

static void check_contact(struct audit_run *run)
{
	const struct audit_contact *contact = run->request->contact;
	if (contact == NULL) {
		audit_line(run, AUDIT_MTA_STS, "the policy was not fetched");
		return;
	}
	switch (contact->policy_state) {
	case AUDIT_POLICY_NOT_ASKED:
		break;
	case AUDIT_POLICY_UNREACHABLE:
		audit_find(run, "sts.unreachable", NULL, "%s", contact->policy_problem);
		break;
	case AUDIT_POLICY_CERTIFICATE:
		audit_find(run, "sts.certificate", NULL, "%s", contact->policy_problem);
		break;
	case AUDIT_POLICY_STATUS:
		audit_find(run, "sts.status", NULL, "HTTP status %ld", contact->policy_status);
		break;
	case AUDIT_POLICY_TOO_LONG:
		audit_find(run, "sts.too_long", NULL, "more than %d bytes", (int)AUDIT_POLICY_MAX);
		break;
	case AUDIT_POLICY_FETCHED:
		check_policy(run, contact);
		break;
	}
}

void audit_mta_sts(struct audit_run *run)
{
	struct slice text;
	const struct dns_answer *answer =
	    audit_ask(run, "sts.dns", arena_printf(run->arena, "_mta-sts.%s", run->domain), DNS_TYPE_TXT);
	if (answer == NULL) {
		return;
	}
	if (run->audit->host_count == 0) {
		audit_skip(run, AUDIT_MTA_STS, "the domain takes no mail");
		return;
	}
	size_t count = audit_select(answer, "STSv1", &text);
	if (count == 0) {
		audit_find(run, "sts.none", txt_record(run), "no record at _mta-sts.%s", run->domain);
		audit_line(run, AUDIT_MTA_STS, "with it: %s", policy_text(run, "testing"));
		return;
	}
	run->audit->sts_published = true;
	if (count > 1) {
		audit_find(run, "sts.many_records", txt_record(run), "%zu records", count);
	}
	check_record(run, text);
	check_host(run);
	check_contact(run);
}
