/* An SPF record: read, and then looked at as a whole, in a DNS where each name has this record, an address, and more
 * mail servers than there may be. */
#include "lib/auth/spf_lint.h"
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

struct lookups {
	struct slice text;
	unsigned asked;
	bool answered; /* else every third answer is not there yet */
	struct dns_record records[12];
	struct dns_answer answer;
};

const struct dns_answer *lookups_get(struct lookups *lookups, const char *name, enum dns_type type)
{
	require(name[0] != '\0' && strlen(name) < DNS_MAX_NAME_TEXT);
	require(lookups->asked++ < 20 * 8 * SPF_LINT_NAMES_MAX);
	lookups->answer = (struct dns_answer){.status = DNS_FOUND, .count = 1, .records = lookups->records};
	lookups->records[0] =
	    (struct dns_record){.data = type == DNS_TYPE_TXT ? lookups->text : SLICE_LITERAL("a.example")};
	if (type == DNS_TYPE_MX) {
		lookups->answer.count = strlen(name) % 13;
		for (size_t i = 1; i < lookups->answer.count; i++) {
			lookups->records[i] = lookups->records[0];
		}
	}
	if (type == DNS_TYPE_A && strlen(name) % 2 == 0) {
		lookups->answer.status = DNS_NXDOMAIN;
		lookups->answer.count = 0;
	}
	return lookups->answered || lookups->asked % 3 != 0 ? &lookups->answer : NULL;
}

static void check_lint(struct slice text)
{
	struct arena *arena = arena_create(4096);
	struct lookups lookups = {.text = text};
	struct spf_lint lint;
	if (!spf_lint(SLICE_LITERAL("example.com"), &lookups, arena, &lint)) {
		lookups.answered = true;
		lookups.asked = 0;
		require(spf_lint(SLICE_LITERAL("example.com"), &lookups, arena, &lint));
	}
	require(lint.count <= SPF_LINT_FAULTS_MAX && lint.lookups <= SPF_LINT_SUM_MAX);
	for (size_t i = 0; i < lint.count; i++) {
		require(spf_fault_name(lint.faults[i].code) != NULL && strlen(lint.faults[i].text) < 400);
		for (const char *c = lint.faults[i].text; *c != '\0'; c++) {
			require(*c >= ' ' && *c <= '~');
		}
	}
	require(arena_used(arena) <= 65536);
	arena_destroy(arena);
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
	check_lint(text);
	return 0;
}
