/* option_value: the text of an option's value into the member of the settings struct, and back for people. */
#ifndef MAILREEVE_POLICY_OPTION_VALUE_H
#define MAILREEVE_POLICY_OPTION_VALUE_H

#include "lib/base/arena.h"
#include "lib/policy/option.h"

/* values: one text, or any number for the list types. Fills the member at row->offset of settings; memory from arena.
 * False when the value is no good: then option_expected() says what would be. */
bool option_parse(const struct option_row *row, struct arena *arena, const char *const *values, size_t count,
                  void *settings);

/* The default of the row as a list of texts. */
size_t option_fallback(const struct option_row *row, struct arena *arena, const char *const **values_r);

/* "a duration between 100ms and 60s, such as 10s" */
const char *option_expected(const struct option_row *row, struct arena *arena);
/* The same for one value that option_parse() refused: a row of rules knows more about it. */
const char *option_expected_of(const struct option_row *row, struct arena *arena, const char *text);
/* The limits alone, for the sample and the manual: "100ms to 60s", or "" where there is nothing to say. */
const char *option_limits(const struct option_row *row, struct arena *arena);

/* "90s", "5m" ... of any length that fits into 64 bits of nanoseconds, and back, in the largest unit that divides it. */
bool option_duration_parse(const char *text, uint64_t *ns_r);
const char *option_duration_format(struct arena *arena, uint64_t ns);
bool option_size_parse(const char *text, uint64_t *bytes_r); /* "10M" */
const char *option_size_format(struct arena *arena, uint64_t bytes);

bool option_is_list(const struct option_row *row);

/* "ignore", "score 1.5", "tag", "reject enforced" ... */
bool action_parse(const char *text, struct action *action_r, bool *enforced_r);
extern const char action_expected[];

#endif
