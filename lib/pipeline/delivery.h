/* delivery: from the recipients' verdicts to one answer for the MTA. Pure: no store, no MTA.
 *
 * SMTP has one reply at end of message, so recipients whose verdicts differ are parted: those who are not to get the
 * message are removed from the envelope (smfi_delrcpt), after their copy is safe in the quarantine's store where their
 * verdict is quarantine or reject (the sender is not told any more, so a person can still find it). What cannot be done
 * so is done to all in common: nobody gets a message twice, or one that is not for him, and none is lost. */
#ifndef MAILREEVE_PIPELINE_DELIVERY_H
#define MAILREEVE_PIPELINE_DELIVERY_H

#include "lib/policy/verdict.h"

#include <stdbool.h>
#include <stddef.h>

/* The quarantine's store, for this message. */
enum delivery_store {
	DELIVERY_STORE_READY,
	DELIVERY_STORE_NONE, /* there is none, or it never takes this message (too large) */
	DELIVERY_STORE_DOWN  /* not now: it is down, or full */
};

struct delivery_recipient {
	enum verdict_action action;
	bool refused; /* at RCPT: the MTA has not got it */
	size_t first; /* index of the first recipient with the same path; its own where there is none before */
	enum verdict_action strictest; /* set by delivery_plan() for a first one: of all that have its path */
};

struct delivery_facts {
	struct delivery_recipient *recipients;
	size_t count;
	bool hold; /* quarantine.method: what all have in common is held by the MTA, not stored */
	enum delivery_store store;
};

/* What becomes of one recipient's copy. */
enum delivery_fate {
	DELIVERY_REFUSED, /* nothing: he was refused at RCPT */
	DELIVERY_SENT,    /* the MTA delivers it */
	DELIVERY_HELD,    /* the MTA holds it */
	DELIVERY_STORED,  /* stored in the quarantine, then removed from the envelope */
	DELIVERY_DROPPED, /* removed from the envelope */
	DELIVERY_RETURNED /* the sender is told: reject or tempfail */
};
const char *delivery_fate_name(enum delivery_fate fate); /* "sent" */

enum delivery_answer {
	DELIVERY_PASS, /* take it and deliver it to who is left */
	DELIVERY_HOLD, /* take it and hold it for who is left */
	DELIVERY_TAKE, /* take it and deliver it to nobody: all is stored or dropped */
	DELIVERY_TEMPFAIL,
	DELIVERY_REJECT
};

struct delivery {
	enum delivery_answer answer;
	size_t reason; /* the recipient whose verdict is told to the sender, or stands for all; SIZE_MAX: none, and with
	                  DELIVERY_TEMPFAIL: the store is down */
};

/* fates_r: facts->count. Recipients with the same path have one fate, that of the strictest. */
struct delivery delivery_plan(const struct delivery_facts *facts, enum delivery_fate *fates_r);

#endif
