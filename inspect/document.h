/* document: RTF, PDF and OneNote: what they do by themselves, and the files that they carry. Each reader is bounded by
 * the content and the budget. */
#ifndef MAILREEVE_INSPECT_DOCUMENT_H
#define MAILREEVE_INSPECT_DOCUMENT_H

#include "inspect/file_scan.h"

/* RTF 1.9.1: embedded and linked objects, objects that are updated on opening, templates from outside, DDE. */
void rtf_walk(struct file_scan *scan, struct slice content);

/* ISO 32000: JavaScript, actions, forms and embedded files; in object streams too, and with names written in #xx. */
void pdf_walk(struct file_scan *scan, struct slice content);

/* [MS-ONESTORE] 2.6.13: the files that are embedded in a section. */
void onenote_walk(struct file_scan *scan, struct slice content);

#endif
