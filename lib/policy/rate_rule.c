#include "lib/policy/rate_rule.h"

#include "lib/base/clock.h"
#include "lib/base/slice.h"
#include "lib/mail/domain.h"
#include "lib/policy/option_value.h"

enum { WORDS_MAX = 12, NAME_MAX_BYTES = 254, BURST_FACTOR = 1000, CAPACITY_MIN = 100 /* ns */ };

/* Limits for which no sum of nanoseconds leaves 63 bits, and for which one unit is worth many of them. */
static const uint64_t amount_max = 10000000;
static const uint64_t bytes_max = UINT64_C(1) << 50;
static const uint64_t period_max = 31 * 86400 * CLOCK_NS_PER_S;
static const uint64_t lock_max = 366 * 86400 * CLOCK_NS_PER_S;

static const char *const subjects[RATE_SUBJECT_COUNT] = {
    [RATE_CLIENT] = "client",
    [RATE_NETWORK] = "network",
    [RATE_SENDER] = "sender",
    [RATE_USER] = "user",
    [RATE_RECIPIENT] = "recipient",
    [RATE_SENDER_DOMAIN] = "sender_domain",
    [RATE_RECIPIENT_DOMAIN] = "recipient_domain",
};

static const struct {
	const char *name;
	unsigned subjects; /* bit: it can be counted for that one */
} units[RATE_UNIT_COUNT] = {
    [RATE_MESSAGES] = {"messages", ~0U},
    [RATE_RECIPIENTS] = {"recipients", ~(1U << RATE_RECIPIENT | 1U << RATE_RECIPIENT_DOMAIN)},
    [RATE_BYTES] = {"bytes", ~0U},
    [RATE_FAILURES] = {"failures", 1U << RATE_CLIENT | 1U << RATE_NETWORK | 1U << RATE_USER},
    [RATE_DISTINCT] = {"distinct", ~(1U << RATE_RECIPIENT | 1U << RATE_RECIPIENT_DOMAIN)},
    [RATE_NETWORKS] = {"networks", 1U << RATE_USER},
    [RATE_COUNTRIES] = {"countries", 1U << RATE_USER},
};

const char *rate_subject_name(enum rate_subject subject)
{
	return subjects[subject];
}

const char *rate_unit_name(enum rate_unit unit)
{
	return units[unit].name;
}

bool rate_unit_is_window(enum rate_unit unit)
{
	return unit >= RATE_DISTINCT;
}

/* ---- reading ---- */

struct parse {
	struct arena *arena;
	struct slice words[WORDS_MAX];
	size_t count, at;
	struct rate_rule *rule;
	bool has_direction, has_unit, has_burst;
	const char *amount, *burst; /* read when the unit is known */
	const char *expected;
};

static bool refuse(struct parse *parse, const char *expected)
{
	parse->expected = expected;
	return false;
}

static bool is_word(struct slice word, const char *text)
{
	return slice_equal_nocase(word, slice_from(text));
}

static bool split_words(struct parse *parse, const char *text)
{
	struct slice rest = slice_from(text);
	struct slice word;
	while (slice_split(&rest, ' ', &word)) {
		word = slice_trim(word);
		if (word.len > 0 && parse->count == WORDS_MAX) {
			return refuse(parse, "a rule of fewer words");
		}
		if (word.len > 0) {
			parse->words[parse->count++] = word;
		}
	}
	return true;
}

static bool parse_direction(struct parse *parse)
{
	struct rate_rule *rule = parse->rule;
	rule->inbound = rule->outbound = true;
	if (parse->count > 0 && is_word(parse->words[0], "inbound")) {
		rule->outbound = false;
		parse->at = 1;
	} else if (parse->count > 0 && is_word(parse->words[0], "outbound")) {
		rule->inbound = false;
		parse->at = 1;
	}
	return true;
}

/* An address or "@domain". */
static bool parse_sender(struct parse *parse, struct slice word)
{
	size_t at = word.len;
	while (at > 0 && word.data[at - 1] != '@') {
		at--;
	}
	const char *domain = domain_canonical(parse->arena, (struct slice){word.data + at, word.len - at});
	if (domain == NULL) {
		return refuse(parse, "an address such as anna@example.org, or @example.org for its domain");
	}
	bool whole = at == 1;
	parse->rule->subject = whole ? RATE_SENDER_DOMAIN : RATE_SENDER;
	const char *local = slice_dup_lower(parse->arena, (struct slice){word.data, at});
	parse->rule->name = whole ? domain : arena_printf(parse->arena, "%s%s", local, domain);
	return true;
}

static bool parse_network(struct parse *parse, struct slice word)
{
	const char *text = slice_dup(parse->arena, word);
	char address[IP_TEXT_SIZE];
	struct ip_network *network = &parse->rule->network;
	if (!ip_network_parse(text, network)) {
		return refuse(parse, "a rule that begins with client, network, sender, sender_domain, user, recipient, "
		                     "recipient_domain, an address, @DOMAIN, a network or user:NAME, such as \"user 100/1h\"");
	}
	ip_format(&network->address, address);
	parse->rule->subject = RATE_CLIENT;
	parse->rule->name = arena_printf(parse->arena, "%s/%u", address, network->prefix);
	return true;
}

static bool parse_subject(struct parse *parse)
{
	static const struct slice user = {"user:", 5};
	struct rate_rule *rule = parse->rule;
	if (parse->at == parse->count) {
		return refuse(parse, "a rule such as \"user 100/1h burst 200\"");
	}
	struct slice word = parse->words[parse->at++];
	if (word.len > NAME_MAX_BYTES) {
		return refuse(parse, "a name of at most 254 bytes");
	}
	for (size_t i = 0; i < RATE_SUBJECT_COUNT; i++) {
		if (is_word(word, subjects[i])) {
			rule->subject = (enum rate_subject)i;
			return true;
		}
	}
	if (slice_starts_nocase(word, user) && word.len > user.len) {
		rule->subject = RATE_USER;
		rule->name = slice_dup_lower(parse->arena, (struct slice){word.data + user.len, word.len - user.len});
		return true;
	}
	return slice_find(word, '@', 0) < word.len ? parse_sender(parse, word) : parse_network(parse, word);
}

/* "1h", or "h" for one. */
static bool parse_period(struct parse *parse, const char *text, uint64_t max, uint64_t *period_r)
{
	const char *whole = ascii_is_digit(text[0]) ? text : arena_printf(parse->arena, "1%s", text);
	return option_duration_parse(whole, period_r) && *period_r >= CLOCK_NS_PER_S && *period_r <= max;
}

static bool parse_amount(struct parse *parse)
{
	static const char expected[] = "a number and a period of 1s to 31d behind the first word, such as 100/1h";
	if (parse->at == parse->count) {
		return refuse(parse, expected);
	}
	struct slice word = parse->words[parse->at++];
	size_t slash = slice_find(word, '/', 0);
	if (slash == 0 || slash == word.len) {
		return refuse(parse, expected);
	}
	parse->amount = slice_dup(parse->arena, (struct slice){word.data, slash});
	const char *period = slice_dup(parse->arena, (struct slice){word.data + slash + 1, word.len - slash - 1});
	return parse_period(parse, period, period_max, &parse->rule->period) || refuse(parse, expected);
}

static bool parse_unit(struct parse *parse, struct slice word)
{
	for (size_t i = 0; i < RATE_UNIT_COUNT; i++) {
		if (is_word(word, units[i].name) && !parse->has_unit) {
			parse->has_unit = true;
			parse->rule->unit = (enum rate_unit)i;
			return true;
		}
	}
	return refuse(parse,
	              "one of messages, recipients, bytes, failures, distinct, networks, countries, \"burst NUMBER\" "
	              "or \"lock PERIOD\" behind the number, each at most once");
}

static bool parse_rest(struct parse *parse)
{
	while (parse->at < parse->count) {
		struct slice word = parse->words[parse->at++];
		bool burst = is_word(word, "burst") && parse->burst == NULL;
		bool lock = is_word(word, "lock") && parse->rule->lock == 0;
		if (!burst && !lock) {
			if (!parse_unit(parse, word)) {
				return false;
			}
			continue;
		}
		const char *value = parse->at < parse->count ? slice_dup(parse->arena, parse->words[parse->at++]) : "";
		if (burst) {
			parse->burst = value;
		} else if (!parse_period(parse, value, lock_max, &parse->rule->lock)) {
			return refuse(parse, "\"lock\" with a time of 1s to 366d, such as \"lock 4h\"");
		}
	}
	return true;
}

static bool parse_number(const struct rate_rule *rule, const char *text, uint64_t max, uint64_t *number_r)
{
	unsigned long long number = 0;
	bool good = rule->unit == RATE_BYTES ? option_size_parse(text, number_r)
	                                     : slice_to_uint(slice_from(text), UINT64_MAX, &number);
	*number_r = rule->unit == RATE_BYTES ? *number_r : number;
	return good && *number_r >= 1 && *number_r <= max;
}

static bool parse_numbers(struct parse *parse)
{
	struct rate_rule *rule = parse->rule;
	uint64_t most = rule->unit == RATE_BYTES ? bytes_max : amount_max;
	if (!parse_number(rule, parse->amount, most, &rule->amount)) {
		return refuse(parse, rule->unit == RATE_BYTES ? "a number of bytes, or with K, M or G, such as 500M/1h bytes"
		                                              : "a number of 1 to 10000000 before the \"/\"");
	}
	rule->burst = rule->amount;
	if (parse->burst != NULL && rate_unit_is_window(rule->unit)) {
		return refuse(parse, "no burst with distinct, networks and countries: they are counted over the whole period");
	}
	if (parse->burst != NULL && !parse_number(rule, parse->burst, rule->amount * BURST_FACTOR, &rule->burst)) {
		return refuse(parse, "\"burst\" with a number from 1 to 1000 times the other one");
	}
	/* A bucket of no time at all. */
	if (rate_capacity(rule) < CAPACITY_MIN) {
		return refuse(parse, "a larger \"burst\"");
	}
	return true;
}

static bool check_sense(struct parse *parse)
{
	const struct rate_rule *rule = parse->rule;
	if ((units[rule->unit].subjects & 1U << rule->subject) == 0) {
		return refuse(parse, arena_printf(parse->arena, "a unit that is counted for %s, which %s is not",
		                                  subjects[rule->subject], units[rule->unit].name));
	}
	if (rule->lock > 0 && rule->subject != RATE_USER) {
		return refuse(parse, "lock only for users: others cannot prove who they are");
	}
	if (rule->subject == RATE_USER && !rule->outbound) {
		return refuse(parse, "user rules for outbound mail: who has authenticated sends outbound");
	}
	return true;
}

static void rule_print(struct parse *parse)
{
	struct rate_rule *rule = parse->rule;
	struct strbuf text;
	bool bytes = rule->unit == RATE_BYTES;
	strbuf_init(&text, parse->arena);
	strbuf_printf(&text, "%s%s%s",
	              rule->name == NULL                    ? subjects[rule->subject]
	              : rule->subject == RATE_USER          ? "user:"
	              : rule->subject == RATE_SENDER_DOMAIN ? "@"
	                                                    : "",
	              rule->name == NULL ? "" : rule->name, " ");
	strbuf_printf(&text, "%s/%s",
	              bytes ? option_size_format(parse->arena, rule->amount)
	                    : arena_printf(parse->arena, "%llu", (unsigned long long)rule->amount),
	              option_duration_format(parse->arena, rule->period));
	if (rule->unit != RATE_MESSAGES) {
		strbuf_printf(&text, " %s", units[rule->unit].name);
	}
	if (rule->burst != rule->amount) {
		strbuf_printf(&text, " burst %s",
		              bytes ? option_size_format(parse->arena, rule->burst)
		                    : arena_printf(parse->arena, "%llu", (unsigned long long)rule->burst));
	}
	if (rule->lock > 0) {
		strbuf_printf(&text, " lock %s", option_duration_format(parse->arena, rule->lock));
	}
	rule->text = text.data;
}

bool rate_rule_parse(struct arena *arena, const char *text, struct rate_rule *rule_r, const char **expected_r)
{
	struct parse parse = {.arena = arena, .rule = rule_r};
	*rule_r = (struct rate_rule){.unit = RATE_MESSAGES};
	bool good = split_words(&parse, text) && parse_direction(&parse) && parse_subject(&parse) && parse_amount(&parse) &&
	            parse_rest(&parse) && parse_numbers(&parse) && check_sense(&parse);
	if (good) {
		rule_r->inbound = rule_r->inbound && rule_r->subject != RATE_USER;
		rule_print(&parse);
	} else {
		*expected_r = parse.expected;
	}
	return good;
}

bool rate_rules_parse(struct arena *arena, const char *const *values, size_t count, void *member,
                      const char **expected_r)
{
	struct rate_rule *items = arena_alloc(arena, count * sizeof *items);
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		if (!rate_rule_parse(arena, values[i], &items[n], expected_r)) {
			return false;
		}
		bool again = false;
		for (size_t k = 0; k < n; k++) {
			if (strcmp(items[k].text, items[n].text) == 0) {
				items[k].inbound = items[k].inbound || items[n].inbound;
				items[k].outbound = items[k].outbound || items[n].outbound;
				again = true;
			}
		}
		n += again ? 0 : 1;
	}
	if (member != NULL) {
		*(struct rate_rules *)member = (struct rate_rules){n, items};
	}
	return true;
}

/* ---- buckets ---- */

static uint64_t scale(uint64_t n, uint64_t multiply, uint64_t divide)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)n * multiply / divide;
	return product > INT64_MAX / 2 ? INT64_MAX / 2 : (uint64_t)product;
}

uint64_t rate_capacity(const struct rate_rule *rule)
{
	return scale(rule->burst, rule->period, rule->amount);
}

uint64_t rate_cost(const struct rate_rule *rule, uint64_t n)
{
	uint64_t capacity = rate_capacity(rule);
	uint64_t cost = scale(n, rule->period, rule->amount);
	uint64_t most = rule->unit == RATE_BYTES ? capacity : capacity + 1;
	return cost < most ? cost : most;
}

uint64_t rate_units(const struct rate_rule *rule, uint64_t ns)
{
	return scale(ns, rule->amount, rule->period);
}
