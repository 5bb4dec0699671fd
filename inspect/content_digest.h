/* content_digest: by what a message is known again when it is learnt. */
#ifndef MAILREEVE_INSPECT_CONTENT_DIGEST_H
#define MAILREEVE_INSPECT_CONTENT_DIGEST_H

#include "lib/inspect/inspect.h"
#include "lib/mail/header.h"

/* SHA-256 over the values of From, Subject and Date, the first of each, blanks as one blank; and over the body, its
 * lines without blanks at their ends, without empty lines at its end, and without the ">" that a mailbox file puts
 * before "From ". So it is the same with CRLF and LF, at the gate and after delivery, out of IMAP, a mailbox or an
 * attachment. Message-ID is left out: relays add a missing one, and what carries all else twice is the same mail. */
void content_digest(const struct headers *headers, struct slice body, uint8_t digest_r[INSPECT_DIGEST_SIZE]);

#endif
