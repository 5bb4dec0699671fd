/* release: gives a held copy of the quarantine to the MTA, which shows it to the gate again: its token lets it pass
 * once, but for what nothing lifts (store/release_token.h, pipeline/stage_quarantine.c). */
#ifndef MAILREEVE_REPORT_RELEASE_H
#define MAILREEVE_REPORT_RELEASE_H

#include "lib/store/quarantine.h"

struct release {
	struct store *store;
	const char *relay; /* quarantine.relay, see submit.h */
	const char *helo;
	uint64_t seconds; /* quarantine.release_time */
	const char *by;   /* who does it, for the record */
	bool forced;      /* the administrator's word */
	uint64_t now;     /* epoch seconds */
};

enum release_outcome {
	RELEASE_DONE,    /* the MTA has it */
	RELEASE_REFUSED, /* the gate or the MTA does not take it: it is held as before; not by trying again */
	RELEASE_FAILED,  /* likewise, for now */
	RELEASE_OPEN, /* it is not known whether the MTA has it; it will be once the token has expired: held or released */
	RELEASE_NOT_HELD, /* it is released, deleted, expired, or being released by somebody else */
	RELEASE_GONE,     /* the message is gone, or damaged */
	RELEASE_DOWN,     /* the store: nothing was done */
	RELEASE_NO_RELAY  /* the relay's text is not good; *reply_r: what was expected */
};

/* *reply_r: the MTA's last words, in arena; "". *shown_r: the gate saw the token; false after RELEASE_DONE by SMTP: it
 * went out with the message. */
enum release_outcome release_copy(const struct release *release, struct arena *arena, const char *message,
                                  unsigned copy, const char **reply_r, bool *shown_r);

#endif
