/* sts_policy: the policy file of MTA-STS (RFC 8461 3.2). */
#ifndef MAILREEVE_AUDIT_STS_POLICY_H
#define MAILREEVE_AUDIT_STS_POLICY_H

#include "lib/base/slice.h"

#include <stdint.h>

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };
enum { STS_MX_MAX = 64, STS_AGE_MAX = 31557600 };

struct sts_policy {
	enum sts_mode mode;
	uint64_t max_age; /* seconds */
	size_t mx_count;
	struct slice mx[STS_MX_MAX]; /* patterns, into the text */
};

/* False: it is in error, and *problem_r says why (static). Lines end in LF or CRLF; fields that are not known are passed
 * over; of one that stands twice the first counts, but for mx. */
bool sts_policy_parse(struct slice text, struct sts_policy *policy_r, const char **problem_r);

/* Does the pattern, "mail.example.com" or "*.example.com" (exactly one label, RFC 8461 4.1), name the host? */
bool sts_mx_matches(struct slice pattern, struct slice host);

#endif
