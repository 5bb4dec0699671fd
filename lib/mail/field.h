/* field: the value of a structured header field that we write: folded, and safe whatever is put into it. */
#ifndef MAILREEVE_MAIL_FIELD_H
#define MAILREEVE_MAIL_FIELD_H

#include "lib/base/slice.h"

enum { FIELD_VALUE_MAX = 800 }; /* bytes of a value before it is cut: no line comes near 998 (RFC 5322 2.1.1) */

struct field {
	struct strbuf text; /* folds as LF + tab */
	size_t line;        /* width since the last fold */
};

/* first: what stands directly behind the colon and its blank. */
void field_begin(struct field *field, struct arena *arena, const char *name, const char *first);
/* A fold, and the first word of the new line. */
void field_line(struct field *field, const char *word);
/* A blank, or a fold where the line would be over 76, and the word, which has no blank and is safe. */
void field_word(struct field *field, const char *word);
/* A comment of any text: made printable US-ASCII without parentheses, quotes, semicolons and backslashes (see
 * field_quoted()), cut at 200 bytes. */
void field_comment(struct field *field, const char *comment);

/* A quoted string (RFC 5322 3.2.4) of any text: UTF-8 stays where it may (utf8: in an internationalized message, RFC
 * 6532), other bytes that cannot stand there become '?'.
 * So do what readers split at without looking at quotes, or do not know to be escaped: ";" and backslash; a quote
 * becomes an apostrophe. HELO and MAIL FROM are the client's own words, and must not become results of ours. */
const char *field_quoted(struct arena *arena, const char *value, bool utf8);
/* Can it stand without quotes, as a token (RFC 2045 5.1), as a dot-atom (RFC 5322 3.2.3)? Not when it would be cut. */
bool field_is_token(const char *text);
bool field_is_dot_atom(struct slice text, bool utf8);

#endif
