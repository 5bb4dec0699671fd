/* seven: a look at the header of a 7z archive before libarchive reads it. */
#ifndef MAILREEVE_INSPECT_SEVEN_H
#define MAILREEVE_INSPECT_SEVEN_H

#include "lib/base/slice.h"

/* False: a 7z archive whose header counts more folders than it has bytes. libarchive 3.6.2 makes room for them before
 * it looks (5 s, 100 MB for 196 bytes). True for anything else. */
bool seven_is_plausible(struct slice content);

#endif
