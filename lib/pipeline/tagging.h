/* tagging: the header fields that tell filters and people behind us what was found: the section headers { }.
 *
 * Fields X-Mailreeve-* that came with a message are always removed. Of the X-Spam-* fields of older filters, those that
 * are switched on are removed from inbound mail, and written anew. */
#ifndef MAILREEVE_PIPELINE_TAGGING_H
#define MAILREEVE_PIPELINE_TAGGING_H

#include "lib/pipeline/session.h"

struct tagging_settings {
	bool verdict;     /* X-Mailreeve-Verdict: tag; id=...; finding=... where the verdict is tag or quarantine */
	bool score;       /* X-Mailreeve-Score: 7.5 (spf.softfail=2.5, ...) */
	bool spam_flag;   /* X-Spam-Flag: YES */
	bool spam_status; /* X-Spam-Status: Yes, score=7.5 required=5.0 tests=... */
	bool spam_score;  /* X-Spam-Score: 7.5 */
	bool spam_level;  /* X-Spam-Level: ******* */
};

extern const struct section tagging_section;

/* The edits for session->verdict, in front of those that stages have made, so that Authentication-Results ends on top. */
void tagging_apply(struct session *session);

#endif
