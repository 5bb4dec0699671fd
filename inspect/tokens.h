/* tokens: what a message is made of, for Bayes: words and their neighbours as a reader sees them, what is hidden from
 * him, where links lead, fields of the header, files. Part of the worker. */
#ifndef MAILREEVE_INSPECT_TOKENS_H
#define MAILREEVE_INSPECT_TOKENS_H

#include "inspect/part.h"
#include "inspect/token_set.h"

struct tokens;

/* Tokens of the header of a message in wire form, and its digest. What follows adds to it. In arena. */
struct tokens *tokens_open(struct arena *arena, struct slice message, const struct inspect_request *request);

/* What one file of the message (part.h) adds: its type, its name, and the text of what is text. Long texts are read at
 * their head and their tail, all of a message within a bound. scratch: for this call. */
void tokens_part(struct tokens *tokens, const struct part *part, struct arena *scratch);

/* Fills the members of *reply_r that tell of tokens. */
void tokens_close(struct tokens *tokens, struct inspect_reply *reply_r);

#endif
