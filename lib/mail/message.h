/* message: the bytes of one message on their way from the MTA to the workers, and a view of its header.
 *
 * Headers come first (kept in memory too, bounded), then the body in pieces. The bytes are written in wire form
 * (CRLF) to a memfd; once they are more than memory_max, or the budget of all messages is used up, they move to an
 * unlinked file in spool_dir. Sealed, the
 * descriptor can be given to another process: it cannot be changed any more (memfd: F_SEAL_*; file: reopened
 * read-only). */
#ifndef MAILREEVE_MAIL_MESSAGE_H
#define MAILREEVE_MAIL_MESSAGE_H

#include "lib/mail/header.h"

#include <stdatomic.h>
#include <stdint.h>

/* Bytes that all messages together hold in memory. */
struct message_budget {
	_Atomic uint64_t used;
};

struct message_settings {
	uint64_t memory_max;   /* bytes held in a memfd before the spool file is used */
	uint64_t size_max;     /* bytes; one that is larger is MESSAGE_TOO_LARGE */
	const char *spool_dir; /* for the unlinked file (O_TMPFILE, or mkstemp and unlink) */
	struct header_limits headers;
	struct message_budget *budget; /* shared by all messages, outlives them; NULL: none */
	uint64_t budget_max;           /* bytes; a message that does not fit goes to the spool file at once */
};

enum message_status {
	MESSAGE_OK,
	MESSAGE_TOO_LARGE,
	MESSAGE_NO_SPACE /* disk full, no memfd, any other trouble of this machine: temporary */
};

struct message;

/* headers are kept in arena, which must outlive the message. settings are copied but for spool_dir. */
struct message *message_create(struct arena *arena, const struct message_settings *settings);
void message_destroy(struct message *message); /* takes NULL; closes the descriptor */

/* value: as SMFIP_HDR_LEADSPC gives it, leading space included, folds as LF or CRLF + blank. Once a call has failed all
 * later ones give the same status. */
enum message_status message_add_header(struct message *message, struct slice name, struct slice value);
enum message_status message_end_headers(struct message *message);
enum message_status message_add_body(struct message *message, const void *data, size_t n);
/* After it the descriptor is final; offset 0. */
enum message_status message_seal(struct message *message);

/* A whole message from memory or file in one go, for explain and tests: message_create() .. message_seal(). Where the
 * first line ends in a bare LF every bare LF is taken for CRLF; an mbox "From " line in front is skipped. */
enum message_status message_load(struct message *message, struct slice bytes);

const struct headers *message_headers(const struct message *message);
uint64_t message_size(const struct message *message);      /* bytes in wire form so far */
uint64_t message_body_size(const struct message *message); /* behind the empty line */
int message_fd(const struct message *message);             /* -1 before message_seal() */
bool message_spooled(const struct message *message);       /* on disk, not in memory */

#endif
