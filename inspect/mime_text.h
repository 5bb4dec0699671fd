/* mime_text: files inside a text, put there without MIME or by a mail that was copied into it: uuencode, yEnc, BinHex,
 * entities with their header, PGP. */
#ifndef MAILREEVE_INSPECT_MIME_TEXT_H
#define MAILREEVE_INSPECT_MIME_TEXT_H

#include "lib/base/slice.h"

#include <stdint.h>

enum mime_text_kind {
	MIME_TEXT_UU,     /* bytes: the lines behind "begin 644 name" */
	MIME_TEXT_UU64,   /* the same of "begin-base64 644 name", up to "====" */
	MIME_TEXT_YENC,   /* bytes: the lines behind "=ybegin" */
	MIME_TEXT_BINHEX, /* bytes: from the first ":" */
	MIME_TEXT_ENTITY, /* bytes: from the first field of a header with Content-Type or -Transfer-Encoding */
	MIME_TEXT_PARTS,  /* bytes: from a line "--boundary" with such a header behind it */
	MIME_TEXT_PGP     /* an encrypted message begins */
};

struct mime_text_file {
	enum mime_text_kind kind;
	struct slice name;     /* of UU, YENC; else empty */
	struct slice boundary; /* of PARTS */
	struct slice bytes;    /* up to the end of the text */
};

/* The next one whose first line starts at or behind *at (0 at first); *at moves behind that line. Advances *scanned by
 * what was looked at. */
bool mime_text_next(struct slice text, size_t *at, struct mime_text_file *file_r);

/* BinHex 4.0 (RFC 1741): the data fork of what starts with ":". The name goes to *name_r, in `out`. Writes at most
 * `capacity` bytes; *content_r in `out`. False: broken. */
bool mime_binhex(struct slice text, char *out, size_t capacity, struct slice *name_r, struct slice *content_r);

/* Bytes that mime_binhex() needs. */
size_t mime_binhex_size(struct slice text);

#endif
