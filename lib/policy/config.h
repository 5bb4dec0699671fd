/* config: the snapshot. Immutable once loaded, counted, shared by all threads. */
#ifndef MAILREEVE_POLICY_CONFIG_H
#define MAILREEVE_POLICY_CONFIG_H

#include "lib/mail/address.h"
#include "lib/policy/option.h"
#include "lib/policy/scores.h"

#include <stdio.h>

enum direction { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_COUNT };
const char *direction_name(enum direction direction); /* "inbound" */

struct config;

/* Reads path with libconfuse, or takes the defaults alone when path is NULL. sections: every section of the program in
 * a fixed order (pipeline/stages.h: stages_sections()); besides them the parser knows
 *   policy { spf.fail = reject  dmarc.none = "score 1.5" ... }     action for each finding code of any section
 *   outbound { ... }                                               the same for outbound mail; not given: as in policy
 *   domain "example.org" { spf.fail = tag  score_tag = 3 ... }     for inbound mail to that domain; ".example.org": to any below it
 *   recipient "bob@example.org" { ... }                                 for inbound mail to that address, before its domain's
 * An enforced code (its trait, or "reject enforced") may be made stricter or milder by the operator in policy and outbound: he
 * owns it; nothing more specific can touch it.
 * NULL on error with *error_r (free()) "FILE:LINE: what is wrong, what was expected", several lines where several
 * errors were found. Errors: a file that cannot be read, an unknown section, option or code, an option set twice in one
 * section, a value of the wrong type or out of range. Reading goes on behind a bad value, but not behind bad grammar.
 * Only one thread may be in here at a time: libconfuse's lexer is global. */
struct config *config_load(const char *path, const struct section *const *sections, size_t count, char **error_r);

struct config *config_acquire(struct config *config); /* another reference; returns config */
void config_release(struct config *config);           /* takes NULL */

/* The struct that the rows of sections[index] filled. Valid while the reference is held. */
const void *config_settings(const struct config *config, size_t index);
enum stage_mode config_mode(const struct config *config, size_t index);
struct action config_action(const struct config *config, enum direction direction, const struct finding_code *code);

/* The blocks that concern a recipient. Valid while the reference is held. */
struct config_block;
struct config_scope {
	const struct config_block *domain, *user; /* NULL: there is none */
};
/* delimiter: bob+lists@example.org is bob@example.org too, where "+" is in it. The case of ASCII letters does not matter. */
struct config_scope config_scope(const struct config *config, const struct address *address, const char *delimiter);

/* What is said about a code for a recipient. scope NULL: no block concerns it. */
struct config_rule {
	struct action action;
	bool enforced; /* nothing lifts it */
	bool given;    /* written by the operator, not the default of the code */
};
struct config_rule config_rule(const struct config *config, enum direction direction, const struct finding_code *code,
                               const struct config_scope *scope);
/* The thresholds of score for a recipient: the section's, but for what its blocks say. */
struct scores config_scores(const struct config_scope *scope, const struct scores *section);

/* What a recipient's blocks say besides: as it was written and found to be good; his own block before his domain's.
 * NULL: neither says it. */
enum config_text {
	CONFIG_DIGEST,         /* "off", "daily", "weekly" */
	CONFIG_DIGEST_LANGUAGE /* "en" */
};
const char *config_scope_text(const struct config_scope *scope, enum config_text which);

/* The section that owns the code: its index. */
size_t config_section_of(const struct config *config, const struct finding_code *code);
/* The code of that name in any section; NULL: there is none. */
const struct finding_code *config_code(const struct config *config, const char *name);
const char *config_path(const struct config *config); /* NULL: defaults alone */

/* Every effective value, in the form of a configuration file that reads back to the same; defaults are marked by a
 * trailing comment "# default". */
void config_print(const struct config *config, FILE *out);
/* The commented sample file (conf/mailreeve.conf): every option with its help, default and limits, commented out. */
void config_print_sample(const struct section *const *sections, size_t count, FILE *out);

#endif
