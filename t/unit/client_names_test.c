/* HELO's form, where it leads, and the names of an address. What asks the DNS runs with all answers at hand and with
 * each answer late. */
#include "lib/auth/helo.h"
#include "lib/auth/iprev.h"
#include "t/late_lookups.h"
#include "t/tap.h"

#include <unistd.h>

/* ---- form ---- */

static const char *const forms[] = {
    [HELO_NAME] = "name",       [HELO_UNQUALIFIED] = "unqualified",   [HELO_UNDERSCORE] = "underscore",
    [HELO_LITERAL] = "literal", [HELO_BARE_ADDRESS] = "bare address", [HELO_MALFORMED] = "malformed"};

static const struct form_case {
	const char *text;
	enum helo_form form;
	const char *value; /* the name, or the address */
} form_cases[] = {
    {"mail.example.org", HELO_NAME, "mail.example.org"},
    {"MAIL.Example.ORG.", HELO_NAME, "mail.example.org"},
    {"m\xc3\xbcller.example", HELO_NAME, "xn--mller-kva.example"},
    {"1.2.3.example", HELO_NAME, "1.2.3.example"},
    {"a.b", HELO_NAME, "a.b"},
    {"xn--bcher-kva.example", HELO_NAME, "xn--bcher-kva.example"},
    {"192-0-2-7.example.net", HELO_NAME, "192-0-2-7.example.net"},
    {"localhost", HELO_UNQUALIFIED, NULL},
    {"DESKTOP-7Q3ABCD", HELO_UNQUALIFIED, NULL},
    {"WIN_PC", HELO_UNQUALIFIED, NULL},
    {"localhost.localdomain", HELO_NAME, "localhost.localdomain"},
    {"mail_1.example.org", HELO_UNDERSCORE, "mail_1.example.org"},
    {"_.example.org", HELO_UNDERSCORE, "_.example.org"},
    {"[192.0.2.7]", HELO_LITERAL, "192.0.2.7"},
    {"[IPv6:2001:db8::7]", HELO_LITERAL, "2001:db8::7"},
    {"[ipv6:2001:DB8:0::7]", HELO_LITERAL, "2001:db8::7"},
    {"[IPv6:::ffff:192.0.2.7]", HELO_LITERAL, "192.0.2.7"},
    {"[2001:db8::7]", HELO_BARE_ADDRESS, "2001:db8::7"},
    {"192.0.2.7", HELO_BARE_ADDRESS, "192.0.2.7"},
    {"2001:db8::7", HELO_BARE_ADDRESS, "2001:db8::7"},
    {"IPv6:2001:db8::7", HELO_BARE_ADDRESS, "2001:db8::7"},
    {"[IPv6:192.0.2.7]", HELO_MALFORMED, NULL},
    {"[192.0.2.7", HELO_MALFORMED, NULL},
    {"192.0.2.7]", HELO_MALFORMED, NULL},
    {"[192.0.2.256]", HELO_MALFORMED, NULL},
    {"[192.0.2]", HELO_MALFORMED, NULL},
    {"[]", HELO_MALFORMED, NULL},
    {"[", HELO_MALFORMED, NULL},
    {"[[192.0.2.7]]", HELO_MALFORMED, NULL},
    {"[mail.example.org]", HELO_MALFORMED, NULL},
    {"192.0.2", HELO_MALFORMED, NULL},
    {"12345", HELO_MALFORMED, NULL},
    {"host.123", HELO_MALFORMED, NULL},
    {"", HELO_MALFORMED, NULL},
    {".", HELO_MALFORMED, NULL},
    {"mail..example.org", HELO_MALFORMED, NULL},
    {".example.org", HELO_MALFORMED, NULL},
    {"mail.example.org..", HELO_MALFORMED, NULL},
    {"-mail.example.org", HELO_MALFORMED, NULL},
    {"mail-.example.org", HELO_MALFORMED, NULL},
    {"mail.example.org-", HELO_MALFORMED, NULL},
    {"mail.example.org mx", HELO_MALFORMED, NULL},
    {"mail@example.org", HELO_MALFORMED, NULL},
    {"mail.example.org:25", HELO_MALFORMED, NULL},
    {"(mail.example.org)", HELO_MALFORMED, NULL},
    {"mail\x01.example.org", HELO_MALFORMED, NULL},
    {"\xff\xfe.example.org", HELO_MALFORMED, NULL},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", HELO_MALFORMED, NULL},
};

static void test_forms(void)
{
	for (size_t i = 0; i < sizeof form_cases / sizeof *form_cases; i++) {
		const struct form_case *row = &form_cases[i];
		struct arena *arena = arena_create(1024);
		char *text = strdup(row->text); /* of its very size, for ASan */
		char address[IP_TEXT_SIZE];
		struct helo helo;
		helo_parse(arena, text, &helo);
		ip_format(&helo.address, address);
		bool is_address = helo.form == HELO_LITERAL || helo.form == HELO_BARE_ADDRESS;
		is_text(forms[helo.form], forms[row->form], arena_printf(arena, "HELO \"%s\"", row->text));
		is_text(is_address ? address : helo.name, row->value, "  its value");
		free(text);
		arena_destroy(arena);
	}
}

/* ---- the DNS ---- */

static const char zone_text[] =
    "mail.example. A 192.0.2.7\nmail.example. A 192.0.2.8\nmail.example. AAAA 2001:db8::7\n"
    "other.example. A 198.51.100.1\n"
    "six.example. AAAA 2001:db8::9\n"
    "text.example. TXT \"x\"\n"
    "dom.example. MX 10 mx1.dom.example.\ndom.example. MX 20 mail.example.\n"
    "farmx.example. MX 10 other.example.\n"
    "nullmx.example. MX 0 .\n"
    "manymx.example. MX 1 m1.example.\nmanymx.example. MX 2 m2.example.\nmanymx.example. MX 3 m3.example.\n"
    "manymx.example. MX 4 m4.example.\nmanymx.example. MX 5 m5.example.\nmanymx.example. MX 6 mail.example.\n"
    "alias.example. CNAME mail.example.\n"
    "sick.example. TXT \"x\"\n$SERVFAIL sick.example A\n"
    "half.example. A 198.51.100.1\n$TIMEOUT half.example MX\n"
    "halfgood.example. A 192.0.2.7\n$TIMEOUT halfgood.example MX\n"
    "sickmx.example. MX 1 sick.example.\n"
    "7.2.0.192.in-addr.arpa. PTR mail.example.\n"
    "8.2.0.192.in-addr.arpa. PTR other.example.\n8.2.0.192.in-addr.arpa. PTR Mail.Example.\n"
    "9.2.0.192.in-addr.arpa. PTR other.example.\n"
    "10.2.0.192.in-addr.arpa. TXT \"no PTR\"\n"
    "$SERVFAIL 11.2.0.192.in-addr.arpa PTR\n$TIMEOUT 12.2.0.192.in-addr.arpa PTR\n"
    "13.2.0.192.in-addr.arpa. PTR sick.example.\n13.2.0.192.in-addr.arpa. PTR other.example.\n"
    "14.2.0.192.in-addr.arpa. PTR sick.example.\n14.2.0.192.in-addr.arpa. PTR good14.example.\n"
    "good14.example. A 192.0.2.14\n"
    "15.2.0.192.in-addr.arpa. PTR missing.example.\n"
    "16.2.0.192.in-addr.arpa. PTR bad\\032name.example.\n"
    "17.2.0.192.in-addr.arpa. PTR .\n"
    "18.2.0.192.in-addr.arpa. CNAME 18.sub.2.0.192.in-addr.arpa.\n18.sub.2.0.192.in-addr.arpa. PTR rfc2317.example.\n"
    "rfc2317.example. A 192.0.2.18\n"
    "19.2.0.192.in-addr.arpa. PTR six.example.\n"
    "20.2.0.192.in-addr.arpa. PTR n00.example.\n20.2.0.192.in-addr.arpa. PTR n01.example.\n"
    "20.2.0.192.in-addr.arpa. PTR n02.example.\n20.2.0.192.in-addr.arpa. PTR n03.example.\n"
    "20.2.0.192.in-addr.arpa. PTR n04.example.\n20.2.0.192.in-addr.arpa. PTR n05.example.\n"
    "20.2.0.192.in-addr.arpa. PTR n06.example.\n20.2.0.192.in-addr.arpa. PTR n07.example.\n"
    "20.2.0.192.in-addr.arpa. PTR n08.example.\n20.2.0.192.in-addr.arpa. PTR n09.example.\n"
    "20.2.0.192.in-addr.arpa. PTR n10.example.\nn10.example. A 192.0.2.20\n"
    "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.\n"
    "8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.example.\n";

static const char *zone;

static const struct match_case {
	const char *name, *client;
	enum helo_match match;
	const char *detail;
} match_cases[] = {
    {"mail.example", "192.0.2.7", HELO_MATCHES, ""},
    {"mail.example", "192.0.2.8", HELO_MATCHES, ""},
    {"mail.example", "2001:db8::7", HELO_MATCHES, ""},
    {"alias.example", "192.0.2.7", HELO_MATCHES, ""},
    {"mail.example", "192.0.2.9", HELO_ELSEWHERE, "mail.example is 192.0.2.7"},
    {"six.example", "192.0.2.9", HELO_ELSEWHERE, "six.example is 2001:db8::9"},
    {"other.example", "2001:db8::7", HELO_ELSEWHERE, "other.example is 198.51.100.1"},
    {"dom.example", "192.0.2.8", HELO_MATCHES, ""},
    {"farmx.example", "192.0.2.7", HELO_ELSEWHERE, "farmx.example is 198.51.100.1"},
    {"dom.example", "198.51.100.9", HELO_ELSEWHERE, "dom.example is 192.0.2.7"},
    {"dom.example", "2001:db8::99", HELO_ELSEWHERE, "dom.example is 2001:db8::7"},
    {"manymx.example", "192.0.2.7", HELO_ELSEWHERE, "manymx.example has mail exchangers, but no address"},
    {"nullmx.example", "192.0.2.7", HELO_UNRESOLVED, "nullmx.example has neither an address nor a mail exchanger"},
    {"text.example", "192.0.2.7", HELO_UNRESOLVED, "text.example has neither an address nor a mail exchanger"},
    {"missing.example", "192.0.2.7", HELO_UNRESOLVED, "missing.example has neither an address nor a mail exchanger"},
    {"sick.example", "192.0.2.7", HELO_NOT_LOOKED_UP, "sick.example: SERVFAIL"},
    {"half.example", "192.0.2.7", HELO_NOT_LOOKED_UP, "half.example: timeout"},
    {"halfgood.example", "192.0.2.7", HELO_MATCHES, ""},
    {"sickmx.example", "192.0.2.7", HELO_NOT_LOOKED_UP, "sick.example: SERVFAIL"},
};

static void check_match(const struct match_case *row, bool late)
{
	struct arena *arena = arena_create(1024);
	struct lookups *lookups = late_create(zone, late);
	struct ip client;
	enum helo_match match = HELO_MATCHES;
	const char *detail = NULL;
	int rounds = 0;
	ip_parse(row->client, &client);
	while (!helo_resolve(row->name, &client, lookups, arena, &match, &detail) && rounds++ < 10) {
		late_round(lookups);
	}
	is_int(match, row->match, arena_printf(arena, "%s from %s%s", row->name, row->client, late ? ", late" : ""));
	is_text(detail, row->detail, "  in words");
	ok(rounds <= (late ? 3 : 0), "  in %d rounds, %zu questions", rounds, late_questions(lookups));
	late_destroy(lookups);
	arena_destroy(arena);
}

static const struct iprev_case {
	const char *client, *hint;
	bool verified;
	enum auth_result result;
	const char *name, *problem;
} iprev_cases[] = {
    {"192.0.2.7", "", false, AUTH_PASS, "mail.example", NULL},
    {"192.0.2.8", "", false, AUTH_PASS, "mail.example", NULL},
    {"192.0.2.9", "", false, AUTH_FAIL, "other.example", "other.example does not lead back to the address"},
    {"192.0.2.10", "", false, AUTH_PERMERROR, "", "the address has no PTR record"},
    {"192.0.2.99", "", false, AUTH_PERMERROR, "", "the address has no PTR record"},
    {"192.0.2.11", "", false, AUTH_TEMPERROR, "", "the address could not be looked up: SERVFAIL"},
    {"192.0.2.12", "", false, AUTH_TEMPERROR, "", "the address could not be looked up: timeout"},
    {"192.0.2.13", "", false, AUTH_TEMPERROR, "sick.example", "a name of the address could not be looked up: SERVFAIL"},
    {"192.0.2.14", "", false, AUTH_PASS, "good14.example", NULL},
    {"192.0.2.15", "", false, AUTH_FAIL, "missing.example", "missing.example does not lead back to the address"},
    {"192.0.2.16", "", false, AUTH_FAIL, "", "the address has a PTR record that is no name"},
    {"192.0.2.17", "", false, AUTH_FAIL, "", "the address has a PTR record that is no name"},
    {"192.0.2.18", "", false, AUTH_PASS, "rfc2317.example", NULL},
    {"192.0.2.19", "", false, AUTH_FAIL, "six.example", "six.example does not lead back to the address"},
    {"192.0.2.20", "", false, AUTH_FAIL, "n00.example", "n00.example does not lead back to the address"},
    {"2001:db8::7", "", false, AUTH_PASS, "mail.example", NULL},
    {"2001:db8::8", "", false, AUTH_FAIL, "mail.example", "mail.example does not lead back to the address"},
    /* A hint stands in for a PTR record that is not there, and must lead back like one. */
    {"198.51.100.1", "Other.Example.", false, AUTH_PASS, "other.example", NULL},
    {"192.0.2.99", "mail.example", false, AUTH_FAIL, "mail.example", "mail.example does not lead back to the address"},
    {"192.0.2.12", "missing.example", false, AUTH_FAIL, "missing.example",
     "missing.example does not lead back to the address"},
    {"192.0.2.7", "other.example", false, AUTH_PASS, "mail.example", NULL},
    {"192.0.2.99", "a b", false, AUTH_PERMERROR, "", "the address has no PTR record"},
    /* The MTA has done it. */
    {"192.0.2.99", "Host.Internal", true, AUTH_PASS, "host.internal", NULL},
    {"192.0.2.12", "mail.example", true, AUTH_PASS, "mail.example", NULL},
};

static void check_iprev(const struct iprev_case *row, bool late)
{
	struct arena *arena = arena_create(1024);
	struct lookups *lookups = late_create(zone, late);
	struct iprev_request request = {.hint = row->hint, .verified = row->verified};
	struct iprev_verdict verdict;
	int rounds = 0;
	ip_parse(row->client, &request.client);
	while (!iprev_check(&request, lookups, arena, &verdict) && rounds++ < 10) {
		late_round(lookups);
	}
	is_text(auth_result_name(verdict.result), auth_result_name(row->result),
	        arena_printf(arena, "iprev of %s%s%s%s", row->client, row->hint[0] == '\0' ? "" : ", said to be ",
	                     row->hint, late ? ", late" : ""));
	is_text(verdict.name, row->name, "  the name");
	is_text(verdict.problem, row->problem, "  the problem");
	ok(rounds <= (late ? 2 : 0) && late_questions(lookups) <= 1 + IPREV_MAX_NAMES, "  in %d rounds, %zu questions",
	   rounds, late_questions(lookups));
	ok(!row->verified || late_questions(lookups) == 0, "  nothing is asked where the MTA has asked");
	late_destroy(lookups);
	arena_destroy(arena);
}

int main(void)
{
	test_forms();
	zone = late_write_zone(zone_text);
	for (int late = 0; late < 2; late++) {
		for (size_t i = 0; i < sizeof match_cases / sizeof *match_cases; i++) {
			check_match(&match_cases[i], late == 1);
		}
		for (size_t i = 0; i < sizeof iprev_cases / sizeof *iprev_cases; i++) {
			check_iprev(&iprev_cases[i], late == 1);
		}
	}
	unlink(zone);
	return done_testing();
}
