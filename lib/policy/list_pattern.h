/* list_pattern: a compiled header pattern. Bounded in steps and memory, whatever the pattern and the text are. */
#ifndef MAILREEVE_POLICY_LIST_PATTERN_H
#define MAILREEVE_POLICY_LIST_PATTERN_H

#include "lib/base/slice.h"

enum {
	LIST_PATTERN_STEPS = 50000,   /* PCRE2's match limit for one text: some milliseconds at most */
	LIST_PATTERN_MEMORY = 1024,   /* KiB of its heap */
	LIST_PATTERN_TEXT_MAX = 16384 /* bytes of a text that are looked at */
};

struct list_pattern;

/* value: of LIST_PATTERN, canonical. NULL with *problem_r in arena. Counted: _acquire and _release; the first reference
 * is the caller's. Immutable, for any number of threads. */
struct list_pattern *list_pattern_compile(struct arena *arena, struct slice value, const char **problem_r);
struct list_pattern *list_pattern_acquire(struct list_pattern *pattern); /* takes NULL */
void list_pattern_release(struct list_pattern *pattern);                 /* takes NULL */

const char *list_pattern_field(const struct list_pattern *pattern); /* name of the header field, small letters */

enum list_pattern_result { LIST_PATTERN_NO, LIST_PATTERN_MATCH, LIST_PATTERN_LIMIT };
/* text: any bytes. LIMIT: it was given up. */
enum list_pattern_result list_pattern_match(const struct list_pattern *pattern, struct slice text);

#endif
