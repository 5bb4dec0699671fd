/* base64: RFC 4648 section 4, read strictly: garbage that one reader skips and another does not would be read in two ways. */
#ifndef MAILREEVE_BASE_BASE64_H
#define MAILREEVE_BASE_BASE64_H

#include "lib/base/slice.h"

/* The bytes that text stands for, in arena. White space (space, tab, CR, LF) may stand anywhere, "=" only at the end and
 * no more of it than is due; it may be missing, as in the grammar of RFC 6376 2.10. False for anything else. */
bool base64_decode(struct arena *arena, struct slice text, struct slice *bytes_r);
/* With padding, without line ends. */
const char *base64_encode(struct arena *arena, struct slice bytes);

#endif
