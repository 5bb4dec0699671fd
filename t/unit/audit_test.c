/* The audit as a library: it gives the same whatever the order of the answers; policies of MTA-STS, TLSA, the fix plan. */
#include "lib/audit/audit.h"
#include "lib/audit/sts_policy.h"
#include "lib/audit/tlsa.h"
#include "t/late_lookups.h"
#include "t/tap.h"

#include <unistd.h>

static const char zone[] = "$SECURE example.com\n"
                           "example.com. MX 10 mx.example.com.\n"
                           "example.com. MX 20 192.0.2.9.\n"
                           "mx.example.com. A 192.0.2.1\n"
                           "example.com. TXT \"v=spf1 mx include:a.example.net ptr ~all\"\n"
                           "a.example.net. TXT \"v=spf1 include:b.example.net -all\"\n"
                           "b.example.net. TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n"
                           "_dmarc.example.com. TXT \"v=DMARC1; p=none; rua=mailto:r@example.net\"\n"
                           "example.net. MX 10 mx.example.com.\n"
                           "_25._tcp.mx.example.com. TLSA 1 1 1 00\n"
                           "s1._domainkey.example.com. CNAME gone.example.net.\n"
                           "_smtp._tls.example.com. TXT \"v=TLSRPTv1; rua=mailto:t@gone.example\"\n";

static const char *all_ids(struct arena *arena, const struct audit *audit)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	for (size_t i = 0; i < audit->finding_count; i++) {
		strbuf_printf(&text, "%s ", audit->findings[i].code->id);
	}
	return text.data;
}

/* Runs it to its end; how often it was called. */
static size_t run(struct lookups *lookups, const struct audit_request *request, struct arena *arena, struct audit *audit)
{
	size_t calls = 1;
	while (!audit_run(request, lookups, arena, audit) && calls < 100) {
		late_round(lookups);
		calls++;
	}
	return calls;
}

static void test_restart(void)
{
	const char *path = late_write_zone(zone);
	struct arena *arena = arena_create(65536);
	struct audit_request request = {.domain = "Example.COM.", .validates = true, .now = 1};
	struct audit early;
	struct audit late;
	struct lookups *at_once = late_create(path, false);
	struct lookups *one_by_one = late_create(path, true);
	is_int((long long)run(at_once, &request, arena, &early), 1, "with all answers there it is called once");
	ok(run(one_by_one, &request, arena, &late) > 3, "else it is called again");
	is_text(all_ids(arena, &late), all_ids(arena, &early), "and finds the same");
	ok(strstr(all_ids(arena, &early), "mx.address ") != NULL && strstr(all_ids(arena, &early), "dkim.dangling ") != NULL,
	   "namely what is there");
	ok(late_questions(one_by_one) < 200, "the number of questions is bounded");
	const struct audit_finding **plan;
	size_t count = audit_plan(&early, arena, &plan);
	bool ordered = count > 3;
	for (size_t i = 1; i < count; i++) {
		ordered = ordered && plan[i - 1]->code->risk <= plan[i]->code->risk;
	}
	ok(ordered, "the plan begins with the greatest risk");
	ok(audit_next_steps(&early, arena)[0] != NULL, "p=none is not the end");
	late_destroy(at_once);
	late_destroy(one_by_one);
	arena_destroy(arena);
	unlink(path);
}

static void test_no_domain(void)
{
	const char *path = late_write_zone(zone);
	struct arena *arena = arena_create(65536);
	struct lookups *lookups = late_create(path, false);
	static const char *const bad[] = {"", "com", "a..b", "exa mple.com", "-", "\xff\xff.example"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct audit audit;
		struct audit_request request = {.domain = bad[i]};
		ok(audit_run(&request, lookups, arena, &audit) && audit.domain[0] == '\0', "%zu: no domain", i);
	}
	is_int((long long)late_questions(lookups), 0, "nothing is asked for those");
	late_destroy(lookups);
	arena_destroy(arena);
	unlink(path);
}

static void test_policies(void)
{
	static const struct {
		const char *text, *problem;
	} rows[] = {
	    {"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 1\n", NULL},
	    {"version: STSv1\r\nmode: none\r\nmax_age: 31557600", NULL},
	    {"max_age: 1\nmx:a.example\nother: x\nmode:testing\nversion:STSv1", NULL},
	    {"version: STSv1\nmode: enforce\nmode: bad\nmx: *.example\nmax_age: 1\n", NULL},
	    {"", "no version"},
	    {"mode: enforce\nmx: a.example\nmax_age: 1\n", "no version"},
	    {"version: STSv2\nmode: none\nmax_age: 1\n", "version is not STSv1"},
	    {"version: STSv1\nmx: a.example\nmax_age: 1\n", "no mode"},
	    {"version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1\n", "mode is neither none, testing nor enforce"},
	    {"version: STSv1\nmode: enforce\nmx: a.example\n", "no max_age"},
	    {"version: STSv1\nmode: enforce\nmx: a\nmax_age: 31557601\n", "max_age is no number of seconds up to a year"},
	    {"version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n", "max_age is no number of seconds up to a year"},
	    {"version: STSv1\nmode: enforce\nmax_age: 1\n", "no mx"},
	    {"version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n", "an mx is no name"},
	    {"version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1\n", "an mx is no name"},
	    {"version: STSv1\nnonsense\n", "a line without a colon"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t length = strlen(rows[i].text);
		char *copy = malloc(length > 0 ? length : 1); /* exactly its size: what reads behind it is seen */
		struct sts_policy policy;
		const char *problem;
		memcpy(copy, rows[i].text, length);
		bool good = sts_policy_parse((struct slice){copy, length}, &policy, &problem);
		ok(good == (rows[i].problem == NULL), "policy %zu is %s", i, rows[i].problem == NULL ? "good" : "in error");
		is_text(problem, rows[i].problem, "  why");
		free(copy);
	}
	ok(sts_mx_matches(SLICE_LITERAL("*.Example.com"), SLICE_LITERAL("mx.example.com")), "a pattern stands for one label");
	ok(!sts_mx_matches(SLICE_LITERAL("*.example.com"), SLICE_LITERAL("a.mx.example.com")), "not for two");
	ok(!sts_mx_matches(SLICE_LITERAL("*.example.com"), SLICE_LITERAL("example.com")), "nor for none");
	ok(!sts_mx_matches(SLICE_LITERAL("mx.example.com"), SLICE_LITERAL("mx2.example.com")), "a name stands for itself");
}

static void test_tlsa(void)
{
	char rdata[3 + 64] = {0};
	struct tlsa tlsa;
	static const struct {
		char usage, selector, matching;
		size_t length;
		enum tlsa_problem problem;
	} rows[] = {{3, 1, 1, 35, TLSA_GOOD},       {2, 0, 2, 67, TLSA_GOOD},       {3, 0, 0, 4, TLSA_GOOD},
	            {0, 1, 1, 35, TLSA_USAGE},      {1, 0, 0, 4, TLSA_USAGE},       {4, 1, 1, 35, TLSA_PARAMETERS},
	            {3, 2, 1, 35, TLSA_PARAMETERS}, {3, 1, 3, 35, TLSA_PARAMETERS}, {3, 1, 1, 34, TLSA_MALFORMED},
	            {3, 1, 2, 35, TLSA_MALFORMED},  {3, 1, 1, 3, TLSA_MALFORMED},   {3, 1, 1, 0, TLSA_MALFORMED}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		rdata[0] = rows[i].usage;
		rdata[1] = rows[i].selector;
		rdata[2] = rows[i].matching;
		is_int(tlsa_parse((struct slice){rdata, rows[i].length}, &tlsa), rows[i].problem, "TLSA");
	}
}

/* Each code is complete, and stands there once. */
static void test_codes(void)
{
	size_t faults = 0;
	for (const struct audit_code *code = audit_codes; code->id != NULL; code++) {
		const struct audit_code *other = audit_codes;
		while (strcmp(other->id, code->id) != 0) {
			other++;
		}
		bool costs = code->level == AUDIT_WARNING || code->level == AUDIT_FAULT;
		faults += other != code || code->meaning[0] == '\0' || code->advice[0] == '\0' || code->risk < 1 || code->risk > 5 ||
		          costs != (code->grade > 'A');
	}
	is_int((long long)faults, 0, "every code is in order");
}

int main(void)
{
	test_restart();
	test_no_domain();
	test_policies();
	test_tlsa();
	test_codes();
	return done_testing();
}
