/* received_reports: aggregate and TLS reports that others sent us, as report/report_read.h reads them. */
#ifndef MAILREEVE_STORE_RECEIVED_REPORTS_H
#define MAILREEVE_STORE_RECEIVED_REPORTS_H

#include "lib/store/store.h"

/* NULL strings are "". Borrowed. */
struct received_report {
	const char *kind; /* "dmarc" or "tls" */
	const char *org, *report_id;
	const char *domain;
	const char *policy; /* p= as the reporter saw it */
	int64_t begin, end; /* epoch seconds */
};
struct received_row {
	/* dmarc */
	const char *source, *disposition, *dkim, *spf; /* "pass" or "fail": aligned */
	const char *header_from, *dkim_domains, *spf_domain;
	int64_t messages;
	/* tls */
	const char *mx, *details;
	int64_t success, failure; /* sessions */
};

/* Rows first, the report last: one that was cut off is done again. *known_r: it was there before, and nothing was done. */
enum store_result received_report_add(struct store *store, const struct received_report *report,
                                      const struct received_row *rows, size_t count, int64_t now, bool *known_r);

/* What was sent in a domain's name since then, by source: most messages first, `limit` at most (0: all). */
struct received_source {
	const char *source, *dkim_domains, *spf_domain; /* of the latter two one of several */
	int64_t messages, pass, dkim_pass, spf_pass;    /* pass: DMARC's */
};
typedef bool received_source_visitor(void *context, const struct received_source *source);
enum store_result received_sources(struct store *store, const char *domain, int64_t since, int64_t limit,
                                   received_source_visitor *visit, void *context);

struct received_totals {
	int64_t reports, messages, pass, stopped; /* stopped: what receivers quarantined or rejected */
	int64_t tls_reports, tls_success, tls_failure;
};
enum store_result received_totals(struct store *store, const char *domain, int64_t since,
                                  struct received_totals *totals_r);

/* Failures of TLS, by what receivers say of them. */
typedef bool received_tls_visitor(void *context, const char *org, const char *mx, const char *details, int64_t failure);
enum store_result received_tls(struct store *store, const char *domain, int64_t since, int64_t limit,
                               received_tls_visitor *visit, void *context);

#endif
