/* received: the Received field (RFC 5321 4.4), in the forms that MTAs give it. A field is the word of the host that
 * wrote it and of nobody else: whoever sends a message may have put any number of them below. */
#ifndef MAILREEVE_MAIL_RECEIVED_H
#define MAILREEVE_MAIL_RECEIVED_H

#include "lib/base/ip.h"
#include "lib/base/slice.h"

struct headers;

enum received_kind {
	RECEIVED_HOP,       /* a client whose address the field tells gave the message to the host that wrote it */
	RECEIVED_INTERNAL,  /* a step within one host or service: "by 10.0.0.1 with SMTP id", "(qmail 1 invoked from
	                       network)" */
	RECEIVED_SUBMITTED, /* the message began its way at that host: a local user, a web page */
	RECEIVED_UNREADABLE /* none of these, or more than one address could be meant */
};

enum { RECEIVED_MAX = 4096 }; /* bytes of a value; a longer one is RECEIVED_UNREADABLE */

struct received {
	enum received_kind kind;
	struct ip address; /* RECEIVED_HOP: of the client */
	const char *name;  /* the client's name as the host has looked it up; "": none, or one that it does not vouch for */
	const char *helo;  /* what the client called itself; "": not told */
	const char *by;    /* the host's name for itself; "": not told */
	bool authenticated; /* RECEIVED_HOP: the client had logged in */
};

/* value: as it stands in the message, folds and all. Texts are in arena, never NULL. What cannot be read in one way
 * only is RECEIVED_UNREADABLE; comments about TLS, certificates and envelopes are never taken for the client. */
void received_parse(struct arena *arena, struct slice value, struct received *received_r);

enum received_result {
	RECEIVED_FOUND,
	RECEIVED_NO_MORE, /* the fields end before a client from outside */
	RECEIVED_STOPPED, /* at a field that is no hop, or at a client that had logged in: a user of that host, not a relay
	                   */
	RECEIVED_TOO_MANY /* hops inside: over RECEIVED_MAX_HOPS */
};
enum { RECEIVED_MAX_HOPS = 30 };

/* Is that address one of our own, whose fields are believed? */
typedef bool received_inside(const void *context, const struct ip *address);

/* Who gave the message to the first of the hosts that are inside. Call it only where the host that gave it to us is
 * inside, for then it wrote the topmost field. Each field names the host that wrote the next one: as long as that is
 * inside too the next is believed; the first that is not is the client, and nothing below it is looked at. received_r:
 * the client, or the field that was the end; hops_r: fields looked at. */
enum received_result received_find(struct arena *arena, const struct headers *headers, received_inside *inside,
                                   const void *context, struct received *received_r, unsigned *hops_r);

#endif
