/* config: the snapshot. Immutable once loaded, counted, shared by all threads. */
#ifndef MAILREEVE_POLICY_CONFIG_H
#define MAILREEVE_POLICY_CONFIG_H

#include "lib/policy/option.h"

#include <stdio.h>

enum direction { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_COUNT };
const char *direction_name(enum direction direction); /* "inbound" */

struct config;

/* Reads path with libconfuse, or takes the defaults alone when path is NULL. sections: every section of the program in
 * a fixed order (pipeline/stages.h: stages_sections()); besides them the parser knows
 *   policy { spf.fail = reject  dmarc.none = "score 1.5" ... }     action for each finding code of any section
 *   outbound { ... }                                               the same for outbound mail; not given: as in policy
 * An enforced code may be made stricter or milder by the operator here: he owns it; what users
 * own cannot touch it.
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
/* The section that owns the code: its index. */
size_t config_section_of(const struct config *config, const struct finding_code *code);
const char *config_path(const struct config *config); /* NULL: defaults alone */

/* Every effective value, in the form of a configuration file that reads back to the same; defaults are marked by a
 * trailing comment "# default". */
void config_print(const struct config *config, FILE *out);
/* The commented sample file (conf/mailreeve.conf): every option with its help, default and limits, commented out. */
void config_print_sample(const struct section *const *sections, size_t count, FILE *out);

#endif
