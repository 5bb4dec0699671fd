/* explain: how a judged session is shown. */
#ifndef MAILREEVE_CTL_EXPLAIN_H
#define MAILREEVE_CTL_EXPLAIN_H

#include "lib/pipeline/session.h"

#include <jansson.h>
#include <stdio.h>

/* One JSON object on one line; mailreeve(1) lists the keys. file NULL: the envelope alone. */
void explain_json(struct session *session, const char *file, FILE *out);
/* The object itself: the caller's reference. */
json_t *explain_object(struct session *session, const char *file);

/* For people: each stage, what it found, how long it took, what it means for the verdict. */
void explain_table(struct session *session, const char *file, FILE *out);

/* Text broken at blanks to fit the width; it starts at `column`, later lines at `indent`. */
void explain_wrap(FILE *out, const char *text, int indent, int column);

#endif
