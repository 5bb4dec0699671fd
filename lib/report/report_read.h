/* report_read: reports that others send us: DMARC aggregate reports (RFC 9990, RFC 7489 appendix C) and SMTP TLS reports (RFC
 * 8460), as JSON of our own. Reads bytes of strangers: called in a process that has nothing to lose (ctl/report_import.c). */
#ifndef MAILREEVE_REPORT_REPORT_READ_H
#define MAILREEVE_REPORT_REPORT_READ_H

#include "lib/base/slice.h"

#include <jansson.h>
#include <stdint.h>

enum {
	REPORT_XML_DEPTH = 32,
	REPORT_ROWS_MAX = 100000, /* of one report; more are left out, and "truncated" says so */
	REPORT_TEXT_MAX = 512     /* bytes of one value; longer ones are cut */
};

/* An aggregate report:
 *   {"kind": "dmarc", "org": , "email": , "id": , "begin": , "end": , "domain": , "policy": , "truncated": bool,
 *    "rows": [{"source": , "count": , "disposition": , "dkim": "pass", "spf": "fail", "header_from": , "envelope_from": ,
 *              "dkim_domains": "example.org,...", "spf_domain": , "spf_result": }, ...]}
 * NULL: it is none; *problem_r says why, static. */
json_t *report_read_dmarc(struct slice xml, const char **problem_r);

/* A TLS report:
 *   {"kind": "tls", "org": , "id": , "begin": , "end": , "domain": , "rows": [{"policy": "sts", "mx": , "success": ,
 *    "failure": , "details": "certificate-expired (3), ..."}]}; "domain" is that of the first policy. */
json_t *report_read_tls(struct slice json, const char **problem_r);

#endif
