/* xml: text of the network as XML 1.0 character data. */
#ifndef MAILREEVE_REPORT_XML_H
#define MAILREEVE_REPORT_XML_H

#include "lib/base/slice.h"

/* Markup is escaped; bytes that are no UTF-8, and characters that XML cannot hold, become U+FFFD. */
void xml_add_text(struct strbuf *out, struct slice text);

/* <name>text</name> and a line end, after so many blanks. NULL: nothing at all. */
void xml_add_element(struct strbuf *out, int indent, const char *name, const char *text);

#endif
