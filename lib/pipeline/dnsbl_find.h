/* dnsbl_find: from answers to findings. For stage_dnsbl.c. */
#ifndef MAILREEVE_PIPELINE_DNSBL_FIND_H
#define MAILREEVE_PIPELINE_DNSBL_FIND_H

#include "lib/pipeline/stage_dnsbl.h"

extern const struct finding_code dnsbl_codes[];

/* What lists of clients say of the client. Once for a transaction. */
void dnsbl_find_client(struct session *session, const struct dnsbl_settings *settings);
/* All else: domains, links, rules, lists that failed. */
void dnsbl_find_message(struct session *session, const struct dnsbl_settings *settings);

#endif
