/* mbox: a mailbox file, taken apart into messages as it comes in pieces. A message begins behind a line "From ...
 * hh:mm..." at the beginning or behind an empty line; ">From ", ">>From " ... lose one ">" (mboxrd; mboxo is read the
 * same way). What does not begin with such a line is one message as it is. Nothing else of a message is looked at. */
#ifndef MAILREEVE_MAIL_MBOX_H
#define MAILREEVE_MAIL_MBOX_H

#include "lib/base/slice.h"

struct mbox;

/* message: as it was before it was stored, with the ends of lines that the file has; valid during the call. NULL data:
 * it has more than message_max bytes. from_line: the line in front without its end, empty where there is none. */
typedef void mbox_visit(void *context, struct slice message, struct slice from_line);

/* Holds at most message_max bytes, and one line. message_max: at least 1000. */
struct mbox *mbox_open(size_t message_max, mbox_visit *visit, void *context);
void mbox_feed(struct mbox *mbox, const void *data, size_t n);
/* What is still there is a message too, where it is not empty. Takes NULL. */
void mbox_close(struct mbox *mbox);

/* Does a file that begins so hold a mailbox? */
bool mbox_begins(struct slice head);

#endif
