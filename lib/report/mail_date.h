/* mail_date: RFC 5322 3.3, in UTC. */
#ifndef MAILREEVE_REPORT_MAIL_DATE_H
#define MAILREEVE_REPORT_MAIL_DATE_H

#include "lib/base/slice.h"

#include <stdint.h>

/* "Tue, 24 Nov 2026 12:00:00 +0000". Names of days and months are English whatever the locale. */
void mail_date_add(struct strbuf *out, uint64_t epoch_seconds);

#endif
