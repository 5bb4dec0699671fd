/* mime_walk: what mime.c and mime_leaf.c share. */
#ifndef MAILREEVE_INSPECT_MIME_WALK_H
#define MAILREEVE_INSPECT_MIME_WALK_H

#include "inspect/mime.h"
#include "inspect/mime_name.h"
#include "inspect/seen.h"

enum { WALK_DEPTH_MAX = 200, WALK_VALUES_MAX = 8, WALK_BOUNDARIES_MAX = 8, WALK_EMBEDDED_MAX = 64 };

struct walk {
	struct part_budget *budget;
	part_visitor *visitor;
	void *context;
	struct mime_result *result;
	struct seen seen;
	struct arena *arenas[WALK_DEPTH_MAX + 2]; /* by depth: nothing else of that depth is alive at a time */
	unsigned base;                            /* depth of the message itself */
	uint64_t serials;                         /* of decoded buffers: an address may come again */
	uint64_t unchecked;                       /* bytes looked at since the clock was */
	unsigned embedded;                        /* files found in texts */
	unsigned muted;                           /* not 0: reasons are not noted */
};

/* Where something stands. */
struct place {
	const struct part *parent;
	unsigned depth;
	uint64_t serial;       /* of the buffer that the bytes are in */
	const char *outer_end; /* of the body around it, in the same buffer; NULL: none */
	struct slice charset;  /* of the type that it is delivered as */
	bool digest;           /* without a type it is a message (RFC 2046 5.1.5) */
	bool encrypted;        /* inside multipart/encrypted */
};

enum encoding {
	ENCODING_IDENTITY,
	ENCODING_BASE64,
	ENCODING_QUOTED,
	ENCODING_UU,
	ENCODING_YENC,
	ENCODING_BINHEX,
	ENCODING_COUNT
};

/* An entity with its header understood. In the arena of its depth. */
struct entity {
	struct place place;
	struct mime_names names;
	const struct mime_value *types[WALK_VALUES_MAX]; /* none: not declared */
	size_t type_count;
	const struct mime_value *dispositions[WALK_VALUES_MAX];
	size_t disposition_count;
	bool encodings[ENCODING_COUNT]; /* those to try; one at least */
	bool any_field;
	struct slice boundaries[WALK_BOUNDARIES_MAX];
	size_t boundary_count;
};

void walk_reason(struct walk *walk, enum mime_reason reason);
bool walk_over(const struct walk *walk); /* the budget is used up */
/* Bytes were looked at: looks at the clock now and then. False: out of time. */
bool walk_looked(struct walk *walk, uint64_t bytes);
struct arena *walk_arena(struct walk *walk, unsigned depth); /* emptied by walk_arena_fresh() only */
struct arena *walk_arena_fresh(struct walk *walk, unsigned depth);

/* mime.c: an entity (a message, a part) and all in it. */
void walk_entity(struct walk *walk, const struct place *place, struct slice bytes);
/* Parts of a body by one guessed boundary. True: there were some. */
bool walk_guessed(struct walk *walk, const struct place *place, struct slice body, struct slice boundary);

/* mime_encoding.c: reads the fields; sets entity->encodings. */
void walk_encodings(struct walk *walk, struct arena *arena, const struct slice *fields, size_t count,
                    struct entity *entity);
/* The readings of an encoded body: `reading` from 0 until false. text: blanks at the ends of lines do not matter.
 * *buffer_r: to be freed; NULL where content is the body, and when false. */
bool walk_decode(struct walk *walk, enum encoding encoding, struct slice body, unsigned reading, bool text,
                 char **buffer_r, struct slice *content_r);

/* mime_leaf.c: a body that is a file, in all its encodings. */
void walk_leaf(struct walk *walk, const struct entity *entity, struct slice body);
/* Files inside a text that is not visited itself (preamble, epilogue); place: of what is found. */
void walk_text(struct walk *walk, const struct place *place, struct slice text);

bool type_is(struct slice type, const char *start); /* starts with, "multipart/" */

#endif
