/* file_tree: everything that filetype.h finds in one file, for tests. */
#ifndef MAILREEVE_T_FILE_TREE_H
#define MAILREEVE_T_FILE_TREE_H

#include "inspect/filetype.h"
#include "lib/base/arena.h"

struct file_tree {
	struct arena *arena;
	struct part_budget budget;
	struct file_verdict top; /* of the file itself */
	uint64_t classes;        /* of all that is in it */
	unsigned parts;          /* with itself */
	struct strbuf
	    text; /* a line for each, the inner before the outer: "1 name|other name type size [encrypted] class ..." */
	uint64_t milliseconds; /* of the processor: the machine may be busy */
};

/* Budget: 256 MB, 2,000 parts, 16 levels, a minute. The content is copied to a heap block of exactly its size. */
void file_tree_walk(struct file_tree *tree, const char *name, struct slice content);
void file_tree_free(struct file_tree *tree);

/* The same with a declared type, names and a budget of the caller's choice; names ends in NULL. */
void file_tree_walk_as(struct file_tree *tree, const char *const *names, const char *type, struct slice content,
                       const struct part_budget *budget);

struct part_budget file_tree_budget(void);

bool file_tree_has(const struct file_tree *tree, enum file_class class); /* anywhere */
/* "executable mismatch": the words of a set; in arena. */
const char *file_tree_words(struct arena *arena, uint64_t classes);

/* A whole file, on the heap; data is NULL when it cannot be read. */
struct slice file_tree_read(const char *path);
void file_tree_let_go(struct slice content);

#endif
