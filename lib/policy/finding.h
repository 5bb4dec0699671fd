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

/* Whose rule something is, from the least to the most specific. */
enum policy_level { POLICY_NONE, POLICY_GLOBAL, POLICY_DOMAIN, POLICY_USER };

enum finding_trait {
	FINDING_ENFORCED = 1, /* cannot be lifted by any user list, release or score, nor changed by a domain or user block */
	FINDING_AT_RCPT = 2   /* final when it is stated before DATA: it is judged, and refused, at RCPT already */
};

/* A row of a stage's table. */
struct finding_code {
	const char *code;     /* "spf.fail": the stage's name, a dot, a word */
	struct action fallback; /* default action, inbound and outbound */
	unsigned traits;      /* of enum finding_trait; 0: none */
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
	enum policy_level level; /* whose rule stated it; POLICY_GLOBAL for facts. An allow entry of a lower level does not lift it */
	bool enforced;           /* like the trait, for this one */
	const struct action *own; /* what its stage's options say to do where policy does not name the code; NULL: nothing */
	bool lifted;             /* an allow entry, or a release, keeps it from acting; for one recipient at least. By policy_judge() */
	struct action action;    /* what policy would do by configuration; by policy_judge() */
	enum action_kind effective; /* the strictest that it came to for a recipient, under the stage's mode; by policy_judge() */
};

#endif
