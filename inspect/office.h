/* office: what Word, Excel, PowerPoint, Outlook and the installer keep in OLE compound files. */
#ifndef MAILREEVE_INSPECT_OFFICE_H
#define MAILREEVE_INSPECT_OFFICE_H

#include "inspect/file_scan.h"

/* Adds macro, macro_auto, office_active, document_encrypted, installer ... and sets the media type; visits embedded
 * packages and the attachments of Outlook messages. content: an OLE file, the part's own or one found within. */
void office_walk(struct file_scan *scan, struct slice content);

/* The records of an Excel 97 workbook stream, or of the sheets of Excel 2 to 4, which are such a stream alone. */
void office_excel_stream(struct slice stream, struct file_verdict *verdict);

/* The visit of an embedded "package" (an OLENativeStream): a file with its name. */
void office_visit_native(struct file_scan *scan, struct slice native);

#endif
