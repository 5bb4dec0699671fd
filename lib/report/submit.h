/* submit: hands a message to the MTA, by SMTP (RFC 5321) over TCP or to `sendmail -bs` over a pipe. One message, one
 * recipient, one session: what happened to it is known for that recipient alone. */
#ifndef MAILREEVE_REPORT_SUBMIT_H
#define MAILREEVE_REPORT_SUBMIT_H

#include "lib/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum submit_kind { SUBMIT_SMTP, SUBMIT_SENDMAIL };

/* Where to; from the text "smtp:HOST:PORT", "smtp:[ADDRESS]:PORT" or "sendmail:/PATH". */
struct submit_relay {
	enum submit_kind kind;
	const char *host; /* SUBMIT_SMTP: a name or an address; SUBMIT_SENDMAIL: the program */
	const char *port;
};
/* False: *expected_r says what was. */
bool submit_relay_parse(struct arena *arena, const char *text, struct submit_relay *relay_r, const char **expected_r);

struct submit_mail {
	const char *helo;
	const char *from, *to; /* local@domain without brackets, as they are to be spelt; from "": the null path */
	struct slice head, message; /* sent one behind the other; lines end in CRLF */
	bool smtputf8;              /* the addresses or the header hold UTF-8 (RFC 6531) */
	const char *envid;          /* given to a relay that offers DSN (RFC 3461 4.4); NULL: none */
};

enum submit_result {
	SUBMIT_OK,        /* the MTA has taken it */
	SUBMIT_TEMPORARY, /* not taken: no connection, a 4xx reply, or no word before the message was whole */
	SUBMIT_PERMANENT, /* refused: 5xx, or the MTA cannot carry it (SMTPUTF8, 8BITMIME) */
	SUBMIT_UNKNOWN    /* the whole message was sent and no answer came: it may be taken */
};

/* deadline: monotonic. *reply_r: the MTA's last words or what went wrong, in arena, escaped, on one line. */
enum submit_result submit_send(const struct submit_relay *relay, const struct submit_mail *mail, uint64_t deadline,
                               struct arena *arena, const char **reply_r);

#endif
