/* stage_list: the stages by name, for stages.c and for a stage that asks whether another one runs. */
#ifndef MAILREEVE_PIPELINE_STAGE_LIST_H
#define MAILREEVE_PIPELINE_STAGE_LIST_H

#include "lib/pipeline/stage.h"

extern const struct stage stage_message; /* size, header, disk: stage_message.c */
extern const struct stage stage_quarantine;
extern const struct stage stage_upstream;
extern const struct stage stage_geo;     /* stage_geo.c, and so on */
extern const struct stage stage_client;
extern const struct stage stage_tls;
extern const struct stage stage_dnsbl;
extern const struct stage stage_lists;
extern const struct stage stage_rate;
extern const struct stage stage_spf;     /* stage_spf.c, and so on */
extern const struct stage stage_dkim;
extern const struct stage stage_arc;
extern const struct stage stage_inspect;
extern const struct stage stage_learn;
extern const struct stage stage_dmarc;
extern const struct stage stage_mime;
extern const struct stage stage_attachment;
extern const struct stage stage_virus;
extern const struct stage stage_bayes;
extern const struct stage stage_digest;   /* replies to reports, reports that go out */
extern const struct stage stage_greylist; /* waits for all before it in the table */
extern const struct stage stage_authres;
extern const struct stage stage_sign; /* the last: it waits for all others */

#endif
