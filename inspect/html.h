/* html: web pages and SVG pictures as attachments, and whether their script unpacks a file that was hidden in them. */
#ifndef MAILREEVE_INSPECT_HTML_H
#define MAILREEVE_INSPECT_HTML_H

#include "lib/inspect/file_class.h"

/* text: of file_text_plain(), in small letters. Adds html, html_script and html_smuggling. Gives its media type, or
 * NULL when it is no page.
 *
 * html_smuggling is one of
 *  - a payload in the page (a long text in base64, a chain of escapes, a long list of numbers) and script that makes a
 *    file of it (createObjectURL, msSaveOrOpenBlob) or a page (document.write, eval, innerHTML with a decoder);
 *  - a data: address of a kind that is no picture, font or sound, to be opened or saved. */
const char *html_examine(struct slice text, struct file_verdict *verdict);

#endif
