#include "lib/report/dmarc_xml.h"

#include "lib/auth/dmarc_record.h"
#include "lib/mail/taglist.h"
#include "lib/report/xml.h"

enum { PROBLEM_MAX = 200 };

static void add_number(struct strbuf *out, int indent, const char *name, uint64_t number)
{
	strbuf_printf(out, "%*s<%s>%llu</%s>\n", indent, "", name, (unsigned long long)number, name);
}

static void add_metadata(struct strbuf *out, const struct dmarc_xml_report *report)
{
	strbuf_add_text(out, "  <report_metadata>\n");
	xml_add_element(out, 4, "org_name", report->org_name);
	xml_add_element(out, 4, "email", report->email);
	xml_add_element(out, 4, "extra_contact_info", report->contact);
	xml_add_element(out, 4, "report_id", report->report_id);
	strbuf_add_text(out, "    <date_range>\n");
	add_number(out, 6, "begin", report->begin);
	add_number(out, 6, "end", report->end);
	strbuf_add_text(out, "    </date_range>\n");
	xml_add_element(out, 4, "generator", report->generator);
	strbuf_add_text(out, "  </report_metadata>\n");
}

/* The failure options as published (RFC 9989 4.7); "0" where there are none. */
static const char *failure_options(struct arena *arena, struct slice record)
{
	struct taglist list;
	taglist_parse(record, &list);
	const struct tag *tag = taglist_find(&list, "fo");
	return tag == NULL || tag->value.len == 0 ? "0" : slice_dup(arena, tag_compact(arena, tag->value));
}

static void add_policy(struct strbuf *out, const struct dmarc_xml_report *report)
{
	struct dmarc_record record;
	strbuf_add_text(out, "  <policy_published>\n");
	xml_add_element(out, 4, "domain", report->domain);
	if (!dmarc_record_parse(report->record, &record)) {
		record = (struct dmarc_record){.p = DMARC_POLICY_NONE};
	}
	xml_add_element(out, 4, "p", dmarc_policy_name(record.p));
	xml_add_element(out, 4, "sp", dmarc_policy_name(record.sp));
	xml_add_element(out, 4, "np", dmarc_policy_name(record.np));
	xml_add_element(out, 4, "adkim", record.adkim_strict ? "s" : "r");
	xml_add_element(out, 4, "aspf", record.aspf_strict ? "s" : "r");
	xml_add_element(out, 4, "discovery_method", "treewalk");
	xml_add_element(out, 4, "fo", failure_options(out->arena, report->record));
	xml_add_element(out, 4, "testing", record.testing ? "y" : "n");
	strbuf_add_text(out, "  </policy_published>\n");
}

void dmarc_xml_begin(struct strbuf *out, const struct dmarc_xml_report *report)
{
	strbuf_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	                     "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n"
	                     "  <version>1.0</version>\n");
	add_metadata(out, report);
	add_policy(out, report);
}

void dmarc_xml_end(struct strbuf *out)
{
	strbuf_add_text(out, "</feedback>\n");
}

/* "pass": no action was taken as the message passed a policy that would have asked for one. */
static const char *disposition(const struct dmarc_verdict *dmarc)
{
	return dmarc->result == AUTH_PASS && dmarc->policy != DMARC_POLICY_NONE ? "pass"
	                                                                        : dmarc_policy_name(dmarc->disposition);
}

static void add_evaluated(struct strbuf *out, const struct dmarc_verdict *dmarc)
{
	strbuf_add_text(out, "      <policy_evaluated>\n");
	xml_add_element(out, 8, "disposition", disposition(dmarc));
	xml_add_element(out, 8, "dkim", dmarc->dkim_alignment == DMARC_NOT_ALIGNED ? "fail" : "pass");
	xml_add_element(out, 8, "spf", dmarc->spf_alignment == DMARC_NOT_ALIGNED ? "fail" : "pass");
	if (dmarc->override.type != DMARC_OVERRIDE_NONE) {
		strbuf_add_text(out, "        <reason>\n");
		xml_add_element(out, 10, "type", dmarc_override_name(dmarc->override.type));
		xml_add_element(out, 10, "comment", dmarc->override.comment);
		strbuf_add_text(out, "        </reason>\n");
	}
	strbuf_add_text(out, "      </policy_evaluated>\n");
}

/* A word of what went wrong, bounded; none where there is none. */
static void add_problem(struct strbuf *out, const char *problem)
{
	if (problem != NULL) {
		xml_add_element(out, 8, "human_result", text_escape(out->arena, slice_from(problem), "", true, PROBLEM_MAX));
	}
}

static void add_results(struct strbuf *out, const struct dmarc_xml_row *row)
{
	strbuf_add_text(out, "    <auth_results>\n");
	for (size_t i = 0; i < row->dkim_count; i++) {
		const struct dmarc_xml_dkim *dkim = &row->dkim[i];
		strbuf_add_text(out, "      <dkim>\n");
		xml_add_element(out, 8, "domain", dkim->domain);
		xml_add_element(out, 8, "selector", dkim->selector);
		xml_add_element(out, 8, "result", auth_result_name(dkim->result));
		add_problem(out, dkim->problem);
		strbuf_add_text(out, "      </dkim>\n");
	}
	if (row->spf != NULL) {
		strbuf_add_text(out, "      <spf>\n");
		xml_add_element(out, 8, "domain", row->spf->domain);
		xml_add_element(out, 8, "scope", row->spf->scope == SPF_SCOPE_MFROM ? "mfrom" : NULL);
		xml_add_element(out, 8, "result", auth_result_name(row->spf->result));
		add_problem(out, row->spf->problem);
		strbuf_add_text(out, "      </spf>\n");
	}
	strbuf_add_text(out, "    </auth_results>\n");
}

void dmarc_xml_row(struct strbuf *before, struct strbuf *after, const struct dmarc_xml_row *row)
{
	char source[IP_TEXT_SIZE];
	ip_format(row->source, source);
	strbuf_add_text(before, "  <record>\n    <row>\n");
	xml_add_element(before, 6, "source_ip", source);
	add_evaluated(after, row->dmarc);
	strbuf_add_text(after, "    </row>\n    <identifiers>\n");
	xml_add_element(after, 6, "header_from", row->dmarc->domain);
	xml_add_element(after, 6, "envelope_from", row->envelope_from);
	xml_add_element(after, 6, "envelope_to", row->envelope_to);
	strbuf_add_text(after, "    </identifiers>\n");
	add_results(after, row);
	strbuf_add_text(after, "  </record>\n");
}

void dmarc_xml_add(struct strbuf *out, struct slice before, uint64_t count, struct slice after)
{
	strbuf_add_slice(out, before);
	add_number(out, 6, "count", count);
	strbuf_add_slice(out, after);
}
