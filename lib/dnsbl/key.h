/* key: the secret that a list's operator gives to a user, which stands in the zone's name. */
#ifndef MAILREEVE_DNSBL_KEY_H
#define MAILREEVE_DNSBL_KEY_H

#include "lib/base/slice.h"

bool dnsbl_key_is_good(struct slice key); /* one label of a name */

/* The first line of the file: a regular one of at most 4 KiB, which others cannot read and neither they nor its group
 * write. NULL with *problem_r in arena, which never shows what is in it. */
const char *dnsbl_key_read(const char *path, struct arena *arena, const char **problem_r);

#endif
