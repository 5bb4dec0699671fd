/* part: one file found in a message, however deep: an entity of MIME, a member of an archive, of winmail.dat ... What
 * finds parts (mime.h, archive.h) calls a visitor for each; what is behind the visitor looks at it and may go deeper.
 * All of them share one budget, so that no way of nesting escapes it. */
#ifndef MAILREEVE_INSPECT_PART_H
#define MAILREEVE_INSPECT_PART_H

#include "lib/base/slice.h"

#include <stdint.h>

struct part {
	const struct part *parent;    /* what it was found in; NULL: the message itself */
	const char *const *names;     /* NULL-ended: every name under which a reader could show it, most usual first; UTF-8
	                                 without control bytes, bounded; of a path the last component, then the whole */
	const char *type;             /* declared media type in small letters, "application/pdf"; "" where none is */
	struct slice charset;         /* declared beside it; empty where none is */
	struct slice content;         /* decoded; empty when encrypted */
	uint64_t size;                /* of it, as far as known, bytes: declared by an archive where it was not unpacked */
	bool encrypted;               /* its content cannot be read without a password */
	unsigned depth;               /* 0: the message itself */
};

/* Content, names and the part itself are valid during the call only. */
typedef void part_visitor(void *context, const struct part *part);

/* What one message may cost, over all readings of it and everything nested. */
struct part_budget {
	uint64_t bytes;        /* left to be decoded or unpacked */
	uint64_t parts;        /* left to be visited */
	unsigned depth_max;
	uint64_t deadline;     /* monotonic, clock_now() */
	const char *exhausted; /* which one ran out first, for people ("too many parts"), static; NULL so far */
};

/* False, and exhausted set, when it is used up. */
bool part_budget_bytes(struct part_budget *budget, uint64_t n);
bool part_budget_part(struct part_budget *budget, unsigned depth); /* looks at the clock too */
bool part_budget_time(struct part_budget *budget);

#endif
