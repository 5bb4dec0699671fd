/* rar: the headers of rar archives, versions 4 and 5: libarchive unpacks, but knows nothing of encryption, and stops at
 * the first member that it does not like. */
#ifndef MAILREEVE_INSPECT_RAR_H
#define MAILREEVE_INSPECT_RAR_H

#include "inspect/file_scan.h"

/* Visits what can be unpacked, and of the rest the names. content begins with the signature. */
void rar_walk(struct file_scan *scan, struct slice content);

#endif
