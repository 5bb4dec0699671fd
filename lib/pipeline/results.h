/* results: what the stages found out, as JSON: for `mailreeve explain` and for the history. Keys and values are told in
 * mailreeve(1). */
#ifndef MAILREEVE_PIPELINE_RESULTS_H
#define MAILREEVE_PIPELINE_RESULTS_H

#include "lib/pipeline/session.h"

#include <jansson.h>

/* JSON is UTF-8; bytes of a message need not be: then they are shown escaped. NULL is null. */
json_t *results_text(struct session *session, const char *text);
json_t *results_spf(struct session *session, const struct spf_verdict *spf);
json_t *results_dkim(struct session *session);
json_t *results_arc(struct session *session);
json_t *results_dmarc(struct session *session);
json_t *results_signed(struct session *session); /* signatures of our own */

/* All of them in one line, those only that say something, and "stages": milliseconds by stage. In the session's arena.
 */
const char *results_record(struct session *session);

#endif
