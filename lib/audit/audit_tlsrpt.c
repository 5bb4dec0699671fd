/* TLS-RPT: where reports of failures of TLS go (RFC 8460 3). */
#include "lib/audit/audit_private.h"

enum { URIS_MAX = 10 };

static void check_uri(struct audit_run *run, struct slice uri, const char *record)
{
	const char *destination = audit_mailto_domain(run, uri);
	if (destination != NULL) {
		if (!audit_takes_mail(run, "tlsrpt.dns", destination)) {
			audit_find(run, "tlsrpt.report_no_mx", record, "rua=%s", audit_safe(run, uri));
		}
	} else if (!slice_starts_nocase(uri, SLICE_LITERAL("https://")) || uri.len < 10) {
		audit_find(run, "tlsrpt.uri", record, "rua=%s", audit_safe(run, uri));
	}
}

static void check_record(struct audit_run *run, struct slice text, const char *record)
{
	struct taglist list;
	struct slice uri;
	size_t count = 0;
	taglist_parse(text, &list);
	const struct tag *rua = taglist_find(&list, "rua");
	audit_line(run, AUDIT_TLSRPT, "%s", audit_safe(run, text));
	if (list.malformed || list.duplicate || list.truncated || rua == NULL || rua->value.len == 0) {
		audit_find(run, "tlsrpt.syntax", record, "\"%s\"", audit_safe(run, text));
		return;
	}
	struct slice rest = rua->value;
	while (slice_split(&rest, ',', &uri) && count++ < URIS_MAX) {
		check_uri(run, slice_trim(uri), record);
	}
}

void audit_tlsrpt(struct audit_run *run)
{
	const char *name = arena_printf(run->arena, "_smtp._tls.%s", run->domain);
	const char *record =
	    audit_txt_record(run, name, arena_printf(run->arena, "v=TLSRPTv1; rua=mailto:tls-reports@%s", run->domain));
	struct slice text;
	const struct dns_answer *answer = audit_ask(run, "tlsrpt.dns", name, DNS_TYPE_TXT);
	if (answer == NULL) {
		return;
	}
	if (run->audit->host_count == 0) {
		audit_skip(run, AUDIT_TLSRPT, "the domain takes no mail");
		return;
	}
	size_t count = audit_select(answer, "TLSRPTv1", &text);
	if (count == 0) {
		audit_find(run, "tlsrpt.none", record, "no record at %s", name);
		return;
	}
	if (count > 1) {
		audit_find(run, "tlsrpt.many_records", record, "%zu records", count);
	}
	check_record(run, text, record);
}
