/* mime: the files of a message, in every plausible reading (RFC 2045-2049, 2183, 2231, 8551, [MS-OXTNEF]).
 *
 * A mail program and a scanner may read one message differently: two Content-Type fields, a boundary that is written
 * oddly, garbage in base64. What the scanner does not see, the program may show. So each way to read it is followed and
 * the union is visited; how they differ is told as reasons. */
#ifndef MAILREEVE_INSPECT_MIME_H
#define MAILREEVE_INSPECT_MIME_H

#include "inspect/part.h"

enum mime_reason {
	/* Mail programs extract different files from it */
	MIME_REASON_TYPE,              /* Content-Type fields that contradict each other */
	MIME_REASON_ENCODING,          /* the same of Content-Transfer-Encoding */
	MIME_REASON_UNKNOWN_ENCODING,  /* an encoding that is misspelt or nobody's */
	MIME_REASON_BOUNDARY,          /* several boundaries, and more than one parts the body */
	MIME_REASON_BOUNDARY_PREFIX,   /* a line goes on behind the boundary */
	MIME_REASON_BOUNDARY_CROSSING, /* an inner multipart goes on behind its end */
	MIME_REASON_BOUNDARY_TYPE,     /* parted by a boundary, and not declared as multipart */
	MIME_REASON_BOUNDARY_GUESSED,  /* declared as multipart, and parted by another boundary than declared */
	MIME_REASON_AFTER_CLOSING,     /* parts behind the closing boundary */
	MIME_REASON_NESTED_ENCODING,   /* a multipart or message in base64 or quoted-printable, read both ways */
	MIME_REASON_FIELD_NAME,        /* "Content-Type (comment):" and the like */
	MIME_REASON_HEADER_LINE,       /* Content- fields behind a line that is no field */
	MIME_REASON_BARE_CR,           /* lines that end in a bare CR */
	MIME_REASON_NUL,               /* in the header of a part */
	MIME_REASON_TOO_LONG,          /* more fields, parameters or names than any mail has, or longer ones */
	MIME_REASON_BASE64,            /* other bytes, or padding, in the middle */
	MIME_REASON_PARAMETER,         /* a file name given twice in one field */
	/* Broken, and read the same way by all, as far as files go */
	MIME_REASON_UNCLOSED,      /* no closing boundary */
	MIME_REASON_NO_BOUNDARY,   /* declared as multipart, and not parted at all */
	MIME_REASON_HEADER_DEFECT, /* a line in the header that is no field */
	MIME_REASON_DOUBLED,       /* Content- fields twice, in agreement on what matters */
	MIME_REASON_BASE64_TAIL,   /* something behind the padding, footers of mailing lists; or cut off */
	MIME_REASON_TNEF,          /* winmail.dat that ends too early */
	/* Cannot be looked into */
	MIME_REASON_PARTIAL,  /* message/partial: the file is in several messages */
	MIME_REASON_EXTERNAL, /* message/external-body: the file is elsewhere */
	MIME_REASON_SMIME,    /* S/MIME, compressed or broken */
	MIME_REASON_COUNT
};

enum mime_class { MIME_AMBIGUOUS, MIME_DEFECT, MIME_OPAQUE };

/* Stable: "boundary-prefix". */
const char *mime_reason_word(enum mime_reason reason);
enum mime_class mime_reason_class(enum mime_reason reason);

struct mime_result {
	uint32_t reasons; /* 1U << enum mime_reason */
};

/* Once in a process, before mime_walk(), while it may still read files: charsets are loaded then. */
void mime_load(void);

/* Visits every file of a message (in wire form; LF alone will do), parents before what is in them: leaves of the MIME
 * tree, attached messages, members of winmail.dat, files in uuencode, yEnc and BinHex inside text. multipart entities
 * are not visited; they are the parents of others. The same content under the same names, type and depth is visited
 * once.
 *
 * parent: NULL, or the file that this message was found in; depths go on from there, and so does the budget. A part
 * that the visitor gets for a message without parts has depth 0 and no parent.
 *
 * Reasons are added to *result, so that the visitor may give the same one to a walk of its own.
 *
 * Memory: the decoded content on the path to one part, and what the visitor takes; 12 bytes for each part. Time: ends
 * soon after budget->deadline, with budget->exhausted set; what was not reached then is not told apart. */
void mime_walk(struct slice message, const struct part *parent, struct part_budget *budget, part_visitor *visitor,
               void *context, struct mime_result *result);

#endif
