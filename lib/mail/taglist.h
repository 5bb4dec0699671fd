/* taglist: "k=v; k=v" of DKIM signatures and keys (RFC 6376 3.2) and of DMARC records (RFC 9989 4.7). */
#ifndef MAILREEVE_MAIL_TAGLIST_H
#define MAILREEVE_MAIL_TAGLIST_H

#include "lib/base/slice.h"

enum { TAGLIST_MAX = 64 };
struct tag {
	struct slice name;  /* as written, case kept */
	struct slice value; /* trimmed, folding inside left as it is; may be empty */
};
struct taglist {
	size_t count;
	struct tag tags[TAGLIST_MAX];
	bool duplicate; /* a name (compared exactly) stood twice: RFC 6376 makes the whole list invalid */
	bool malformed; /* something between semicolons is no tag-spec (a trailing semicolon is fine) */
	bool truncated; /* more than TAGLIST_MAX tags */
};

/* Slices point into text. */
void taglist_parse(struct slice text, struct taglist *list_r);
/* The first tag of that name, exactly compared, or NULL. */
const struct tag *taglist_find(const struct taglist *list, const char *name);
/* Is the word, in letters of either case, in a list with colons between (h=, s=, t= of RFC 6376)? */
bool tag_list_has(struct slice list, const char *word);
/* The value without any folding white space inside (for base64, names and lists). */
struct slice tag_compact(struct arena *arena, struct slice value);

#endif
