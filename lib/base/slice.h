/* slice: bytes that somebody else owns, and a growing text in an arena.
 *
 * Case-insensitive comparisons fold ASCII only, whatever the locale: mail's keywords and domain names are ASCII. */
#ifndef MAILREEVE_BASE_SLICE_H
#define MAILREEVE_BASE_SLICE_H

#include "lib/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *data; /* not ended by NUL; may be NULL when len is 0 */
	size_t len;
};

#define SLICE_LITERAL(text) ((struct slice){(text), sizeof(text) - 1})
/* for printf's %.*s */
#define SLICE_ARGS(s) (int)(s).len, (s).data == NULL ? "" : (s).data

static inline struct slice slice_from(const char *text)
{
	return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

bool slice_equal(struct slice a, struct slice b);
bool slice_equal_nocase(struct slice a, struct slice b);
bool slice_starts_nocase(struct slice text, struct slice prefix);
bool slice_ends_nocase(struct slice text, struct slice suffix);

/* Without leading and trailing space, tab, CR and LF. */
struct slice slice_trim(struct slice text);

/* Takes what stands before the first `separator` off the front of *rest; false when *rest is used up. A text without
 * the separator gives itself once; "a," gives "a" and then "". Start with *rest the whole text and *rest.data not
 * NULL; the end is marked by data == NULL. */
bool slice_split(struct slice *rest, char separator, struct slice *piece_r);

/* Position of the first byte c at or after `from`, or text.len. */
size_t slice_find(struct slice text, char c, size_t from);

/* Decimal digits only, at most `max`; false when empty, other bytes, or too large. */
bool slice_to_uint(struct slice text, unsigned long long max, unsigned long long *value_r);

bool slice_is_ascii(struct slice text); /* no byte over 0x7f */
bool slice_is_utf8(struct slice text);  /* ASCII, and well-formed UTF-8 (RFC 3629) without C1 controls */

char *slice_dup(struct arena *arena, struct slice text);       /* with a final NUL */
char *slice_dup_lower(struct arena *arena, struct slice text); /* ASCII letters made small */

static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* A text that grows in an arena. Always ended by NUL. */
struct strbuf {
	struct arena *arena;
	char *data;
	size_t len;
	size_t capacity;
};

void strbuf_init(struct strbuf *buffer, struct arena *arena);
void strbuf_add(struct strbuf *buffer, const void *data, size_t n);
void strbuf_add_text(struct strbuf *buffer, const char *text);
void strbuf_add_slice(struct strbuf *buffer, struct slice text);
void strbuf_add_char(struct strbuf *buffer, char c);
void strbuf_printf(struct strbuf *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Length of the valid UTF-8 sequence of two to four bytes at the front of text (not empty), C1 controls excepted, or 0
 * (RFC 3629). */
size_t text_utf8_length(struct slice text);

/* Text from the network made safe for a line of a log, a reply or a header: printable ASCII stays, but not `also`;
 * every other byte becomes \xHH (valid UTF-8 stays too when `utf8`). Cut after `max` bytes of output with "...". */
char *text_escape(struct arena *arena, struct slice text, const char *also, bool utf8, size_t max);

#endif
