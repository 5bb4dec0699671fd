/* user_mail: a mail of ours to a user (RFC 5322, RFC 2045): text, or text and HTML beside each other. Nobody answers it
 * by itself: it says so in every way that programs heed (RFC 3834), and its envelope sender is the null path. */
#ifndef MAILREEVE_REPORT_USER_MAIL_H
#define MAILREEVE_REPORT_USER_MAIL_H

#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct user_mail {
	const char *from_name;   /* UTF-8, "": none */
	const char *from, *to;   /* local@domain */
	const char *subject;     /* UTF-8 */
	const char *id;          /* Message-ID without brackets; letters, digits, . - @ */
	const char *in_reply_to; /* with its brackets, as it came; "": none */
	bool reply;              /* auto-replied, else auto-generated */
	const char *fields;      /* further fields, each with its CRLF; "": none */
	uint64_t now;            /* for Date */
	struct slice text;       /* UTF-8, lines end in LF */
	struct slice html;       /* likewise; empty: none */
};

/* The whole message, in ASCII, lines ended by CRLF and not over 78 bytes where it is ours to break them. */
struct slice user_mail_compose(struct arena *arena, const struct user_mail *mail);

/* A text of the network for people to read, at most max bytes of it: what is no UTF-8, control characters, and
 * characters that are not seen or turn the direction of what follows (U+200B to U+200F, U+2028 to U+202E, U+2060 to
 * U+206F, U+FEFF and such) become "?"; a link in it is made one that no program follows. */
const char *user_mail_clean(struct arena *arena, const char *text, size_t max);
/* A text as a part of a URI (RFC 3986 2.3): all but unreserved characters as %XX. */
const char *user_mail_percent(struct arena *arena, const char *text);

#endif
