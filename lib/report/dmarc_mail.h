/* dmarc_mail: an aggregate report as a message (RFC 9990 3.4). */
#ifndef MAILREEVE_REPORT_DMARC_MAIL_H
#define MAILREEVE_REPORT_DMARC_MAIL_H

#include "lib/base/slice.h"

#include <stdint.h>

struct dmarc_mail {
	const char *org_name;  /* any text */
	const char *from, *to; /* local@domain */
	const char *submitter; /* domain of who reports */
	const char *domain;    /* whose report it is */
	const char *report_id; /* letters, digits, dots and dashes */
	uint64_t begin, end;   /* epoch seconds */
	uint64_t now;          /* for Date */
	struct slice xml;
};

/* The whole message, lines ended by CRLF, in arena. size_r: bytes of the compressed report. */
struct slice dmarc_mail_compose(struct arena *arena, const struct dmarc_mail *mail, size_t *size_r);

#endif
