/* config_private: the snapshot's inside, for config.c and config_print.c. */
#ifndef MAILREEVE_POLICY_CONFIG_PRIVATE_H
#define MAILREEVE_POLICY_CONFIG_PRIVATE_H

#include "lib/base/arena.h"
#include "lib/policy/config.h"

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
	struct action *actions[DIRECTION_COUNT]; /* one for each code */
	int *action_lines[DIRECTION_COUNT];
};

struct config {
	struct arena *arena; /* holds everything, this struct too */
	atomic_uint references;
	const char *path;
	size_t count;
	struct config_part *parts;
	int policy_line, outbound_line;
};

/* The row of the option `mode` that every stage has. */
struct option_row config_mode_row(const struct section *section);

#endif
