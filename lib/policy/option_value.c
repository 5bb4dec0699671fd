#include "lib/policy/option_value.h"

#include "lib/base/clock.h"
#include "lib/base/slice.h"
#include "lib/mail/domain.h"
#include "lib/policy/verdict.h"

#include <math.h>
#include <stdlib.h>

enum { STRING_MAX = 4096, SCORE_MAX = 1000, ACTION_MAX = 64 };

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", CLOCK_NS_PER_MS},      {"s", CLOCK_NS_PER_S},         {"m", 60 * CLOCK_NS_PER_S},
    {"h", 3600 * CLOCK_NS_PER_S}, {"d", 86400 * CLOCK_NS_PER_S}, {NULL, 0},
};
static const struct unit sizes[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};

bool option_is_list(const struct option_row *row)
{
	return row->type == OPTION_STRINGS || row->type == OPTION_NETWORKS || row->type == OPTION_DOMAINS ||
	       row->type == OPTION_RULES;
}

static bool parse_units(const char *text, const struct unit *units, uint64_t *value_r)
{
	unsigned long long number;
	size_t digits = strspn(text, "0123456789");
	if (!slice_to_uint((struct slice){text, digits}, UINT64_MAX, &number)) {
		return false;
	}
	for (; units->suffix != NULL; units++) {
		if (slice_equal_nocase(slice_from(text + digits), slice_from(units->suffix))) {
			*value_r = number * units->factor;
			return number <= UINT64_MAX / units->factor;
		}
	}
	*value_r = 0;
	return number == 0 && text[digits] == '\0';
}

bool option_duration_parse(const char *text, uint64_t *ns_r)
{
	return parse_units(text, durations, ns_r);
}

bool option_size_parse(const char *text, uint64_t *bytes_r)
{
	return parse_units(text, sizes, bytes_r);
}

static bool parse_octal(const char *text, uint64_t *value_r)
{
	*value_r = 0;
	for (const char *c = text; *c != '\0'; c++) {
		if (*c < '0' || *c > '7' || *value_r > 07777) {
			return false;
		}
		*value_r = *value_r * 8 + (uint64_t)(*c - '0');
	}
	return text[0] != '\0';
}

static bool parse_number(const struct option_row *row, const char *text, uint64_t *value_r)
{
	unsigned long long number = 0;
	bool good = false;
	if (row->type == OPTION_UINT) {
		good = slice_to_uint(slice_from(text), UINT64_MAX, &number);
		*value_r = number;
	} else if (row->type == OPTION_MODE) {
		good = parse_octal(text, value_r);
	} else {
		good = parse_units(text, row->type == OPTION_DURATION ? durations : sizes, value_r);
	}
	return good && *value_r >= row->min && *value_r <= row->max;
}

static bool parse_bool(const char *text, bool *value_r)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (slice_equal_nocase(slice_from(text), slice_from(words[i]))) {
			*value_r = i % 2 == 1;
			return true;
		}
	}
	return false;
}

static bool parse_word(const struct option_row *row, const char *text, int *value_r)
{
	for (const struct option_word *word = row->words; word->word != NULL; word++) {
		if (slice_equal_nocase(slice_from(text), slice_from(word->word))) {
			*value_r = word->value;
			return true;
		}
	}
	return false;
}

static bool parse_networks(struct arena *arena, const char *const *values, size_t count,
                           struct option_networks *networks_r)
{
	struct ip_network *items = arena_alloc(arena, count * sizeof *items);
	for (size_t i = 0; i < count; i++) {
		if (!ip_network_parse(values[i], &items[i])) {
			return false;
		}
	}
	*networks_r = (struct option_networks){count, items};
	return true;
}

/* Texts end up in header fields, logs and paths. */
static bool is_printable(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			return false;
		}
	}
	return true;
}

static bool parse_string(const struct option_row *row, struct arena *arena, const char *text, const char **string_r)
{
	size_t length = strlen(text);
	*string_r = arena_strdup(arena, text);
	return length >= row->min && length <= (row->max == 0 ? STRING_MAX : row->max) && is_printable(text);
}

static bool parse_strings(struct arena *arena, const char *const *values, size_t count, const char *const **strings_r)
{
	const char **copy = arena_alloc(arena, (count + 1) * sizeof *copy);
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(values[i]);
		copy[i] = arena_strdup(arena, values[i]);
		if (length == 0 || length > STRING_MAX || !is_printable(values[i])) {
			return false;
		}
	}
	*strings_r = copy;
	return true;
}

static bool parse_domains(struct arena *arena, const char *const *values, size_t count, const char *const **domains_r)
{
	const char **domains = arena_alloc(arena, (count + 1) * sizeof *domains);
	for (size_t i = 0; i < count; i++) {
		domains[i] = domain_canonical(arena, slice_from(values[i]));
		if (domains[i] == NULL) {
			return false;
		}
	}
	*domains_r = domains;
	return true;
}

/* Up to three decimals, so that "%g" prints what reads back to the same. */
static bool parse_score(const char *text, double *score_r)
{
	static const char digits[] = "0123456789";
	const char *whole = text + (*text == '-' || *text == '+');
	const char *point = whole + strspn(whole, digits);
	size_t decimals = *point == '.' ? strspn(point + 1, digits) : 0;
	const char *end = *point == '.' ? point + 1 + decimals : point;
	*score_r = strtod(text, NULL);
	return point > whole && decimals <= 3 && *end == '\0' && fabs(*score_r) <= SCORE_MAX;
}

static bool parse_real(const struct option_row *row, const char *text, double *value_r)
{
	return parse_score(text, value_r) && *value_r >= (double)row->min && *value_r <= (double)row->max;
}

/* Rules are texts first: what is no text is no rule. */
static bool parse_rules(const struct option_row *row, struct arena *arena, const char *const *values, size_t count,
                        void *member)
{
	const char *const *texts;
	const char *expected;
	return parse_strings(arena, values, count, &texts) && row->parse(arena, texts, count, member, &expected);
}

bool option_parse(const struct option_row *row, struct arena *arena, const char *const *values, size_t count,
                  void *settings)
{
	void *member = (char *)settings + row->offset;
	if (!option_is_list(row) && count != 1) {
		return false;
	}
	switch (row->type) {
	case OPTION_BOOL:
		return parse_bool(values[0], member);
	case OPTION_UINT:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_MODE:
		return parse_number(row, values[0], member);
	case OPTION_STRING:
		return parse_string(row, arena, values[0], member);
	case OPTION_STRINGS:
		return parse_strings(arena, values, count, member);
	case OPTION_NETWORKS:
		return parse_networks(arena, values, count, member);
	case OPTION_DOMAINS:
		return parse_domains(arena, values, count, member);
	case OPTION_REAL:
		return parse_real(row, values[0], member);
	case OPTION_WORD:
		return parse_word(row, values[0], member);
	case OPTION_RULES:
		return parse_rules(row, arena, values, count, member);
	}
	return false;
}

size_t option_fallback(const struct option_row *row, struct arena *arena, const char *const **values_r)
{
	struct slice rest = slice_from(row->fallback);
	struct slice piece;
	size_t count = 0;
	size_t commas = 1;
	for (const char *c = row->fallback; *c != '\0'; c++) {
		commas += *c == ',';
	}
	const char **values = arena_alloc(arena, commas * sizeof *values);
	*values_r = values;
	if (!option_is_list(row)) {
		values[0] = row->fallback;
		return 1;
	}
	while (slice_split(&rest, ',', &piece)) {
		piece = slice_trim(piece);
		if (piece.len > 0) {
			values[count++] = slice_dup(arena, piece);
		}
	}
	return count;
}

/* In the largest unit that divides it. */
static const char *format_units(struct arena *arena, const struct unit *units, uint64_t value)
{
	const struct unit *best = units;
	for (const struct unit *unit = units; unit->suffix != NULL && value > 0; unit++) {
		if (value % unit->factor == 0) {
			best = unit;
		}
	}
	return arena_printf(arena, "%llu%s", (unsigned long long)(value / best->factor), best->suffix);
}

const char *option_duration_format(struct arena *arena, uint64_t ns)
{
	return format_units(arena, durations, ns);
}

const char *option_size_format(struct arena *arena, uint64_t bytes)
{
	return format_units(arena, sizes, bytes);
}

static const char *format_number(const struct option_row *row, struct arena *arena, uint64_t value)
{
	if (row->type == OPTION_MODE) {
		return arena_printf(arena, "0%llo", (unsigned long long)value);
	}
	if (row->type == OPTION_UINT) {
		return arena_printf(arena, "%llu", (unsigned long long)value);
	}
	return format_units(arena, row->type == OPTION_DURATION ? durations : sizes, value);
}

const char *option_limits(const struct option_row *row, struct arena *arena)
{
	struct strbuf text;
	switch (row->type) {
	case OPTION_UINT:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_MODE:
		return arena_printf(arena, "%s to %s", format_number(row, arena, row->min),
		                    format_number(row, arena, row->max));
	case OPTION_REAL:
		return arena_printf(arena, "%llu to %llu", (unsigned long long)row->min, (unsigned long long)row->max);
	case OPTION_WORD:
		strbuf_init(&text, arena);
		for (const struct option_word *word = row->words; word->word != NULL; word++) {
			strbuf_printf(&text, "%s%s", word == row->words ? "" : word[1].word == NULL ? " or " : ", ", word->word);
		}
		return text.data;
	case OPTION_BOOL:
	case OPTION_STRING:
	case OPTION_STRINGS:
	case OPTION_NETWORKS:
	case OPTION_DOMAINS:
	case OPTION_RULES:
		break;
	}
	return "";
}

const char *option_expected(const struct option_row *row, struct arena *arena)
{
	const char *limits = option_limits(row, arena);
	switch (row->type) {
	case OPTION_BOOL:
		return "yes or no";
	case OPTION_UINT:
		return arena_printf(arena, "a whole number, %s", limits);
	case OPTION_DURATION:
		return arena_printf(arena, "a duration with ms, s, m, h or d, %s, such as %s", limits, row->fallback);
	case OPTION_SIZE:
		return arena_printf(arena, "a size in bytes or with K, M or G, %s, such as %s", limits, row->fallback);
	case OPTION_MODE:
		return arena_printf(arena, "an octal file mode, %s", limits);
	case OPTION_STRING:
		return arena_printf(arena, "a text of %llu to %llu bytes without control characters",
		                    (unsigned long long)row->min, (unsigned long long)(row->max == 0 ? STRING_MAX : row->max));
	case OPTION_STRINGS:
		return "a list of texts such as {\"a\", \"b\"}, none empty or with control characters";
	case OPTION_NETWORKS:
		return "a list of networks such as {\"192.0.2.0/24\", \"2001:db8::/32\"}, no bits set behind the prefix";
	case OPTION_DOMAINS:
		return "a list of domain names such as {\"example.org\", \"example.net\"}";
	case OPTION_REAL:
		return arena_printf(arena, "a number with three decimals at most, %s, such as %s", limits, row->fallback);
	case OPTION_WORD:
		return limits;
	case OPTION_RULES:
		return "a list of rules";
	}
	return NULL;
}

const char *option_expected_of(const struct option_row *row, struct arena *arena, const char *text)
{
	const char *expected = option_expected(row, arena);
	if (row->type == OPTION_RULES && text[0] != '\0' && is_printable(text)) {
		row->parse(arena, &text, 1, NULL, &expected);
	}
	return expected;
}

const char action_expected[] = "ignore, \"score N\", tag, quarantine, tempfail, discard or reject";

static bool action_parse_kind(const char *text, struct action *action_r)
{
	static const enum action_kind kinds[] = {ACTION_IGNORE,   ACTION_TAG,     ACTION_QUARANTINE,
	                                         ACTION_TEMPFAIL, ACTION_DISCARD, ACTION_REJECT};
	*action_r = (struct action){.kind = ACTION_IGNORE};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (slice_equal_nocase(slice_from(text), slice_from(action_kind_name(kinds[i])))) {
			action_r->kind = kinds[i];
			return true;
		}
	}
	action_r->kind = ACTION_SCORE;
	return slice_starts_nocase(slice_from(text), SLICE_LITERAL("score ")) &&
	       parse_score(text + strlen("score "), &action_r->score);
}

/* "reject enforced": the last word is ours. */
bool action_parse(const char *text, struct action *action_r, bool *enforced_r)
{
	static const char word[] = " enforced";
	char action[ACTION_MAX];
	struct slice slice = slice_from(text);
	size_t n = strlen(word);
	*enforced_r = slice.len > n && slice_equal_nocase((struct slice){slice.data + slice.len - n, n}, slice_from(word));
	if (*enforced_r) {
		slice = slice_trim((struct slice){slice.data, slice.len - n});
	}
	if (slice.len >= sizeof action) {
		return false;
	}
	memcpy(action, slice.data, slice.len);
	action[slice.len] = '\0';
	return action_parse_kind(action, action_r) && !(*enforced_r && action_r->kind == ACTION_SCORE);
}
