#include "lib/policy/scores.h"

#include <stddef.h>

enum { SCORE_MOST = 1000 };

static const struct option_row options[] = {
	{.name = "tag",
     .type = OPTION_REAL,
     .offset = offsetof(struct scores, tag),
     .fallback = "5",
     .max = SCORE_MOST,
     .help = "points from which a message is tagged; 0: never"},
	{.name = "quarantine",
     .type = OPTION_REAL,
     .offset = offsetof(struct scores, quarantine),
     .fallback = "0",
     .max = SCORE_MOST,
     .help = "points from which a message is quarantined; 0: never"},
	{.name = "reject",
     .type = OPTION_REAL,
     .offset = offsetof(struct scores, reject),
     .fallback = "15",
     .max = SCORE_MOST,
     .help = "points from which a message is rejected, with its heaviest finding as the reason; 0: never"},
	{.name = NULL},
};

const struct section scores_section = {
	.name = "scores",
	.help = "What the sum of all findings with an action \"score N\" leads to.",
	.options = options,
	.settings_size = sizeof(struct scores),
};
