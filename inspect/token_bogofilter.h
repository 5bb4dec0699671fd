/* token_bogofilter: which of our tokens a word of bogofilter is. Beside the tokeniser, as it must follow it. */
#ifndef MAILREEVE_INSPECT_TOKEN_BOGOFILTER_H
#define MAILREEVE_INSPECT_TOKEN_BOGOFILTER_H

#include "inspect/token_set.h"

/* word: of `bogoutil -d`, as it stands there: "word", "subj:word", "from:word", "to:word". False: it is none of our
 * tokens, as it is too long, a number, not ASCII, or of a field that is read in another way. */
bool token_from_bogofilter(struct slice word, uint64_t *token_r);

#endif
