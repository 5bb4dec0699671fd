/* BIMI: the logo beside the mail (draft-brand-indicators-for-message-identification). */
#include "lib/audit/audit_private.h"

static bool is_https(struct slice uri)
{
	return slice_starts_nocase(uri, SLICE_LITERAL("https://")) && uri.len > 10;
}

static void check_record(struct audit_run *run, struct slice text)
{
	struct taglist list;
	taglist_parse(text, &list);
	const struct tag *logo = taglist_find(&list, "l");
	const struct tag *evidence = taglist_find(&list, "a");
	audit_line(run, AUDIT_BIMI, "%s", audit_safe(run, text));
	if (list.malformed || list.duplicate || list.truncated || logo == NULL) {
		audit_find(run, "bimi.syntax", NULL, "\"%s\"", audit_safe(run, text));
		return;
	}
	if (logo->value.len == 0 && (evidence == NULL || evidence->value.len == 0)) {
		audit_line(run, AUDIT_BIMI, "the domain declines to show a logo");
		return;
	}
	if (!is_https(logo->value) || !slice_ends_nocase(logo->value, SLICE_LITERAL(".svg"))) {
		audit_find(run, "bimi.logo", NULL, "l=%s", audit_safe(run, logo->value));
	}
	if (evidence == NULL || evidence->value.len == 0) {
		audit_find(run, "bimi.no_evidence", NULL, "no a=");
	} else if (!is_https(evidence->value)) {
		audit_find(run, "bimi.evidence", NULL, "a=%s", audit_safe(run, evidence->value));
	}
	if (run->audit->dmarc_known && !run->audit->dmarc_enforced) {
		audit_find(run, "bimi.dmarc", NULL, "DMARC is not enforced");
	}
}

void audit_bimi(struct audit_run *run)
{
	struct slice text;
	const struct dns_answer *answer =
	    audit_ask(run, "bimi.dns", arena_printf(run->arena, "default._bimi.%s", run->domain), DNS_TYPE_TXT);
	if (answer == NULL) {
		return;
	}
	size_t count = audit_select(answer, "BIMI1", &text);
	if (count == 0) {
		audit_skip(run, AUDIT_BIMI, "no record; none is needed");
		return;
	}
	if (count > 1) {
		audit_find(run, "bimi.many_records", NULL, "%zu records", count);
	}
	check_record(run, text);
}
