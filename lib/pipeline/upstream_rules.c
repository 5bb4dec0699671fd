#include "lib/pipeline/upstream_rules.h"

#include "lib/base/slice.h"
#include "lib/mail/domain.h"

static const char rule_expected[] =
    "\"DOMAIN ...: SOURCE ...\" such as \"example.org: 192.0.2.0/24 file:/etc/mailreeve/filter.networks\"; a domain is "
    "example.org, .example.org (all below) or *, a source a network, file:PATH or any";
static const char trusted_expected[] = "guard, a network such as 192.0.2.0/24, or file:PATH";

/* The next word of a text with blanks and commas between words; false: there is none. */
static bool next_word(struct slice *rest, struct slice *word_r)
{
	static const char between[] = " \t,";
	size_t i = 0;
	while (i < rest->len && strchr(between, rest->data[i]) != NULL) {
		i++;
	}
	size_t start = i;
	while (i < rest->len && strchr(between, rest->data[i]) == NULL) {
		i++;
	}
	*word_r = (struct slice){rest->data + start, i - start};
	*rest = (struct slice){rest->data + i, rest->len - i};
	return word_r->len > 0;
}

static bool rule_domains(struct arena *arena, struct slice text, struct upstream_rule *rule)
{
	const char **domains = arena_alloc(arena, (text.len / 2 + 2) * sizeof *domains);
	struct slice word;
	size_t n = 0;
	rule->domains = domains;
	while (next_word(&text, &word)) {
		domains[n] = domain_pattern(arena, word);
		if (domains[n++] == NULL) {
			return false;
		}
	}
	return n > 0;
}

/* Of a file it is told what is wrong in it, of another word what may stand there. */
static bool source_add(struct network_list *list, struct arena *arena, const char *text, const char *otherwise,
                       const char **expected_r)
{
	if (network_list_add(list, arena, text, expected_r)) {
		return true;
	}
	*expected_r = strncmp(text, "file:", 5) == 0 ? *expected_r : otherwise;
	return false;
}

/* Adds to both lists: the rule's own and that of all rules. */
static bool rule_sources(struct arena *arena, struct slice text, struct upstream_rule *rule, struct network_list *all,
                         const char **expected_r)
{
	struct network_list list = {.count = 0};
	struct slice word;
	bool some = false;
	while (next_word(&text, &word)) {
		const char *source = slice_dup(arena, word);
		some = true;
		if (strcmp(source, "any") == 0) {
			rule->any = true;
		} else if (!source_add(&list, arena, source, rule_expected, expected_r)) {
			return false;
		}
	}
	*expected_r = "fewer networks in all";
	if (!network_list_join(all, arena, &list)) {
		return false;
	}
	*expected_r = rule_expected;
	network_set_make(&list, arena, &rule->sources);
	return some && !(rule->any && list.count > 0);
}

static bool rule_parse(struct arena *arena, const char *text, struct upstream_rule *rule, struct network_list *all,
                       const char **expected_r)
{
	const char *colon = strchr(text, ':');
	*expected_r = rule_expected;
	*rule = (struct upstream_rule){.any = false};
	return colon != NULL && rule_domains(arena, (struct slice){text, (size_t)(colon - text)}, rule) &&
	       rule_sources(arena, slice_from(colon + 1), rule, all, expected_r);
}

bool upstream_guard_parse(struct arena *arena, const char *const *values, size_t count, void *guard_r,
                          const char **expected_r)
{
	struct upstream_rule *rules = arena_alloc(arena, count * sizeof *rules);
	struct network_list all = {.count = 0};
	for (size_t i = 0; i < count; i++) {
		if (!rule_parse(arena, values[i], &rules[i], &all, expected_r)) {
			return false;
		}
	}
	if (guard_r != NULL) {
		struct upstream_guard *guard = guard_r;
		*guard = (struct upstream_guard){.count = count, .rules = rules};
		network_set_make(&all, arena, &guard->all);
	}
	return true;
}

bool upstream_trusted_parse(struct arena *arena, const char *const *values, size_t count, void *trusted_r,
                            const char **expected_r)
{
	struct upstream_trusted trusted = {.guard = false};
	struct network_list list = {.count = 0};
	*expected_r = trusted_expected;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(values[i], "guard") == 0) {
			trusted.guard = true;
		} else if (!source_add(&list, arena, values[i], trusted_expected, expected_r)) {
			return false;
		}
	}
	network_set_make(&list, arena, &trusted.networks);
	if (trusted_r != NULL) {
		*(struct upstream_trusted *)trusted_r = trusted;
	}
	return true;
}

static unsigned rule_match(const struct upstream_rule *rule, const char *domain)
{
	unsigned best = 0;
	for (size_t i = 0; rule->domains[i] != NULL; i++) {
		unsigned match = domain_pattern_match(rule->domains[i], domain);
		best = match > best ? match : best;
	}
	return best;
}

enum upstream_answer upstream_guard_check(const struct upstream_guard *guard, const char *domain,
                                          const struct ip *client)
{
	enum upstream_answer answer = UPSTREAM_NOT_GUARDED;
	unsigned best = 0;
	if (client->family == IP_UNKNOWN) {
		return UPSTREAM_NOT_GUARDED;
	}
	for (size_t i = 0; i < guard->count; i++) {
		const struct upstream_rule *rule = &guard->rules[i];
		unsigned match = rule_match(rule, domain);
		if (match == 0 || match < best) {
			continue;
		}
		enum upstream_answer this = rule->any                                      ? UPSTREAM_NOT_GUARDED
		                            : network_set_contains(&rule->sources, client) ? UPSTREAM_MAY_DELIVER
		                                                                           : UPSTREAM_DIRECT;
		if (match > best || answer == UPSTREAM_DIRECT) {
			answer = this;
		}
		best = match;
	}
	return answer;
}

bool upstream_is_trusted(const struct upstream_trusted *trusted, const struct upstream_guard *guard,
                         const struct ip *address)
{
	return network_set_contains(&trusted->networks, address) ||
	       (trusted->guard && network_set_contains(&guard->all, address));
}
