/* mime_charset: bytes of a declared or unknown charset as UTF-8, and encoded words (RFC 2047). For names of files. */
#ifndef MAILREEVE_INSPECT_MIME_CHARSET_H
#define MAILREEVE_INSPECT_MIME_CHARSET_H

#include "lib/base/slice.h"

/* Opens the charsets that mail uses and starts GMime, while the process may still read files; in a sandbox afterwards
 * only these are known. Once in a process, before the first call of the others. */
void mime_charset_load(void);

bool utf8_valid(struct slice text);

/* False: the charset is unknown. Bytes that do not fit it become U+FFFD. */
bool mime_charset_convert(struct arena *arena, struct slice charset, struct slice text, struct slice *out_r);

/* UTF-8 as it is; anything else is taken for Windows-1252, which holds Latin-1. */
struct slice mime_charset_guess(struct arena *arena, struct slice text);

/* UTF-16, little end first. */
struct slice mime_charset_utf16(struct arena *arena, struct slice text);

/* Each %XX as its byte. */
struct slice mime_percent_decode(struct arena *arena, struct slice text);

/* Encoded words wherever they stand, in quotes and inside of other text too. The bytes of neighbours of one charset are
 * joined first: some writers split characters. What is no encoded word is guessed. */
struct slice mime_words_decode(struct arena *arena, struct slice text);

/* As GMime, and so a real mail program, reads them. */
struct slice mime_words_gmime(struct arena *arena, struct slice text);

#endif
