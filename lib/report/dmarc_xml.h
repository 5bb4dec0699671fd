/* dmarc_xml: a DMARC aggregate report (RFC 9990 3.1, appendix A), a piece at a time. */
#ifndef MAILREEVE_REPORT_DMARC_XML_H
#define MAILREEVE_REPORT_DMARC_XML_H

#include "lib/auth/dmarc.h"

struct dmarc_xml_report {
	const char *org_name, *email;
	const char *contact; /* extra_contact_info, NULL: none */
	const char *report_id;
	uint64_t begin, end;  /* epoch seconds, both included */
	const char *domain;   /* where the record was found */
	struct slice record;  /* as it was published */
	const char *generator;
};

/* Up to the first record. */
void dmarc_xml_begin(struct strbuf *out, const struct dmarc_xml_report *report);
void dmarc_xml_end(struct strbuf *out);

struct dmarc_xml_dkim {
	const char *domain, *selector;
	enum auth_result result;
	const char *problem; /* NULL: nothing to say */
};

/* What a message has in common with all others of its row. */
struct dmarc_xml_row {
	const struct ip *source;
	const struct dmarc_verdict *dmarc;
	const char *envelope_from; /* RFC5321.MailFrom domain, "" for the null path */
	const char *envelope_to;   /* recipient domain, or NULL */
	const struct spf_verdict *spf; /* of MAIL FROM; NULL: not checked */
	const struct dmarc_xml_dkim *dkim;
	size_t dkim_count;
};

/* A record without its count: what stands before it and behind it. The same bytes for messages of the same row. */
void dmarc_xml_row(struct strbuf *before, struct strbuf *after, const struct dmarc_xml_row *row);
void dmarc_xml_add(struct strbuf *out, struct slice before, uint64_t count, struct slice after);

#endif
