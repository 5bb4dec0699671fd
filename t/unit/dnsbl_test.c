/* Definitions of lists, their answers, and their keys, which nobody sees. */
#include "lib/dnsbl/dnsbl.h"
#include "t/tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena *arena;

struct bad {
	const char *text, *says;
};

static const struct bad bad[] = {
    {"", "the name of a ready list"},
    {"nosuch", "the name of a ready list"},
    {"bl.example", "codes=... is needed"},
    {"bl.example codes=", "codes: empty"},
    {"bl.example codes=127.0.0.2 codex=1", "word \"codex\""},
    {"bl.example codes=127.0.0.2 shrug", "action \"shrug\""},
    {"bl.example codes=127.0.0.2 action=skip", "action \"skip\""},
    {"bl.example codes=127.0.0.2 score=x", "action \"score=x\""},
    {"bl.example codes=127.0.0.2 score=", "action \"score=\""},
    {"bl.example codes=127.0.0.2 score=1001", "score=1001"},
    {"bl.example codes=127.0.0.2 score=0x10", "score=0x10"},
    {"bl.example codes=127.0.0.2 lift", "only a list of kind=allow"},
    {"bl.example codes=128.0.0.2", "PATTERN"},
    {"bl.example codes=127.0.0", "PATTERN"},
    {"bl.example codes=127.0.0.2.3", "PATTERN"},
    {"bl.example codes=127.0.0.256", "PATTERN"},
    {"bl.example codes=127.0.0.9-2", "PATTERN"},
    {"bl.example codes=127.0.0.&0", "PATTERN"},
    {"bl.example codes=127.255.255.254", "PATTERN"},
    {"bl.example codes=127.0.0.1/24", "PATTERN"},
    {"bl.example codes=126.0.0.0/7", "PATTERN"},
    {"bl.example codes=*.0.0.2", "PATTERN"},
    {"bl.example codes=127.0.0.2:a:perhaps", "action \"perhaps\""},
    {"spamhaus-zen codes=ABC:reject", "codes: \"ABC\""},
    {"spamhaus-zen codes=PBL", "codes: \"PBL\""},
    {"bl.example codes=127.0.0.2 kind=odd", "client, allow or domain"},
    {"bl.example codes=127.0.0.2 ip=5", "4, 6 or both"},
    {"bl.example codes=127.0.0.2 on=from", "only a list of kind=domain"},
    {"bl.example codes=127.0.0.2 kind=domain on=from,body", "on \"body\""},
    {"bl.example codes=127.0.0.2 kind=domain names=all", "domain, host or both"},
    {"bl.example codes=127.0.0.2 txt=maybe", "yes or no"},
    {"bl.example codes=127.0.0.2 test=a", "LISTED,UNLISTED"},
    {"bl.example codes=127.0.0.2 test=a,b,c", "LISTED,UNLISTED"},
    {"bl.example codes=127.0.0.2 test=a..b,c", "LISTED,UNLISTED"},
    {"bl.example codes=127.0.0.2 url=https://x/%s%s", "%s"},
    {"bl.example codes=127.0.0.2 url=https://x/%n", "%s"},
    {"bl.example codes=127.0.0.2 name=a/b", "name \"a/b\""},
    {"bl.example codes=127.0.0.2 key=abc", "no %k"},
    {"%k.example codes=127.0.0.2", "name"},
    {"spamhaus-zrd", "a key is needed"},
    {"spamhaus-zrd key=a.b", "key: expected"},
    {"spamhaus-zrd key_file=/nonexistent/key", "No such file"},
    {"spamcop zone=a..b", "zone \"a..b\""},
};

static void test_bad(void)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct dnsbl_list list;
		const char *problem = dnsbl_list_parse(arena, bad[i].text, &list);
		ok(problem != NULL && strstr(problem, bad[i].says) != NULL, "refused: %s: %s", bad[i].text,
		   problem == NULL ? "(good)" : problem);
	}
}

static struct dnsbl_list parsed(const char *text)
{
	struct dnsbl_list list;
	const char *problem = dnsbl_list_parse(arena, text, &list);
	ok(problem == NULL, "good: %s%s%s", text, problem == NULL ? "" : ": ", problem == NULL ? "" : problem);
	return list;
}

static void test_known(void)
{
	for (const struct dnsbl_known *known = dnsbl_known; known->name != NULL; known++) {
		struct dnsbl_list list;
		bool keyed = strstr(known->words, "zone=%k") != NULL;
		const char *text = arena_printf(arena, "%s%s", known->name, keyed ? " key=k3y" : "");
		const char *problem = dnsbl_list_parse(arena, text, &list);
		is_text(problem, NULL, text);
		is_text(list.name, known->name, "  by its name");
	}
}

static const struct dns_answer no_name = {.status = DNS_NXDOMAIN};
static const struct dns_answer down = {.status = DNS_TEMPORARY, .problem = "SERVFAIL"};

/* "127.0.0.2 127.0.0.10" */
static struct dns_answer answer_of(const char *text)
{
	struct slice rest = slice_from(text);
	struct slice word;
	struct dns_record *records = arena_alloc(arena, 8 * sizeof *records);
	struct dns_answer answer = {.status = DNS_FOUND, .records = records};
	while (slice_split(&rest, ' ', &word)) {
		ip_parse(slice_dup(arena, word), &records[answer.count++].address);
	}
	return answer;
}

struct row {
	const char *list, *answer;
	enum dnsbl_result result;
	const char *says; /* names, or in the problem */
};

static const struct row rows[] = {
    {"bl.example codes=127.0.0.2", "127.0.0.2", DNSBL_LISTED, "127.0.0.2"},
    {"bl.example codes=127.0.0.2:bad", "127.0.0.2", DNSBL_LISTED, "bad"},
    {"bl.example codes=127.0.0.2", "127.0.0.3", DNSBL_ERROR, "not in codes"},
    {"bl.example codes=127.0.0.2", "127.255.255.254", DNSBL_ERROR, "public resolver"},
    {"bl.example codes=127.0.0.2", "127.255.255.252", DNSBL_ERROR, "name of the zone"},
    {"bl.example codes=127.0.0.2", "127.255.255.255", DNSBL_ERROR, "too often"},
    {"bl.example codes=127.0.0.0/8", "127.255.255.1", DNSBL_ERROR, "error code"},
    {"bl.example codes=127.0.0.0/8", "127.99.1.2", DNSBL_LISTED, "127.99.1.2"},
    {"bl.example codes=127.0.0.0/24", "127.0.1.2", DNSBL_ERROR, "not in codes"},
    {"bl.example codes=127.0.0.2", "203.0.113.5", DNSBL_ERROR, "parked"},
    {"bl.example codes=127.0.0.2", "127.0.0.2 203.0.113.5", DNSBL_ERROR, "parked"},
    {"bl.example codes=127.0.0.2", "127.0.0.2 127.0.0.9", DNSBL_LISTED, "127.0.0.2"},
    {"bl.example codes=127.0.0.2-11", "127.0.0.11", DNSBL_LISTED, "127.0.0.11"},
    {"bl.example codes=127.0.0.2-11", "127.0.0.12", DNSBL_ERROR, "not in codes"},
    {"spamhaus-zen", "127.0.0.2 127.0.0.4 127.0.0.10", DNSBL_LISTED, "SBL, XBL, PBL"},
    {"spamhaus-zen codes=PBL:skip", "127.0.0.10", DNSBL_UNLISTED, NULL},
    {"spamhaus-zen codes=PBL:skip", "127.0.0.10 127.0.0.3", DNSBL_LISTED, "CSS"},
    {"spamhaus-zen codes=127.0.0.2", "127.0.0.4", DNSBL_ERROR, "not in codes"},
    {"spamhaus-dbl", "127.0.1.2", DNSBL_LISTED, "spam"},
    {"spamhaus-dbl", "127.0.1.255", DNSBL_ERROR, "not in codes"},
    {"surbl", "127.0.0.8", DNSBL_LISTED, "phish"},
    {"surbl", "127.0.0.88", DNSBL_LISTED, "phish, malware, abuse"},
    {"surbl", "127.0.0.1", DNSBL_ERROR, "not in codes"},
    {"surbl", "127.0.0.36", DNSBL_UNLISTED, NULL},
    {"uribl", "127.0.0.1", DNSBL_ERROR, "not in codes"},
    {"uribl", "127.0.0.2", DNSBL_LISTED, "black"},
    {"uribl", "127.0.0.4", DNSBL_UNLISTED, NULL},
    {"dnswl", "127.0.10.3", DNSBL_LISTED, "high"},
    {"dnswl", "127.0.5.1", DNSBL_UNLISTED, NULL},
    {"dnswl", "127.0.0.255", DNSBL_ERROR, "not in codes"},
};

static void test_answers(void)
{
	struct dnsbl_match match;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dnsbl_list list;
		struct dns_answer answer = answer_of(rows[i].answer);
		dnsbl_list_parse(arena, rows[i].list, &list);
		enum dnsbl_result result = dnsbl_judge(&list, &answer, arena, &match);
		const char *says = result == DNSBL_LISTED ? match.names : match.problem;
		bool said = rows[i].says == NULL ? says == NULL : says != NULL && strstr(says, rows[i].says) != NULL;
		ok(result == rows[i].result && said, "%s answers %s: %s", rows[i].list, rows[i].answer,
		   says == NULL ? "-" : says);
	}
	struct dnsbl_list list = parsed("spamcop");
	is_int(dnsbl_judge(&list, &no_name, arena, &match), DNSBL_UNLISTED, "no such name: not listed");
	is_int(dnsbl_judge(&list, &down, arena, &match), DNSBL_ERROR, "no answer: an error, not \"not listed\"");
	is_text(match.problem, "SERVFAIL", "and why");
}

static void test_actions(void)
{
	struct dnsbl_match match;
	struct dnsbl_list list = parsed("spamhaus-zen codes=SBL:reject,PBL:score=-1.5 score=2");
	struct dns_answer answer = answer_of("127.0.0.10 127.0.0.4 127.0.0.2");
	dnsbl_judge(&list, &answer, arena, &match);
	struct dnsbl_action action = dnsbl_action_of(&list, match.code);
	ok(action.given && action.action.kind == ACTION_REJECT, "the strictest code counts");
	answer = answer_of("127.0.0.4");
	dnsbl_judge(&list, &answer, arena, &match);
	action = dnsbl_action_of(&list, match.code);
	ok(action.action.kind == ACTION_SCORE && action.action.score == 2, "a code without an action has the list's");
	list = parsed("bl.example codes=127.0.0.2");
	ok(!list.action.given, "none given: the finding's own default");
	list = parsed("dnswl");
	ok(list.kind == DNSBL_ALLOW && list.action.lift, "a good list lifts");
	list = parsed("dnswl score=-4");
	ok(!list.action.lift && list.action.action.score == -4, "or counts for it");
}

static void test_names(void)
{
	char name[DNS_MAX_NAME_TEXT];
	struct dnsbl_list list = parsed("bl.example codes=127.0.0.2");
	struct ip ip;
	ip_parse("192.0.2.99", &ip);
	ok(dnsbl_address_name(&list, &ip, name), "IPv4");
	is_text(name, "99.2.0.192.bl.example", "RFC 5782 2.1");
	ip_parse("2001:db8:1:2:3:4:567:89ab", &ip);
	ok(dnsbl_address_name(&list, &ip, name), "IPv6");
	is_text(name, "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example", "RFC 5782 2.4");
	dnsbl_test_name(&list, true, name);
	is_text(name, "2.0.0.127.bl.example", "its test entry");
	dnsbl_test_name(&list, false, name);
	is_text(name, "1.0.0.127.bl.example", "and what it must not list");
	list = parsed("bl.example ip=6 codes=127.0.0.2");
	ip_parse("192.0.2.99", &ip);
	ok(!dnsbl_address_name(&list, &ip, name), "a list of IPv6 addresses is not asked for IPv4");
	dnsbl_test_name(&list, true, name);
	is_text(name, "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.example",
	        "its test entry: RFC 5782 5");
	list = parsed("dbl.example kind=domain codes=127.0.0.2");
	ok(dnsbl_domain_name(&list, "spam.example", name), "a domain");
	is_text(name, "spam.example.dbl.example", "in front of the zone");
	dnsbl_test_name(&list, true, name);
	is_text(name, "test.dbl.example", "TEST");
	dnsbl_test_name(&list, false, name);
	is_text(name, "invalid.dbl.example", "INVALID");
	ok(list.places == (1U << DNSBL_PLACE_COUNT) - 1 - (1U << DNSBL_DKIM), "asked on all but DKIM");
	list = parsed("dbl.example kind=domain codes=127.0.0.2 test=bad.example,good.example on=helo,url");
	dnsbl_test_name(&list, true, name);
	is_text(name, "bad.example.dbl.example", "test entries of its own");
	ok(list.places == (1U << DNSBL_HELO | 1U << DNSBL_URL), "places of its own");
	char *label =
	    arena_strdup(arena, "a.bcdefghijklmnopqrstuvwxyz.bcdefghijklmnopqrstuvwxyz.bcdefghijklmnopqrstuvwxyz."
	                        "bcdefghijklmnopqrstuvwxyz.bcdefghijklmnopqrstuvwxyz.bcdefghijklmnopqrstuvwxyz."
	                        "bcdefghijklmnopqrstuvwxyz.bcdefghijklmnopqrstuvwxyz.bcdefghijklmnopqrstuvwxyz.example");
	ok(!dnsbl_domain_name(&list, label, name), "a name that would be too long is not asked for");
	is_text(dnsbl_registrable("a.b.co.uk"), "b.co.uk", "what somebody registered");
	is_text(dnsbl_registrable("www.spam.example"), "spam.example", "below an unknown top");
	is_text(dnsbl_registrable("co.uk"), "co.uk", "a public suffix is itself");
	is_text(dnsbl_page(arena, &(struct dnsbl_list){.url = "https://x/?q=%s&y"}, "a.b"), "https://x/?q=a.b&y",
	        "the page");
}

static void test_tests(void)
{
	bool dead;
	struct dnsbl_list list = parsed("spamcop");
	struct dns_answer listed = answer_of("127.0.0.2");
	struct dns_answer refused = answer_of("127.255.255.254");
	struct dns_answer parked = answer_of("203.0.113.5");
	is_text(dnsbl_test(&list, &listed, &no_name, arena, &dead), NULL, "in order");
	ok(strstr(dnsbl_test(&list, &no_name, &no_name, arena, &dead), "does not list") != NULL && !dead, "empty");
	ok(strstr(dnsbl_test(&list, &listed, &listed, arena, &dead), "so everything") != NULL, "lists all");
	ok(strstr(dnsbl_test(&list, &refused, &refused, arena, &dead), "public resolver") != NULL && dead, "refuses");
	ok(strstr(dnsbl_test(&list, &parked, &parked, arena, &dead), "parked") != NULL, "parked");
	ok(strstr(dnsbl_test(&list, &down, &down, arena, &dead), "SERVFAIL") != NULL && dead, "down");
	ok(strstr(dnsbl_test(&list, &listed, &down, arena, &dead), "SERVFAIL") != NULL && dead, "half down");
}

static void write_key(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0,
	   "a key file of mode %o", mode);
	close(fd);
}

static void test_keys(void)
{
	const char *directory = getenv("TMPDIR");
	char *path = arena_printf(arena, "%s/dnsbl_test.%ld", directory == NULL ? "/tmp" : directory, (long)getpid());
	const char *text = arena_printf(arena, "spamhaus-zen key_file=%s", path);
	struct dnsbl_list list;
	write_key(path, "S3cretKey\n", 0600);
	list = parsed(text);
	is_text(list.zone, "S3cretKey.zen.dq.spamhaus.net", "the keyed zone");
	is_text(list.public_zone, "***.zen.dq.spamhaus.net", "as people see it");
	struct dns_answer bogus = {.status = DNS_TEMPORARY,
	                           .problem = "bogus: validation failure <2.0.0.127.s3cretkey.zen.dq. A>"};
	struct dnsbl_match match;
	dnsbl_judge(&list, &bogus, arena, &match);
	is_text(match.problem, "bogus: validation failure <2.0.0.127.***.zen.dq. A>",
	        "the resolver's words are told without it");
	struct dnsbl_lists lists = {.count = 1, .items = &list};
	const char *zone = arena_printf(arena, "$NXDOMAIN 1.0.0.127.%s A\nx.example. 60 IN A 192.0.2.1\n", list.zone);
	const char *hidden = dnsbl_hide(arena, &lists, zone);
	ok(strcasestr(hidden, "S3cretKey") == NULL && strstr(hidden, "1.0.0.127.***.zen.dq.spamhaus.net A\nx.example.") != NULL,
	   "a text of answers without keys");
	is_text(dnsbl_unhide(arena, &lists, hidden), zone, "and back");
	is_text(dnsbl_public(arena, &list, "query s3cretkEy.zen.dq is S3cretKey"), "query ***.zen.dq is ***",
	        "in other texts too");
	write_key(path, "S3cretKey\n", 0644);
	const char *problem = dnsbl_list_parse(arena, text, &list);
	ok(problem != NULL && strstr(problem, "mode 600") != NULL && strstr(problem, "S3cret") == NULL,
	   "readable by others: refused");
	write_key(path, "not a key: S3cret\n", 0600);
	problem = dnsbl_list_parse(arena, text, &list);
	ok(problem != NULL && strstr(problem, "one line") != NULL && strstr(problem, "S3cret") == NULL,
	   "no key in it: refused, not shown");
	unlink(path);
	list = parsed("x.example zone=%k.x.example key=S3cretKey codes=127.0.0.2");
	is_text(list.zone, "S3cretKey.x.example", "a key in the definition");
	is_text(dnsbl_text_public(arena, "x.example key=S3cretKey codes=127.0.0.2"), "x.example key=*** codes=127.0.0.2",
	        "never shown");
	is_text(dnsbl_text_public(arena, "x.example  KEY=S3cretKey"), "x.example  key=***", "in whatever letters");
	problem = dnsbl_list_parse(arena, "x.example key=S3cret.Key codes=127.0.0.2", &list);
	ok(problem != NULL && strstr(problem, "S3cret") == NULL, "nor in an error");
}

static void test_rules(void)
{
	static const char *const lists[] = {"spamcop score=2", "psbl", "dnswl", "surbl", "a.example codes=127.0.0.2", NULL};
	static const char *const rules[] = {"2 of spamcop psbl a.example: reject", "3 of any: score=1.5", "1 of surbl",
	                                    NULL};
	static const struct bad wrong[] = {
	    {"x of any", "N of NAME"},
	    {"0 of any", "N of NAME"},
	    {"2 any", "N of NAME"},
	    {"2 of", "N of NAME"},
	    {"2 of any: shrug", "shrug"},
	    {"2 of any: lift", "lift"},
	    {"2 of spamcop nosuch", "nosuch"},
	    {"1 of dnswl", "dnswl"},
	    {"3 of spamcop psbl", "3 of 2 lists"},
	};
	struct dnsbl_lists all;
	is_text(dnsbl_lists_parse(arena, lists, rules, &all), NULL, "lists and rules");
	ok(all.count == 5 && all.rule_count == 3, "all of them");
	ok(all.rules[0].least == 2 && all.rules[0].members == (1 | 2 | 16) &&
	       all.rules[0].action.action.kind == ACTION_REJECT,
	   "by name");
	ok(all.rules[1].members == (1 | 2 | 8 | 16) && all.rules[1].action.action.score == 1.5,
	   "any: all but the good ones");
	ok(!all.rules[2].action.given, "without an action: the finding's own");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const char *const one[] = {wrong[i].text, NULL};
		const char *problem = dnsbl_lists_parse(arena, lists, one, &all);
		ok(problem != NULL && strstr(problem, wrong[i].says) != NULL, "refused: %s: %s", wrong[i].text,
		   problem == NULL ? "(good)" : problem);
	}
	static const char *const twice[] = {"spamcop", "SpamCop score=1", NULL};
	static const char *const apart[] = {"spamhaus-dbl on=from,sender", "spamhaus-dbl name=dbl-links on=url score=5",
	                                    NULL};
	ok(dnsbl_lists_parse(arena, twice, rules + 3, &all) != NULL, "the same name twice");
	is_text(dnsbl_lists_parse(arena, apart, rules + 3, &all), NULL, "one list twice under two names");
}

int main(void)
{
	arena = arena_create(65536);
	test_bad();
	test_known();
	test_answers();
	test_actions();
	test_names();
	test_tests();
	test_keys();
	test_rules();
	arena_destroy(arena);
	return done_testing();
}
