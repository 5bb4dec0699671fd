/* file_text: files made of text, in any of the encodings that Windows reads: scripts, web pages, shortcuts, settings,
 * office documents as XML. */
#ifndef MAILREEVE_INSPECT_FILE_TEXT_H
#define MAILREEVE_INSPECT_FILE_TEXT_H

#include "lib/inspect/file_class.h"
#include "inspect/file_name.h"

/* Text is looked through up to this many bytes. */
enum { FILE_TEXT_MAX = 16 << 20 };

/* The text in small ASCII letters, UTF-16 as its low bytes, without NULs and byte order marks: what searches for words
 * need. Heap memory of at most FILE_TEXT_MAX bytes, for free(); *text_r.data is NULL where there is none. */
void file_text_plain(struct slice content, struct slice *text_r);

/* No byte in its first kilobytes that text has not; UTF-16 counts as text. */
bool file_text_is(struct slice content);

/* Adds classes. text: of file_text_plain(). promise: the most harmless reading of the names: what an editor opens
 * is no script. table: a spreadsheet opens it. Gives the media type, or NULL where libmagic may say it. */
const char *file_text_examine(struct slice text, enum file_promise promise, bool table, struct file_verdict *verdict);

#endif
