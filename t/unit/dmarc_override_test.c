/* The operator's rules that lift a DMARC failure, and the List-Id that one of them reads. */
#include "lib/pipeline/dmarc_override.h"
#include "lib/mail/list_id.h"
#include "t/tap.h"

static const struct header_limits limits = {.max_count = 10, .max_bytes = 10000};

static void add_list_id(struct arena *arena, struct headers *headers, const char *value)
{
	char *copy = strdup(value); /* exactly sized but for its NUL: headers_add() copies */
	headers_add(headers, arena, &limits, SLICE_LITERAL("list-ID"), slice_from(copy));
	free(copy);
}

static void test_list_ids(struct arena *arena)
{
	static const struct {
		const char *value, *domain;
	} rows[] = {
	    {" <dev.lists.example>", "dev.lists.example"},
	    {" My \"list\" (of <x.evil.example>) <Dev.Lists.Example>", "dev.lists.example"},
	    {"\r\n\tMy list\r\n\t<dev.lists.example>", "dev.lists.example"},
	    {" dev.lists.example", "dev.lists.example"},
	    {" < dev.lists.example > (comment)", "dev.lists.example"},
	    {" <c++~users.lists.example>", "lists.example"},
	    {" <da39efc25c530ad145d41b86f7420c3b.021999.localhost>", "da39efc25c530ad145d41b86f7420c3b.021999.localhost"},
	    {" <dev.b\xc3\xbc"
	     "cher.example>",
	     "dev.xn--bcher-kva.example"},
	    {" <lists.example> <other.example>", "other.example"},
	    {" <dev.lists.example", NULL},
	    {" <>", NULL},
	    {" ", NULL},
	    {"", NULL},
	    {" <@>", NULL},
	    {" <a b>", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct headers headers = {.count = 0};
		add_list_id(arena, &headers, rows[i].value);
		is_text(list_id_domain(arena, &headers), rows[i].domain, arena_printf(arena, "List-Id:%s", rows[i].value));
	}
	struct headers headers = {.count = 0};
	ok(list_id_domain(arena, &headers) == NULL, "no List-Id");
	add_list_id(arena, &headers, arena_printf(arena, "<a.%0300d.example>", 0));
	ok(list_id_domain(arena, &headers) == NULL, "one that is too long");
	struct headers twice = {.count = 0};
	add_list_id(arena, &twice, "<dev.lists.example>");
	add_list_id(arena, &twice, "<dev.lists.example>");
	ok(list_id_domain(arena, &twice) == NULL, "two of them are as good as none");
}

struct row {
	const char *name;
	const char *client, *author;
	const char *spf_domain;
	enum auth_result spf;
	const char *dkim, *dkim_temporary;
	const char *list_id;
	enum override_answer answer;
	const char *expected; /* "type: comment" */
};

static const struct row rows[] = {
    {"nothing holds", "203.0.113.9", "a.example", "x.example", AUTH_PASS, "y.example", NULL, NULL, OVERRIDE_NONE, NULL},
    {"a forwarder's network", "192.0.2.77", "a.example", "x.example", AUTH_FAIL, NULL, NULL, NULL, OVERRIDE_FOUND,
     "trusted_forwarder: trusted_forwarders: client 192.0.2.77"},
    {"of IPv6", "2001:db8::7", "a.example", "", AUTH_NONE, NULL, NULL, NULL, OVERRIDE_FOUND,
     "trusted_forwarder: trusted_forwarders: client 2001:db8::7"},
    {"just outside of it", "192.0.3.1", "a.example", "", AUTH_NONE, NULL, NULL, NULL, OVERRIDE_NONE, NULL},
    {"a forwarder's MAIL FROM", "203.0.113.9", "a.example", "srs.fwd.example", AUTH_PASS, NULL, NULL, NULL,
     OVERRIDE_FOUND, "trusted_forwarder: trusted_forwarder_domains: SPF pass for srs.fwd.example"},
    {"its signature", "203.0.113.9", "a.example", "x.example", AUTH_NONE, "FWD.Example", NULL, NULL, OVERRIDE_FOUND,
     "trusted_forwarder: trusted_forwarder_domains: DKIM pass for fwd.example"},
    {"its name without a pass", "203.0.113.9", "a.example", "fwd.example", AUTH_SOFTFAIL, NULL, NULL, NULL,
     OVERRIDE_NONE, NULL},
    {"a name that ends alike", "203.0.113.9", "a.example", "notfwd.example", AUTH_PASS, "xfwd.example", NULL, NULL,
     OVERRIDE_NONE, NULL},
    {"its SPF is temporary", "203.0.113.9", "a.example", "fwd.example", AUTH_TEMPERROR, NULL, NULL, NULL,
     OVERRIDE_UNDECIDED, "trusted_forwarder: trusted_forwarder_domains: SPF temperror for fwd.example"},
    {"its key is temporary", "203.0.113.9", "a.example", "x.example", AUTH_NONE, NULL, "fwd.example", NULL,
     OVERRIDE_UNDECIDED, "trusted_forwarder: trusted_forwarder_domains: DKIM temperror for fwd.example"},
    {"its SPF is temporary, its key is not", "203.0.113.9", "a.example", "fwd.example", AUTH_TEMPERROR, "fwd.example",
     NULL, NULL, OVERRIDE_FOUND, "trusted_forwarder: trusted_forwarder_domains: DKIM pass for fwd.example"},
    {"a stranger is temporary", "203.0.113.9", "a.example", "x.example", AUTH_TEMPERROR, NULL, "y.example", NULL,
     OVERRIDE_NONE, NULL},
    {"a list, by SPF", "203.0.113.9", "a.example", "bounce.lists.example", AUTH_PASS, NULL, NULL, "<dev.lists.example>",
     OVERRIDE_FOUND, "mailing_list: mailing_lists: List-Id dev.lists.example, SPF pass for bounce.lists.example"},
    {"by DKIM", "203.0.113.9", "a.example", "x.example", AUTH_PASS, "lists.example", NULL, "<dev.lists.example>",
     OVERRIDE_FOUND, "mailing_list: mailing_lists: List-Id dev.lists.example, DKIM pass for lists.example"},
    {"a bare List-Id", "203.0.113.9", "a.example", "x.example", AUTH_PASS, "y.example", NULL, "<dev.lists.example>",
     OVERRIDE_NONE, NULL},
    {"a List-Id of one list, a pass for another", "203.0.113.9", "a.example", "other.test", AUTH_PASS, NULL, NULL,
     "<dev.lists.example>", OVERRIDE_NONE, NULL},
    {"a pass without the List-Id", "203.0.113.9", "a.example", "lists.example", AUTH_PASS, NULL, NULL, NULL,
     OVERRIDE_NONE, NULL},
    {"a List-Id above the entry", "203.0.113.9", "a.example", "lists.example", AUTH_PASS, NULL, NULL, "<example>",
     OVERRIDE_NONE, NULL},
    {"a list whose key is temporary", "203.0.113.9", "a.example", "x.example", AUTH_NONE, NULL, "lists.example",
     "<dev.lists.example>", OVERRIDE_UNDECIDED,
     "mailing_list: mailing_lists: List-Id dev.lists.example, DKIM temperror for lists.example"},
    {"an exempt author", "203.0.113.9", "exempt.example", "", AUTH_NONE, NULL, NULL, NULL, OVERRIDE_FOUND,
     "local_policy: exempt_domains: exempt.example"},
    {"one below", "203.0.113.9", "x.exempt.example", "", AUTH_NONE, NULL, NULL, NULL, OVERRIDE_FOUND,
     "local_policy: exempt_domains: exempt.example"},
    {"undecided, but exempt", "203.0.113.9", "exempt.example", "fwd.example", AUTH_TEMPERROR, NULL, NULL, NULL,
     OVERRIDE_FOUND, "local_policy: exempt_domains: exempt.example"},
    {"the first rule that holds", "192.0.2.1", "exempt.example", "fwd.example", AUTH_PASS, NULL, NULL, NULL,
     OVERRIDE_FOUND, "trusted_forwarder: trusted_forwarders: client 192.0.2.1"},
};

/* ---- ARC ---- */

#define RESULT(method_, result_, domain_) {.method = ARC_METHOD_##method_, .result = AUTH_##result_, .domain = domain_}
#define DMARC_GOOD RESULT(DMARC, PASS, "a.example")

struct arc_row {
	const char *name;
	enum auth_result result;
	size_t trusted; /* of three sets, from the newest */
	bool from_unsigned;
	size_t counts[3]; /* of the results of sets 1, 2, 3 */
	struct arc_result results[3][3];
	const char *expected; /* comment; NULL: not lifted */
	enum override_answer answer;
};

static const struct arc_row arc_rows[] = {
	{"nobody is trusted", AUTH_PASS, 0, false, {1, 1, 1}, {{DMARC_GOOD}, {DMARC_GOOD}, {DMARC_GOOD}}, NULL, OVERRIDE_NONE},
	{"the newest saw DMARC pass", AUTH_PASS, 1, false, {0, 0, 1}, {[2] = {DMARC_GOOD}},
     "arc=pass as[3].d=s3.example as[3].s=k3: dmarc=pass there", OVERRIDE_FOUND},
	{"of another author", AUTH_PASS, 1, false, {0, 0, 1}, {[2] = {RESULT(DMARC, PASS, "b.example")}}, NULL, OVERRIDE_NONE},
	{"of a domain below", AUTH_PASS, 1, false, {0, 0, 1}, {[2] = {RESULT(DMARC, PASS, "x.a.example")}}, NULL, OVERRIDE_NONE},
	{"it saw it fail", AUTH_PASS, 1, false, {0, 0, 1}, {[2] = {RESULT(DMARC, FAIL, "a.example")}}, NULL, OVERRIDE_NONE},
	{"fail, and DKIM pass", AUTH_PASS, 1, false, {0, 0, 2},
     {[2] = {RESULT(DMARC, FAIL, "a.example"), RESULT(DKIM, PASS, "a.example")}}, NULL, OVERRIDE_NONE},
	{"pass and fail", AUTH_PASS, 1, false, {0, 0, 2}, {[2] = {DMARC_GOOD, RESULT(DMARC, FAIL, "a.example")}}, NULL,
     OVERRIDE_NONE},
	{"pass for two authors", AUTH_PASS, 1, false, {0, 0, 2}, {[2] = {DMARC_GOOD, RESULT(DMARC, PASS, "b.example")}}, NULL,
     OVERRIDE_NONE},
	{"only DKIM, of the author", AUTH_PASS, 1, false, {0, 0, 2},
     {[2] = {RESULT(DKIM, FAIL, "b.example"), RESULT(DKIM, PASS, "a.example")}},
     "arc=pass as[3].d=s3.example as[3].s=k3: dkim=pass there", OVERRIDE_FOUND},
	{"only SPF, of the author", AUTH_PASS, 1, false, {0, 0, 1}, {[2] = {RESULT(SPF, PASS, "a.example")}},
     "arc=pass as[3].d=s3.example as[3].s=k3: spf=pass there", OVERRIDE_FOUND},
	{"SPF of a domain above", AUTH_PASS, 1, false, {0, 0, 1}, {[2] = {RESULT(SPF, PASS, "example")}}, NULL, OVERRIDE_NONE},
	{"an older one saw it, the newer ones its failure", AUTH_PASS, 3, false, {1, 1, 1},
     {{DMARC_GOOD}, {RESULT(DMARC, FAIL, "a.example")}, {RESULT(DMARC, FAIL, "a.example")}},
     "arc=pass as[1].d=s1.example as[1].s=k1: dmarc=pass there", OVERRIDE_FOUND},
	{"the older one is not trusted", AUTH_PASS, 2, false, {1, 1, 1},
     {{DMARC_GOOD}, {RESULT(DMARC, FAIL, "a.example")}, {RESULT(DMARC, FAIL, "a.example")}}, NULL, OVERRIDE_NONE},
	{"a chain that fails", AUTH_FAIL, 1, false, {0, 0, 1}, {[2] = {DMARC_GOOD}}, NULL, OVERRIDE_NONE},
	{"From is not signed", AUTH_PASS, 1, true, {0, 0, 1}, {[2] = {DMARC_GOOD}}, NULL, OVERRIDE_NONE},
	{"temporary, of a trusted sealer", AUTH_TEMPERROR, 1, false, {0}, {{{0}}}, "arc=temperror as[3].d=s3.example",
     OVERRIDE_UNDECIDED},
	{"temporary, of nobody", AUTH_TEMPERROR, 0, false, {0}, {{{0}}}, NULL, OVERRIDE_NONE},
};

static void test_arc(struct arena *arena)
{
	static const char *const none[] = {NULL};
	static const struct dmarc_settings settings = {{0, NULL}, none, none, none};
	for (size_t i = 0; i < sizeof arc_rows / sizeof *arc_rows; i++) {
		const struct arc_row *row = &arc_rows[i];
		struct arc_set sets[] = {{.instance = 1, .domain = "s1.example", .selector = "k1"},
		                         {.instance = 2, .domain = "s2.example", .selector = "k2"},
		                         {.instance = 3, .domain = "s3.example", .selector = "k3"}};
		for (size_t k = 0; k < 3; k++) {
			sets[k].result_count = row->counts[k];
			sets[k].results = row->results[k];
		}
		struct arc_verdict arc = {.result = row->result, .count = 3, .sets = sets, .from_signed = !row->from_unsigned};
		struct headers headers = {.count = 0};
		struct ip client = {.family = IP_UNKNOWN};
		struct dmarc_request dmarc = {.spf = NULL};
		struct override_request request = {&settings, &client, &headers, &dmarc, "a.example", &arc, row->trusted};
		struct dmarc_override override = {.type = DMARC_OVERRIDE_NONE};
		enum override_answer answer = dmarc_override_find(&request, arena, &override);
		ok(answer == row->answer, "ARC: %s", row->name);
		is_text(answer == OVERRIDE_NONE ? NULL : override.comment, row->expected, "  its comment");
		ok(answer == OVERRIDE_NONE || override.type == DMARC_OVERRIDE_LOCAL_POLICY, "  as local policy (RFC 9990)");
	}
}

static void test_rules(struct arena *arena, bool configured)
{
	struct ip_network networks[2];
	static const char *const forwarders[] = {"fwd.example", NULL};
	static const char *const lists[] = {"other.test", "lists.example", NULL};
	static const char *const exempt[] = {"exempt.example", NULL};
	static const char *const none[] = {NULL};
	ip_network_parse("192.0.2.0/24", &networks[0]);
	ip_network_parse("2001:db8::/32", &networks[1]);
	struct dmarc_settings settings = {{configured ? 2 : 0, networks},
	                                  configured ? forwarders : none,
	                                  configured ? lists : none,
	                                  configured ? exempt : none};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		struct headers headers = {.count = 0};
		struct ip client;
		struct spf_verdict spf = {.result = row->spf, .domain = row->spf_domain};
		const char *pass[] = {"unrelated.test", row->dkim, NULL};
		const char *temporary[] = {row->dkim_temporary, NULL};
		struct dmarc_request dmarc = {.spf = &spf, .dkim_pass = pass, .dkim_temporary_domains = temporary};
		static const struct arc_verdict no_chain = {.result = AUTH_NONE};
		struct override_request request = {&settings, &client, &headers, &dmarc, row->author, &no_chain, 0};
		struct dmarc_override override = {.type = DMARC_OVERRIDE_NONE};
		ip_parse(row->client, &client);
		if (row->list_id != NULL) {
			add_list_id(arena, &headers, row->list_id);
		}
		enum override_answer answer = dmarc_override_find(&request, arena, &override);
		if (!configured) {
			is_int(answer, OVERRIDE_NONE, "by default nothing is lifted");
			continue;
		}
		const char *got = override.type == DMARC_OVERRIDE_NONE
		                      ? NULL
		                      : arena_printf(arena, "%s: %s", dmarc_override_name(override.type), override.comment);
		is_int(answer, row->answer, row->name);
		is_text(got, row->expected, "  which, and why");
	}
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	test_list_ids(arena);
	test_rules(arena, true);
	test_rules(arena, false);
	test_arc(arena);
	arena_destroy(arena);
	return done_testing();
}
