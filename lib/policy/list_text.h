/* list_text: entries as text: a line for people, and a JSON object for programs. What one writes the other side reads
 * back to the same.
 *
 *   ACTION OWNER VALUE [enforced] [forced] [until=TIME] [added=TIME] [by=NAME] [# NOTE]
 *   block * spammer@example.net until=2026-12-31 # wrote to all of us
 *   allow bob@example.org partner.example
 *
 *   {"action":"block","owner":"","entry":"spammer@example.net","kind":"address","enforced":false,"forced":false,
 *    "expires":"2027-01-01T00:00:00Z","added":null,"by":"","note":"wrote to all of us"} */
#ifndef MAILREEVE_POLICY_LIST_TEXT_H
#define MAILREEVE_POLICY_LIST_TEXT_H

#include "lib/policy/list_entry.h"

enum { LIST_LINE_MAX = 8192 };

enum list_line { LIST_LINE_ENTRY, LIST_LINE_EMPTY, LIST_LINE_BAD };

/* One line without its end; empty ones and those that begin with "#" are LIST_LINE_EMPTY, "{" begins JSON. defaults:
 * what a line that is only VALUE and what follows it has for ACTION, OWNER and all else; NULL: each line has its own.
 * now: for times to live. BAD: *problem_r, in arena. */
enum list_line list_line_parse(struct arena *arena, struct slice line, const struct list_entry *defaults, uint64_t now,
                               struct list_entry *entry_r, const char **problem_r);

/* Without a line end. */
const char *list_line_format(struct arena *arena, const struct list_entry *entry);
const char *list_json_format(struct arena *arena, const struct list_entry *entry);

#endif
