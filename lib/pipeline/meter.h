/* meter: what the daemon counts of its mail: cells of lib/base/metrics.h, and who comes most. The hot path takes no
 * lock but for those who come most. Safe from any thread. */
#ifndef MAILREEVE_PIPELINE_METER_H
#define MAILREEVE_PIPELINE_METER_H

#include "lib/base/metrics.h"
#include "lib/base/topk.h"
#include "lib/policy/config.h"
#include "lib/policy/verdict.h"

enum { METER_ACTIONS = VERDICT_REJECT + 1 };

enum meter_event {
	METER_SESSION_OPENED,
	METER_SESSION_CLOSED,
	METER_SESSION_REFUSED, /* too many at a time */
	METER_RELOAD,
	METER_RELOAD_REFUSED,
	METER_BYTES, /* of messages that were judged */
	METER_EVENTS
};

enum meter_top { METER_SENDERS, METER_RECIPIENTS, METER_CLIENTS, METER_FINDINGS, METER_TOPS };
extern const char *const meter_top_names[METER_TOPS]; /* "senders" */

struct meter;
struct session;
struct recipient;

struct meter *meter_create(void);
void meter_destroy(struct meter *meter); /* takes NULL */

/* With meter NULL (explain) these do nothing. */
void meter_count(struct meter *meter, enum meter_event event, uint64_t n);
void meter_message(struct meter *meter, const struct session *session); /* has been judged: once for each */
void meter_refused(struct meter *meter, const struct session *session, const struct recipient *recipient); /* at RCPT */
void meter_dns_wait(struct meter *meter, uint64_t ns); /* of one message at its end, in all */

/* ---- reading ---- */

struct metrics *meter_cells(struct meter *meter);
/* Where in these things stand. Histograms are HISTOGRAM_CELLS cells. */
size_t meter_event_cell(enum meter_event event);
size_t meter_message_cell(enum verdict_action action, enum direction direction);
size_t meter_refused_cell(enum verdict_action action, enum direction direction);
size_t meter_elapsed_cell(void);
size_t meter_dns_wait_cell(void);
size_t meter_stage_cell(size_t stage);
/* Codes of findings, from 0. NULL: there are no more. */
const struct finding_code *meter_finding(const struct meter *meter, size_t i, size_t *cell_r);
struct topk *meter_top(struct meter *meter, enum meter_top which);

#endif
