/* audit: how the audit of a domain is shown. */
#ifndef MAILREEVE_CTL_AUDIT_H
#define MAILREEVE_CTL_AUDIT_H

#include "lib/audit/audit.h"

#include <stdio.h>

struct audit_view {
	const struct audit *audit;
	struct arena *arena;
	uint64_t now;    /* epoch seconds */
	bool plan;       /* the fix plan alone */
	bool connected;  /* servers were asked */
};

/* For people, at a terminal or not: its width, and colours where it has them. */
void audit_table(const struct audit_view *view, FILE *out);
/* One object on one line; mailreeve(1) lists the keys. */
void audit_json(const struct audit_view *view, FILE *out);
/* A page that needs nothing else. */
void audit_html(const struct audit_view *view, FILE *out);

/* "2 faults, 1 warning, no notes" */
const char *audit_counts(const struct audit_view *view);

#endif
