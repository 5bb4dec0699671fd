/* dkim_syntax: what a DKIM-Signature field must be before its key matters (RFC 6376 3.5 and 6.1.1, RFC 8301). */
#ifndef MAILREEVE_INSPECT_DKIM_SYNTAX_H
#define MAILREEVE_INSPECT_DKIM_SYNTAX_H

#include "lib/auth/canon.h"
#include "lib/mail/taglist.h"

#include <stdint.h>

/* value: of the field; tags: the same, parsed. NULL, or why no verifier may accept it: permerror. Stricter than
 * libopendkim, which skips what it does not know in base64 and numbers. */
const char *dkim_syntax_problem(struct arena *arena, struct slice value, const struct taglist *tags);

/* t=, x= and l= of tags without a problem; fallback where there is none. */
uint64_t dkim_syntax_number(struct arena *arena, const struct taglist *tags, const char *name, uint64_t fallback);

/* Of the body, from c=: simple unless it says otherwise. */
enum canon dkim_syntax_body_canon(struct arena *arena, const struct taglist *tags);

#endif
