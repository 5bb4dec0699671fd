/* header: the header fields of one message, in order, as they stood on the wire. */
#ifndef MAILREEVE_MAIL_HEADER_H
#define MAILREEVE_MAIL_HEADER_H

#include "lib/base/slice.h"

struct header {
	struct slice name;  /* without the colon */
	struct slice value; /* all after the colon, leading space and folds (CRLF + blank) included, no final CRLF */
	struct slice field; /* both and what stands between, as simple canonicalization (RFC 6376 3.4.1) wants it */
};

struct headers {
	struct header *items; /* in message order */
	size_t count;
	size_t capacity;
	size_t bytes;   /* of all names and values */
	bool truncated; /* a bound was reached and fields were left out */
};

struct header_limits {
	size_t max_count; /* fields */
	size_t max_bytes; /* of all fields together */
};

/* Copies name and value into the arena, as "name:value". False, and headers->truncated set, when a limit is reached. */
bool headers_add(struct headers *headers, struct arena *arena, const struct header_limits *limits, struct slice name,
                 struct slice value);

/* Reads the header block of a message in wire form (CRLF; a bare LF ends a line too), up to the empty line. A line
 * that is no field (no colon, a name with a byte outside 33..126, an empty name) ends the block: what follows is body,
 * as Postfix sees it. Returns the offset of the body (behind the empty line where there is one). Slices in headers point
 * into arena copies. Bounded by limits; never fails. */
size_t headers_parse(struct headers *headers, struct arena *arena, const struct header_limits *limits,
                     struct slice message);

/* The nth (from 0) field of that name, case-insensitively, or NULL. */
const struct header *headers_find(const struct headers *headers, const char *name, size_t nth);
size_t headers_count(const struct headers *headers, const char *name);

/* The value with folds removed (each CRLF or LF before a blank dropped) and trimmed. */
struct slice header_unfold(struct arena *arena, struct slice value);

/* RFC 2047 encoded words of an unstructured value (Subject) as UTF-8, for people to read; never for decisions. */
struct slice header_decode(struct arena *arena, struct slice value);

#endif
