/* file_name: what the name of an attachment says, as Windows, macOS and mail programs will read it. */
#ifndef MAILREEVE_INSPECT_FILE_NAME_H
#define MAILREEVE_INSPECT_FILE_NAME_H

#include "lib/inspect/file_class.h"
#include "inspect/part.h"

enum { FILE_EXTENSION_MAX = 32 };

/* What a name promises. */
enum file_promise {
	FILE_PROMISE_NONE,     /* no extension, or one that nobody knows */
	FILE_PROMISE_TEXT,     /* opens in an editor: whatever is in it is shown, not run */
	FILE_PROMISE_PICTURE,  /* picture, sound, film, font */
	FILE_PROMISE_DOCUMENT, /* office document, PDF, web page */
	FILE_PROMISE_ARCHIVE,
	FILE_PROMISE_RUN /* says itself what it is */
};

/* The extension that counts, in small letters, NUL-ended: behind the last dot of the last component, without the blanks
 * and dots at the end that Windows strips and without "::$DATA". "" when there is none. */
void file_name_extension(const char *name, char extension_r[FILE_EXTENSION_MAX]);

enum file_promise file_name_promise(const char *name);

/* Adds the classes of every name of the part, and of its declared media type; a double extension, text that runs
 * backwards and blanks that hide the end of a name. */
void file_name_examine(const struct part *part, struct file_verdict *verdict);

#endif
