/* dmarc_reports: DMARC aggregate reports about the mail of others (RFC 9990), from the rows in the store to a message in
 * the hands of the MTA. */
#ifndef MAILREEVE_REPORT_DMARC_REPORTS_H
#define MAILREEVE_REPORT_DMARC_REPORTS_H

#include "lib/dns/dns.h"
#include "lib/policy/option.h"
#include "lib/store/dmarc_rows.h"

enum { DMARC_DAY = 86400 };

struct dmarc_uri;

enum dmarc_failure_level { DMARC_FAILURE_OFF, DMARC_FAILURE_REDACTED, DMARC_FAILURE_SUBJECT };

/* dmarc_reports { } */
struct dmarc_reports_options {
	const char *email;    /* whom the reports come from; "": none are made */
	const char *org_name; /* "": the domain of email */
	const char *contact;  /* "": none */
	const char *relay;    /* "smtp:127.0.0.1:25" */
	uint64_t spread;      /* 6h: reports of a day are sent over that time behind its end */
	uint64_t rows_max;    /* 10000: in one report */
	uint64_t keep;        /* 7d */
	int failure;          /* enum dmarc_failure_level */
	uint64_t failure_max; /* 50: of a domain and day */
};
extern const struct section dmarc_reports_section;

/* What a report is made from and sent by. */
struct dmarc_reporter {
	const struct dmarc_reports_options *options;
	const char *submitter; /* our name */
	struct store *store;
	struct dns *dns;
	uint64_t now; /* epoch seconds */
};

/* RFC 9990 4: is the address of the domain's own organisation, or does its domain say that it takes reports about this one? */
enum dmarc_willing { DMARC_WILLING, DMARC_UNWILLING, DMARC_WILLING_UNKNOWN };
enum dmarc_willing dmarc_reports_willing(struct arena *arena, struct lookups *lookups, const char *domain,
                                         const struct dmarc_uri *uri);

/* When the report of that day to that domain is to be sent: some time after the day's end, always the same. */
int64_t dmarc_reports_due(const struct dmarc_reports_options *options, int64_t day, const char *domain);

/* The XML of a report, in arena; empty when there are no rows. False: the store has no answer. */
bool dmarc_reports_xml(const struct dmarc_reporter *reporter, struct arena *arena,
                       const struct dmarc_rows_report *report, struct slice *xml_r);

/* Sends a report to all addresses that its domain wants it sent to, that are willing (RFC 9990 4) and have not had it yet; tries
 * again later what fails for a time. Logs what became of it. */
enum dmarc_report_state dmarc_reports_send(const struct dmarc_reporter *reporter,
                                           const struct dmarc_rows_report *report);

/* Takes the next report that is due, and sends it. *more_r: there was one. */
enum store_result dmarc_reports_step(const struct dmarc_reporter *reporter, bool *more_r);

#endif
