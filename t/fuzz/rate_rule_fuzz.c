/* Rate limits, and causes of greylisting, as a configuration may spell them. */
#include "lib/pipeline/greylist_cause.h"
#include "lib/policy/rate_rule.h"
#include "t/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	char *text = malloc(size + 1);
	struct rate_rule rule, again;
	struct greylist_causes causes;
	const char *expected = NULL;
	memcpy(text, data, size);
	text[size] = '\0';
	if (rate_rule_parse(arena, text, &rule, &expected)) {
		require(rule.inbound || rule.outbound);
		require(rule.amount > 0 && rule.burst > 0 && rule.period > 0);
		require(rate_capacity(&rule) > 0 && rate_capacity(&rule) < UINT64_C(1) << 62);
		require(rate_cost(&rule, 1) > 0 || rule.unit == RATE_BYTES);
		require(rate_cost(&rule, UINT64_MAX) <= rate_capacity(&rule) + 1);
		require(rate_units(&rule, rate_capacity(&rule)) <= rule.burst);
		require(rate_rule_parse(arena, rule.text, &again, &expected) && strcmp(again.text, rule.text) == 0);
	} else {
		require(expected != NULL);
	}
	const char *one = text;
	expected = NULL;
	if (greylist_causes_parse(arena, &one, 1, &causes, &expected)) {
		greylist_cause_matches(&causes.items[0], "client.ptr_missing");
	} else {
		require(expected != NULL);
	}
	free(text);
	arena_destroy(arena);
	return 0;
}
