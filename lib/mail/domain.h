/* domain: domain names as mail uses them. Canonical form: A-labels (RFC 5890), small letters, no final dot. */
#ifndef MAILREEVE_MAIL_DOMAIN_H
#define MAILREEVE_MAIL_DOMAIN_H

#include "lib/base/slice.h"

enum { DOMAIN_MAX = 253 };

/* The canonical form of a domain from a message or an envelope (U-labels become A-labels, UTS 46 non-transitional),
 * allocated in arena, or NULL when it is no domain name: empty, an empty label, a label over 63, over 253 bytes in
 * all, bytes other than letters, digits, '-', '_' after conversion. Underscores are let through (selectors, hosts). */
const char *domain_canonical(struct arena *arena, struct slice text);

/* On canonical names only: */
size_t domain_labels(const char *domain);              /* "a.b.c" is 3, "" is 0 */
const char *domain_parent(const char *domain);         /* "b.c" within "a.b.c"; NULL for a single label */
const char *domain_last_labels(const char *domain, size_t n); /* the last n labels, or the whole */
bool domain_is_below(const char *name, const char *ancestor); /* equal counts */

/* A pattern of an operator's rule: a name, ".example.org" for all names below that one (not itself), or "*" for every
 * name, also none (""). The canonical form, in arena, or NULL. */
const char *domain_pattern(struct arena *arena, struct slice text);
/* How closely such a pattern names a canonical name: 0 not at all; else more for a longer one, DOMAIN_SAME for itself. */
enum { DOMAIN_SAME = 1000 };
unsigned domain_pattern_match(const char *pattern, const char *domain);

#endif
