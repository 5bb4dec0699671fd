/* option: one option of the configuration = one row, in the file of the stage or part that uses it. The parser,
 * `config check`, `config show`, the sample file and mailreeve.conf(5) all come from, or are checked against, it. */
#ifndef MAILREEVE_POLICY_OPTION_H
#define MAILREEVE_POLICY_OPTION_H

#include "lib/base/arena.h"
#include "lib/base/ip.h"
#include "lib/policy/finding.h"
#include "lib/policy/list_entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Type of the option, how it is written, and the type of the settings member at `offset`. */
enum option_type {
	OPTION_BOOL,     /* yes no true false on off        bool */
	OPTION_UINT,     /* 17                              uint64_t, min..max */
	OPTION_DURATION, /* 500ms 30s 5m 2h 7d              uint64_t nanoseconds, min..max */
	OPTION_SIZE,     /* 4096 64K 10M 1G (1024s)         uint64_t bytes, min..max */
	OPTION_MODE,     /* 0660                            uint64_t, octal, min..max */
	OPTION_STRING,   /* "text"                          const char *, never NULL; min..max bytes long (max 0: 4096) */
	OPTION_STRINGS,  /* {"a", "b"}                      const char *const *, NULL-ended */
	OPTION_NETWORKS, /* {"192.0.2.0/24", "::1"}         struct option_networks */
	OPTION_DOMAINS,  /* {"example.org"}                 const char *const *, NULL-ended: domains, canonical (mail/domain.h) */
	OPTION_ENTRIES,  /* {"a@example.org", "10.0.0.0/8"} struct option_entries: of everybody's list; min: their enum list_action */
	OPTION_COUNTRIES, /* {"SE", "NO"}                   const char *const *, NULL-ended: ISO 3166-1 alpha-2, capitals */
	OPTION_ASNS,     /* {"AS29518", "64496"}            struct option_numbers: of autonomous systems */
	OPTION_REAL,     /* 2.5                             double, min..max, three decimals at most */
	OPTION_WORD,     /* one of words[]                  int: its value */
	OPTION_RULES     /* {"rule", "rule"}                what the row's own parser makes of it */
};

struct arena;
/* Reads a list of rules into the settings member (NULL: only looks whether they are good); memory from arena. A list is
 * given whole, and before that each of its elements alone, for the sake of the line. False with *expected_r: what would
 * be right ("a rule such as ..."). */
typedef bool option_parser(struct arena *arena, const char *const *values, size_t count, void *member,
                           const char **expected_r);

struct option_networks {
	size_t count;
	const struct ip_network *items;
};

struct option_entries {
	size_t count;
	const struct list_entry *items;
};

struct option_numbers {
	size_t count;
	const uint32_t *items;
};

struct option_word {
	const char *word; /* the list ends with NULL */
	int value;
};

struct option_row {
	const char *name; /* NULL ends the table */
	enum option_type type;
	size_t offset;
	const char *fallback; /* the default as an operator would write it, lists with commas between: "127.0.0.0/8, ::1" */
	uint64_t min, max;
	const struct option_word *words; /* OPTION_WORD */
	const char *help;                /* one line */
	option_parser *parse;            /* OPTION_RULES */
	/* OPTION_STRINGS: NULL, or what is wrong with an element, in arena. */
	const char *(*check)(struct arena *arena, const char *text);
	/* What people may see of a text that may hold a secret, in errors and in `config show`. NULL: all of it. */
	const char *(*shown)(struct arena *arena, const char *text);
};

/* A named block of options: `name { ... }`, or the top level of the file for "". */
struct section {
	const char *name;
	const char *help;             /* one or two sentences */
	const struct option_row *options; /* may be NULL */
	size_t settings_size;         /* of the struct that the rows fill */
	/* A stage's findings, ended by .code NULL; NULL where the section is no stage. A section with codes gets the option
	 * `mode` (off, observe, tag, enforce; default `mode`) on top of its rows. */
	const struct finding_code *codes;
	enum stage_mode mode;
	bool needed; /* `mode` cannot be off: other stages wait for this one */
	/* Makes in settings what hangs on several options, once they are read. NULL, or what is wrong, in arena, which lives
	 * as long as settings. */
	const char *(*finish)(void *settings, struct arena *arena);
	const char *example; /* lines for the sample, ended by "\n" each; NULL: none */
};

#endif
