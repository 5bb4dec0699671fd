/* finding: what a stage states. A stage never decides; policy.h turns findings into a verdict. */
#ifndef MAILREEVE_POLICY_FINDING_H
#define MAILREEVE_POLICY_FINDING_H

#include <stdbool.h>

/* What policy does about a code, from mild to strict: the strictest wins. */
enum action_kind {
	ACTION_IGNORE,
	ACTION_SCORE,
	ACTION_TAG,        /* deliver, with the finding in X-Mailreeve-Verdict */
	ACTION_QUARANTINE, /* hold for a person */
	ACTION_TEMPFAIL,   /* 4xx: the sender tries again */
	ACTION_DISCARD,    /* take it and drop it, silently for the sender; logged */
	ACTION_REJECT      /* 5xx */
};
struct action {
	enum action_kind kind;
	double score; /* ACTION_SCORE: points, may be negative */
};

enum stage_mode {
	MODE_OFF,     /* does not run */
	MODE_OBSERVE, /* runs, is logged and explained, never acts */
	MODE_TAG,     /* at most tags */
	MODE_ENFORCE
};

/* A row of a stage's table. */
struct finding_code {
	const char *code;     /* "spf.fail": the stage's name, a dot, a word */
	struct action fallback; /* default action, inbound and outbound */
	bool enforced;        /* cannot be lifted by any user list, release or score */
	const char *status;   /* enhanced status code without its class (RFC 3463, 7372): "7.23"; class from the action */
	const char *reply;    /* public reason, one line, no rule internals */
	const char *help;     /* what it means, for operators */
};

enum { FINDING_ALL_RECIPIENTS = -1 };

struct finding {
	const struct finding_code *code;
	const char *detail;  /* specifics for operators: escaped text, may be "" */
	const char *reply;   /* public reason for this message, NULL: code->reply; printable ASCII without line breaks */
	int recipient;       /* index, or FINDING_ALL_RECIPIENTS */
	struct action action; /* what policy would do by configuration, set by policy_judge() */
	enum action_kind effective; /* what it came to under the stage's mode, set likewise */
};

#endif
