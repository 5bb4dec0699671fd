/* mime_name: every name under which a mail program could show or save one file. Programs decode, clean and cut names in
 * their own ways; what judges names looks at all of them. */
#ifndef MAILREEVE_INSPECT_MIME_NAME_H
#define MAILREEVE_INSPECT_MIME_NAME_H

#include "inspect/mime_param.h"

enum { MIME_NAMES_MAX = 16, MIME_NAME_SIZE = 256, MIME_NAME_INPUT_MAX = 4096 };

/* items: most usual first, each different, UTF-8 without control bytes, shorter than MIME_NAME_SIZE; ended by NULL. */
struct mime_names {
	const char *items[MIME_NAMES_MAX + 1];
	size_t count;
	bool cut; /* there were more: the last place holds the last of them */
};

/* Adds the readings of one name as it was written, in whatever charset, encoded words (RFC 2047) or not:
 *  - its last component, then the whole of a path ("/" or "\" between folders);
 *  - without control, direction and zero-width characters, and, where there are any, with them written as "\u202e";
 *  - up to a NUL; without the blanks and dots at its end that Windows drops, and the ":stream" of its file system. */
void mime_names_add(struct mime_names *names, struct arena *arena, struct slice bytes);

/* All texts of the parameter of that name, and GMime's reading of it. */
void mime_names_add_param(struct mime_names *names, struct arena *arena, const struct mime_value *value,
                          struct slice field, const char *param);

#endif
