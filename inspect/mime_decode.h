/* mime_decode: content transfer encodings (RFC 2045 6) and what came before them, each in the readings that mail
 * programs have of broken input. Pure functions; out has room for the length of the input and MIME_DECODE_ROOM bytes
 * more. They return the number of bytes written. */
#ifndef MAILREEVE_INSPECT_MIME_DECODE_H
#define MAILREEVE_INSPECT_MIME_DECODE_H

#include "lib/base/slice.h"

enum { MIME_DECODE_ROOM = 4 };

/* How a decoder takes what does not belong into base64: "=" in the middle, bytes outside of the alphabet. */
enum mime_base64_reading {
	MIME_BASE64_RESUME, /* other bytes skipped; padding ends a group, and another stream may follow */
	MIME_BASE64_STOP,   /* other bytes skipped; padding ends it all */
	MIME_BASE64_SKIP,   /* padding is skipped like any other byte */
	MIME_BASE64_STRICT, /* the first line with another byte ends it all */
	MIME_BASE64_WHOLE,  /* as RESUME, but what is no whole group at the end is dropped */
	MIME_BASE64_LINES,  /* lines with other bytes are skipped as a whole */
	MIME_BASE64_URL,    /* as RESUME, with "-" and "_" for "+" and "/" (RFC 4648 5) */
	MIME_BASE64_READINGS
};
size_t mime_base64(struct slice text, enum mime_base64_reading reading, char *out);
/* False: clean, so that all readings agree. *tail_r: the only trouble comes behind the padding, or padding is missing.
 */
bool mime_base64_doubtful(struct slice text, bool *tail_r);

/* trim: blanks at the end of a line are taken away, as RFC 2045 6.7 wants and few programs do. */
size_t mime_quoted_printable(struct slice text, bool trim, char *out);
bool mime_quoted_printable_trims(struct slice text); /* whether `trim` makes a difference */

/* Lines of uuencode from the front of text (what stands behind the "begin" line) up to "end" or a line that is none;
 * *used_r: how much of text that was. */
size_t mime_uudecode(struct slice text, char *out, size_t *used_r);

/* Lines of yEnc up to "=yend"; *used_r as above. */
size_t mime_ydecode(struct slice text, char *out, size_t *used_r);

#endif
