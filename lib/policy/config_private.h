/* config_private: the snapshot's inside, for the files config*.c. */
#ifndef MAILREEVE_POLICY_CONFIG_PRIVATE_H
#define MAILREEVE_POLICY_CONFIG_PRIVATE_H

#include "lib/base/arena.h"
#include "lib/policy/config.h"
#include "lib/policy/config_files.h"

#include <stdatomic.h>

/* The value of a row as it was written. */
struct config_value {
	const char *const *texts;
	size_t count;
	int line; /* 0: the default */
};

struct config_part {
	const struct section *section;
	size_t row_count, code_count;
	int line; /* where its block ended; 0: none was given */
	void *settings;
	struct config_value *values; /* one for each row */
	enum stage_mode mode;
	int mode_line;
	struct config_rule *rules[DIRECTION_COUNT]; /* one for each code */
	int *action_lines[DIRECTION_COUNT];
};

/* A block domain "..." { } or recipient "..." { }. */
struct block_rule {
	const struct finding_code *code;
	struct config_rule rule;
};
enum block_kind { BLOCK_DOMAIN, BLOCK_USER, BLOCK_KINDS };
enum block_score { BLOCK_SCORE_TAG, BLOCK_SCORE_QUARANTINE, BLOCK_SCORE_REJECT, BLOCK_SCORES };
enum { BLOCK_TEXTS = CONFIG_DIGEST_LANGUAGE + 1 };
struct config_block {
	const char *title; /* as written */
	const char *name;  /* canonical: "example.org", ".example.org", "bob@example.org" */
	int line;
	struct block_rule *rules;
	size_t count, capacity;
	double scores[BLOCK_SCORES];
	bool has_score[BLOCK_SCORES];
	const char *texts[BLOCK_TEXTS]; /* by enum config_text; NULL: not given */
};
struct config_blocks {
	struct config_block *items; /* by name, once they are all read */
	size_t count, capacity;
};

struct config {
	struct arena *arena; /* holds everything, this struct too */
	atomic_uint references;
	const char *path;
	struct config_stamp stamp; /* of the files, as they were read */
	size_t count;
	struct config_part *parts;
	int policy_line, outbound_line;
	struct config_blocks blocks[BLOCK_KINDS];
};

extern const char *const config_block_names[BLOCK_KINDS];         /* "domain", "recipient" */
extern const char *const config_block_score_names[BLOCK_SCORES]; /* "score_tag" ... */
extern const struct option_row config_block_texts[BLOCK_TEXTS];

/* The block that is being read: the last one of its kind, or a new one when its title is another. */
struct config_block *config_block_open(struct config *config, enum block_kind kind, const char *title, int line);
void config_block_add(struct config *config, struct config_block *block, const struct finding_code *code,
                      struct config_rule rule);
/* Gives it its name. NULL, or what was expected of its title. */
const char *config_block_name(struct config *config, enum block_kind kind, struct config_block *block);
/* Sorts them. NULL, or one whose name another has too. */
const struct config_block *config_blocks_close(struct config_blocks *blocks);

/* A snapshot of all defaults, with one reference. */
struct config *config_open(const struct section *const *sections, size_t count);

/* Runs the section's finish: NULL, or what is wrong. */
const char *config_part_finish(struct config *config, struct config_part *part);

/* The row of the option `mode` that every stage has. */
struct option_row config_mode_row(const struct section *section);

#endif
