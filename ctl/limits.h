/* limits: what mailreeve rate and mailreeve greylist share. */
#ifndef MAILREEVE_CTL_LIMITS_H
#define MAILREEVE_CTL_LIMITS_H

#include "lib/policy/config.h"
#include "lib/store/store.h"

enum { LIMITS_EXIT_USAGE = 2, LIMITS_ROWS = 1000 };

struct limits_subcommand;

/* One call of the command. */
struct limits_command {
	const char *name; /* "rate" */
	const char *usage;
	const char *config_path; /* --config; NULL: the default */
	bool json;               /* --json */
	uint64_t duration;       /* --for, nanoseconds */
	const char *reason;      /* --reason */
	uint64_t rows;           /* --limit */
	const char *word;        /* the argument; NULL: none */
	uint64_t now;            /* epoch seconds */
	struct config *config;
	struct store *store;
	struct arena *arena;
};

struct limits_subcommand {
	const char *name;
	bool (*run)(struct limits_command *command);
	bool needs_word, writes;
};

/* Reads the command line, opens the store, runs the subcommand. The exit status. */
int limits_main(struct limits_command *command, const struct limits_subcommand *subcommands, int argc, char **argv);

/* Tells what is wrong; false. */
bool limits_worked(const struct limits_command *command, enum store_result result);

/* "3 h", "12 min", "45 s": of a time still to come; "0 s" when it has passed. */
const char *limits_span(struct arena *arena, uint64_t seconds);
/* "2026-11-25 01:40:00" in UTC */
const char *limits_time(struct arena *arena, uint64_t seconds);
/* A text of the store, safe to print. */
const char *limits_text(struct arena *arena, struct slice text);

#endif
