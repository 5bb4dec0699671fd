#include "lib/auth/spf_macro.h"
#include "lib/auth/spf_record.h"
#include "t/fuzz/fuzz.h"

static bool inside(struct slice text, struct slice part)
{
	return part.len == 0 || (part.data >= text.data && part.data + part.len <= text.data + text.len);
}

/* What the evaluation relies on. */
static void check_term(struct slice text, const struct spf_term *term)
{
	require(memchr("+-~?", term->qualifier, 4) != NULL);
	require(term->text.len > 0 && inside(text, term->text) && inside(text, term->domain));
	require(term->domain.len == 0 || spf_macro_valid(term->domain, 0));
	require(term->prefix4 <= 32 && term->prefix6 <= 128);
	if (term->kind == SPF_TERM_IP) {
		struct ip_network network = term->network;
		require(network.address.family != IP_UNKNOWN && ip_network_contains(&network, &network.address));
	}
	if (term->kind == SPF_TERM_INCLUDE || term->kind == SPF_TERM_EXISTS) {
		require(term->domain.len > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_create(4096);
	struct slice text = {(const char *)data, size};
	struct spf_record record;
	const char *problem = NULL;
	if (spf_record_parse(arena, text, &record, &problem)) {
		require(spf_record_is(text));
		for (size_t i = 0; i < record.count; i++) {
			check_term(text, &record.terms[i]);
		}
		require(inside(text, record.redirect) && inside(text, record.exp));
	} else {
		require(problem != NULL && strlen(problem) < 200);
	}
	/* Memory is in proportion to the text. */
	require(arena_used(arena) <= 100 * size + 1024);
	arena_destroy(arena);
	return 0;
}
