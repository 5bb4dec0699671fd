/* cab: cabinets ([MS-CAB]). Members that are stored or packed by MSZIP are unpacked; of those packed by LZX or Quantum
 * the names are visited, and the archive is archive_unknown. */
#ifndef MAILREEVE_INSPECT_CAB_H
#define MAILREEVE_INSPECT_CAB_H

#include "inspect/file_scan.h"

void cab_walk(struct file_scan *scan, struct slice content);

#endif
