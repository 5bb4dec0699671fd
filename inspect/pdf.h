/* pdf: the security handler of PDF (ISO 32000-2 7.6). */
#ifndef MAILREEVE_INSPECT_PDF_H
#define MAILREEVE_INSPECT_PDF_H

#include "lib/base/slice.h"

/* An encrypted document: does it open with the empty password, so that only printing or copying is restricted? False
 * too when that cannot be told. */
bool pdf_opens_without_password(struct slice content);

#endif
