/* filetype: what a file is, by its names, its content and the two together; and what is inside of it.
 *
 * In the nursery:  filetype_load() once.
 * For each part:   filetype_examine(), then filetype_walk(), which adds to the same verdict what only the inside tells
 *                  and visits the members. The visitor calls both again for each; the budget ends it. */
#ifndef MAILREEVE_INSPECT_FILETYPE_H
#define MAILREEVE_INSPECT_FILETYPE_H

#include "lib/inspect/file_class.h"
#include "inspect/part.h"

/* Loads libmagic's database, once and for all workers; it needs no file afterwards. NULL, or what is wrong, in arena.
 */
const char *filetype_load(struct arena *arena);
void filetype_unload(void);

/* By names, declared type and signatures. Without filetype_load() the media type is that of our own tables only. */
void filetype_examine(const struct part *part, struct arena *arena, struct file_verdict *verdict_r);

/* Opens what can be opened: archives, documents, packages, pages. Calls the visitor for each member, at part->depth
 * + 1. What could not be opened, or not all of it, is a class of the verdict. The verdict is the one of
 * filetype_examine() for the same part. When the budget runs out in here the verdict gets archive_bomb, and
 * budget->exhausted says why. */
void filetype_walk(const struct part *part, struct part_budget *budget, part_visitor *visitor, void *context,
                   struct file_verdict *verdict);

#endif
