/* vba: the source of Visual Basic macros, and whether they run by themselves. */
#ifndef MAILREEVE_INSPECT_VBA_H
#define MAILREEVE_INSPECT_VBA_H

#include "inspect/file_scan.h"

/* Unpacks a compressed container ([MS-OVBA] 2.4.1), as far as it goes. False: no budget left. */
bool vba_decompress(struct slice packed, struct part_budget *budget, struct file_bytes *bytes_r);

/* The source in a module's stream, which begins somewhere in it; empty when none is found. */
bool vba_module_source(struct slice stream, struct part_budget *budget, struct file_bytes *bytes_r);

/* The name of a procedure in there that Office runs by itself (AutoOpen, Workbook_Open ...), as it is usually written;
 * NULL: none. text: of file_text_plain(). */
const char *vba_auto_name(struct slice text);

/* What macros in the text do that documents rarely need ("starts programs"); NULL: nothing. */
const char *vba_suspicion(struct slice text);

#endif
