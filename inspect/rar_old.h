/* rar_old: members of rar archives as version 2 packed them, by libunarr: libarchive unpacks version 3 and later. */
#ifndef MAILREEVE_INSPECT_RAR_OLD_H
#define MAILREEVE_INSPECT_RAR_OLD_H

#include "inspect/file_scan.h"

/* The member of that name (as it stands in the header) and size, from an archive of version 4 or older. False when it
 * cannot be unpacked to its end, or the budget is used up; *bytes_r is for file_bytes_free() in any case. */
bool rar_old_unpack(struct file_scan *scan, struct slice content, struct slice name, uint64_t size,
                    struct file_bytes *bytes_r);

#endif
