/* top_frame: one picture of `mailreeve top`, of so many rows and columns. */
#ifndef MAILREEVE_CTL_TOP_FRAME_H
#define MAILREEVE_CTL_TOP_FRAME_H

#include "lib/base/arena.h"

#include <jansson.h>

/* Lines, each of at most `columns` characters, ended by "\n"; at most `rows` of them. Printable text only: what comes
 * from the network has been escaped. In arena. */
const char *top_frame(const json_t *status, size_t rows, size_t columns, struct arena *arena);

#endif
