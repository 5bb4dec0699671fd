/* The section learn { }: who may teach Bayes what. For the stage, the control socket and `mailreeve learn`. */
#ifndef MAILREEVE_PIPELINE_STAGE_LEARN_H
#define MAILREEVE_PIPELINE_STAGE_LEARN_H

#include <stdbool.h>
#include <stdint.h>

enum learn_scope {
	LEARN_OFF,
	LEARN_USER,     /* for a recipient alone */
	LEARN_EVERYBODY /* for all */
};

/* A message by the control socket; learn.message_max may be less. */
enum { LEARN_BODY_MAX = 64 << 20 };

struct learn_settings {
	int socket;                             /* enum learn_scope */
	const char *spam_address, *ham_address; /* "": none */
	int addresses;                          /* enum learn_scope, but for LEARN_OFF */
	uint64_t message_max;
	bool release; /* what is released from the quarantine is ham */

	/* What the daemon learns by itself: auto_learn.h */
	bool automatic;
	double auto_spam_score, auto_ham_points; /* given, and taken off, at least, without those of Bayes */
	uint64_t auto_daily_max;                /* of each class */
	uint64_t auto_client_max;               /* of a network of clients and day */
	double auto_balance;                    /* so many times the other class, at most */
	uint64_t auto_tokens_min;
};

#endif
