/* verdict: what policy says about a message for a recipient. */
#ifndef MAILREEVE_POLICY_VERDICT_H
#define MAILREEVE_POLICY_VERDICT_H

#include "lib/policy/finding.h"

enum verdict_action {
	VERDICT_ACCEPT,
	VERDICT_TAG,
	VERDICT_QUARANTINE,
	VERDICT_TEMPFAIL,
	VERDICT_DISCARD,
	VERDICT_REJECT
};

struct verdict {
	enum verdict_action action;
	const struct finding *reason; /* the finding that decided; NULL on accept. by_score: the one with most points */
	bool by_score;                /* the sum decided, not one finding */
	double score;                 /* sum of ACTION_SCORE findings */
	/* For tempfail and reject, and as the reason of a quarantine: */
	unsigned code;        /* 451, 550 ... */
	const char *enhanced; /* "5.7.1"; NULL for accept, tag, discard */
	const char *text;     /* public reason with the support id; printable ASCII, no line break; NULL as above */
};

const char *verdict_action_name(enum verdict_action action); /* "quarantine" */
const char *action_kind_name(enum action_kind kind);         /* "quarantine" */
const char *stage_mode_name(enum stage_mode mode);           /* "observe" */

#endif
