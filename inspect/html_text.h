/* html_text: character references and attributes of HTML, as lenient as browsers are with both. */
#ifndef MAILREEVE_INSPECT_HTML_TEXT_H
#define MAILREEVE_INSPECT_HTML_TEXT_H

#include "lib/base/slice.h"

/* The text with its character references decoded to UTF-8: decimal and hexadecimal ones, with or without the semicolon,
 * and the named ones that matter in links. decoded_r: text.len bytes; never more are written. Gives how many. */
size_t html_text_decode(struct slice text, char *decoded_r);

/* Each attribute of each tag: its name as it stands, its value decoded; empty ones too. Valid during the call only.
 * What stands in comments counts: some programs read it. buffer: for values, size bytes; a value beyond it is cut. */
typedef void html_text_visitor(void *context, struct slice name, struct slice value);
void html_text_attributes(struct slice text, char *buffer, size_t size, html_text_visitor *visit, void *context);

#endif
