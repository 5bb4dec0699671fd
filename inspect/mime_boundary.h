/* mime_boundary: the lines that part the body of a multipart (RFC 2046 5.1.1), as strict and as lax readers see them.
 */
#ifndef MAILREEVE_INSPECT_MIME_BOUNDARY_H
#define MAILREEVE_INSPECT_MIME_BOUNDARY_H

#include "lib/base/slice.h"

enum mime_boundary_reading {
	MIME_BOUNDARY_EXACT,  /* "--" boundary, "--" when closing, blanks; nothing follows the closing one */
	MIME_BOUNDARY_ON,     /* the same, but parts go on behind a closing line */
	MIME_BOUNDARY_PREFIX, /* a line that starts with it, whatever follows (RFC 2046 allows that) */
	MIME_BOUNDARY_CR,     /* lines may end in a bare CR */
	MIME_BOUNDARY_READINGS
};

/* What a look at the body says about the readings. */
struct mime_boundary_survey {
	size_t delimiters;  /* exact ones */
	bool closed;        /* an exact closing line */
	bool follows_close; /* a delimiter stands behind it: ON differs from EXACT */
	bool prefix;        /* lines that only start with it: PREFIX differs */
	bool bare_cr;       /* delimiters behind or before a bare CR: CR differs */
};

struct mime_boundary {
	struct slice body;
	struct slice value; /* without the "--", trimmed at the end */
	enum mime_boundary_reading reading;
	size_t at;    /* where the next part starts */
	bool started; /* the preamble is behind */
	bool ended;
};

void mime_boundary_survey(struct slice body, struct slice value, struct mime_boundary_survey *survey_r);

/* The next part, its header included and the line end before the delimiter excluded; false: no more. The first call
 * skips the preamble. */
bool mime_boundary_next(struct mime_boundary *boundary, struct slice *part_r);

/* After the last part: what stands before the first delimiter, and behind the closing one. */
struct slice mime_boundary_preamble(struct slice body, struct slice value);
struct slice mime_boundary_epilogue(const struct mime_boundary *boundary);

#endif
