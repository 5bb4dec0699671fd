/* report: what the reports share. */
#ifndef MAILREEVE_CTL_REPORT_H
#define MAILREEVE_CTL_REPORT_H

#include "ctl/history.h"

struct report {
	const char *config, *stage, *domain; /* as asked for; NULL: not given */
	bool json;
	struct history_period period;
	struct history_access history;
	struct arena *arena; /* until the report is printed */
};

/* Each prints its report; false with a message on standard error when the store cannot be read. */
bool report_would(struct report *report);
bool report_direct(struct report *report);
bool report_tls(struct report *report);
bool report_summary(struct report *report);
bool report_of_domain(struct report *report); /* a domain is needed */

/* A list of texts with counts, as history_text_visitor() gives them. */
struct report_count {
	const char *text;
	int64_t count;
};
struct report_counts {
	struct arena *arena;
	struct report_count *items;
	size_t count;
	int64_t total;
};
void report_counts_add(void *context, const char *text, int64_t count);
/* [{"KEY": text, "messages": count}, ...] */
json_t *report_counts_json(const struct report_counts *counts, const char *key);
/* "a (12), b (3)"; "" becomes `empty`. */
const char *report_counts_text(struct report *report, const struct report_counts *counts, const char *empty);

/* An object with since and until. */
json_t *report_json_begin(const struct report *report);
void report_json_print(json_t *object); /* takes the reference */
/* "2026-11-18 01:12:00 to now" */
const char *report_period_text(struct report *report);
/* "12.5 %"; "-" of nothing */
const char *report_share(struct report *report, int64_t part, int64_t whole);
/* Messages of the period, all and inbound. */
bool report_totals(struct report *report, int64_t *all_r, int64_t *inbound_r);

/* mailreeve report dmarc, with options of its own; argv[0] is "dmarc". The exit status. */
int report_dmarc(int argc, char **argv);
int report_import(int argc, char **argv); /* likewise */

#endif
