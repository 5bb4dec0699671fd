/* mime_collect: runs mime_walk() on a message and keeps what it visits, for tests. */
#ifndef MAILREEVE_T_MIME_COLLECT_H
#define MAILREEVE_T_MIME_COLLECT_H

#include "inspect/mime.h"

struct found {
	const char *type;
	const char **names; /* NULL-ended */
	struct slice content;
	const char *parent; /* its type; NULL: none */
	unsigned depth;
	bool encrypted;
};

struct collection {
	struct arena *arena;
	struct found *items;
	size_t count;
	size_t capacity;
	uint64_t bytes; /* visited */
	uint64_t ns;    /* taken */
	struct part_budget budget;
	struct mime_result result;
	bool keep; /* the contents too */
};

/* Budget: generous, 10 seconds, unless budget is given. Aborts when a visited part breaks its contract. */
void collection_open(struct collection *collection, struct slice message, const struct part_budget *budget, bool keep);
void collection_close(struct collection *collection);

bool collection_has_content(const struct collection *collection, struct slice content);
bool collection_has_name(const struct collection *collection, const char *name);

/* "boundary header-line", all or those of a class; in order. */
const char *collection_reasons(struct collection *collection);
bool collection_ambiguous(const struct collection *collection);

/* A whole file in the arena; data NULL when it cannot be read. */
struct slice collection_read_file(struct arena *arena, const char *path);

#endif
