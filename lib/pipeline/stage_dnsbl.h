/* stage_dnsbl: what other parts ask of it. */
#ifndef MAILREEVE_PIPELINE_STAGE_DNSBL_H
#define MAILREEVE_PIPELINE_STAGE_DNSBL_H

#include "lib/dnsbl/dnsbl.h"
#include "lib/pipeline/session.h"

struct dnsbl_settings {
	const char *const *list_texts, *const *rule_texts;
	uint64_t timeout;
	uint64_t links_max;
	bool at_rcpt;
	bool outbound;
	uint64_t test_interval, test_retry;
	struct dnsbl_lists lists; /* of these texts */
};

/* Does a list want to know where the links of this message lead? */
bool dnsbl_wants_links(const struct session *session);

/* "3 questions to 2 lists: spamcop lists 192.0.2.1", for explain. */
const char *dnsbl_summary(struct session *session);

#endif
