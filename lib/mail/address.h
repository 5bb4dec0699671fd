/* address: mailboxes of header fields and paths of the envelope, read leniently but never two ways. */
#ifndef MAILREEVE_MAIL_ADDRESS_H
#define MAILREEVE_MAIL_ADDRESS_H

#include "lib/base/slice.h"

/* The envelope's path as libmilter gives it, "<@route:local@domain>" or bare (RFC 5321 4.1.2). */
struct address {
	const char *text;   /* local@domain, as written, without brackets and source route; "" for the null path */
	const char *local;  /* local part as written (quotes kept) */
	const char *domain; /* canonical (domain.h), or "" : no domain, or one that is no domain name */
};
/* False (and everything "") when it is not a path at all. The null path is true with text "". */
bool address_parse_path(struct arena *arena, const char *path, struct address *address_r);

/* The authors of a From field (RFC 5322 3.6.2, RFC 6854 groups): each mailbox of the list. */
enum { ADDRESS_MAX_MAILBOXES = 64 };
struct address_list {
	size_t count;
	struct address items[ADDRESS_MAX_MAILBOXES];
	bool truncated; /* more mailboxes than that */
	bool malformed; /* something in the list could not be read as a mailbox */
};
/* value: a From, Sender, Reply-To, To or Cc value. Comments (nested), quoted strings, obsolete routes and folding are
 * understood; display names are not kept. */
void address_parse_list(struct arena *arena, struct slice value, struct address_list *list_r);

/* The author of a message for DMARC (RFC 9989 5.3.1, 11.5): exactly one From field whose mailboxes all have one and the
 * same domain. A field that is read here in one way only is OK; what a mail program may read otherwise is not. */
enum author_status {
	AUTHOR_OK,
	AUTHOR_NO_FROM,          /* no From field */
	AUTHOR_MANY_FROM,        /* more than one From field */
	AUTHOR_EMPTY,            /* a From without any mailbox (or only an empty group) */
	AUTHOR_NO_DOMAIN,        /* cannot be read, and nothing in it looks like an address with a domain name */
	AUTHOR_MALFORMED,        /* cannot be read, and something does: somebody may show it as the author */
	AUTHOR_MANY_DOMAINS      /* mailboxes of different domains */
};
struct author {
	enum author_status status;
	struct address address; /* the first mailbox that could be read, else all "" */
};
struct headers;
void author_find(struct arena *arena, const struct headers *headers, struct author *author_r);
const char *author_status_text(enum author_status status); /* "more than one From field" */

#endif
