/* spf_lint() by table: the faults of a published record, with all answers at hand and with each answer late. */
#include "lib/auth/spf_lint.h"
#include "t/late_lookups.h"
#include "t/tap.h"

#include <unistd.h>

static const char zone_text[] =
    "good.example. TXT \"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a mx include:part.example ~all\"\n"
    "good.example. TXT \"another text\"\n"
    "good.example. A 192.0.2.1\ngood.example. MX 10 mail.good.example.\nmail.good.example. AAAA 2001:db8::1\n"
    "part.example. TXT \"v=spf1 ip4:198.51.100.7 exists:%{i}._spf.%{d} ?all\"\n"
    "Upper.example. TXT \"V=SPF1  IP4:192.0.2.1   -ALL  \"\n"
    "last.example. TXT \"v=spf1 redirect=good.example exp=why.example\"\nwhy.example. TXT \"%{i} may not\"\n"
    "two.example. TXT \"v=spf1 -all\"\ntwo.example. TXT \"v=spf1 +all\"\n"
    "word.example. TXT \"v=spf1 a mx/99 -all\"\n"
    "old.example. TXT \"v=spf1 ipv4:192.0.2.1 -all\"\n"
    "twice.example. TXT \"v=spf1 redirect=good.example Redirect=part.example\"\n"
    "exptwice.example. TXT \"v=spf1 exp=why.example exp=why.example -all\"\n"
    "equals.example. TXT \"v=spf1 ip4=192.0.2.1 include=good.example x-own=1 -all\"\n"
    /* too much */
    "ten.example. TXT \"v=spf1 exists:%{i}.1.x exists:%{i}.2.x exists:%{i}.3.x exists:%{i}.4.x exists:%{i}.5.x "
    "exists:%{i}.6.x exists:%{i}.7.x exists:%{i}.8.x exists:%{i}.9.x exists:%{i}.10.x -all\"\n"
    "eleven.example. TXT \"v=spf1 include:half.example exists:%{i}.y redirect=tail.example\"\n"
    "half.example. TXT \"v=spf1 exists:%{i}.1.x exists:%{i}.2.x exists:%{i}.3.x exists:%{i}.4.x -all\"\n"
    "tail.example. TXT \"v=spf1 include:half.example -all\"\n"
    "void2.example. TXT \"v=spf1 a:no1.example exists:no2.example -all\"\n"
    "void3.example. TXT \"v=spf1 a:no1.example mx:no2.example include:void1.example -all\"\n"
    "void1.example. TXT \"v=spf1 exists:no3.example\"\n"
    "long.example. TXT \"v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 ip4:192.0.2.3 ip4:192.0.2.4 ip4:192.0.2.5 ip4:192.0.2.6 "
    "ip4:192.0.2.7 ip4:192.0.2.8 ip4:192.0.2.9 ip4:192.0.2.10 ip4:192.0.2.11 ip4:192.0.2.12\" \" ip4:192.0.2.13 "
    "ip4:192.0.2.14 ip4:192.0.2.15 ip4:192.0.2.16 ip4:192.0.2.17 ip4:192.0.2.18 ip4:192.0.2.19 ip4:192.0.2.20 "
    "ip4:192.0.2.21 ip4:192.0.2.22 ip4:192.0.2.23\" \" ip4:192.0.2.24 ip4:192.0.2.25 ip4:192.0.2.26 ip4:192.0.2.27 "
    "ip4:192.0.2.28 ip4:192.0.2.29 ip4:192.0.2.30 -all\"\n"
    /* includes */
    "noinc.example. TXT \"v=spf1 include:missing.example include:two.example redirect=missing.example\"\n"
    "self.example. TXT \"v=spf1 include:self.example -all\"\n"
    "loop1.example. TXT \"v=spf1 include:loop2.example -all\"\n"
    "loop2.example. TXT \"v=spf1 redirect=LOOP1.example\"\n"
    "diamond.example. TXT \"v=spf1 include:left.example include:right.example -all\"\n"
    "left.example. TXT \"v=spf1 include:part.example\"\nright.example. TXT \"v=spf1 include:part.example\"\n"
    "badinc.example. TXT \"v=spf1 include:word.example include:weak.example -all\"\n"
    "weak.example. TXT \"v=spf1 ip4:0.0.0.0/0 ?all\"\n"
    /* anyone */
    "all.example. TXT \"v=spf1 +all\"\nbare.example. TXT \"v=spf1 a all\"\nbare.example. A 192.0.2.1\n"
    "zero.example. TXT \"v=spf1 ip4:0.0.0.0/0 ip6:::/0 -all\"\n"
    "wide.example. TXT \"v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 ip4:10.0.0.0/7 ip4:10.0.0.0/8 ip6:2000::/3 "
    "ip6:2001::/16 -all\"\n"
    "cidr.example. TXT \"v=spf1 a/0 mx:good.example//4 -all\"\ncidr.example. A 192.0.2.1\n"
    "minus.example. TXT \"v=spf1 -ip4:0.0.0.0/0 ?ip6:::/0 -all\"\n"
    "exists.example. TXT \"v=spf1 exists:%{d} exists:%{o}.no exists:%{v}.good.example -all\"\n"
    "exists.example. A 192.0.2.1\n"
    /* ends */
    "noall.example. TXT \"v=spf1 ip4:192.0.2.1\"\n"
    "empty.example. TXT \"v=spf1\"\n"
    "neutral.example. TXT \"v=spf1 ?all\"\n"
    "redneutral.example. TXT \"v=spf1 redirect=neutral.example\"\n"
    "incneutral.example. TXT \"v=spf1 include:neutral.example include:noall.example -all\"\n"
    "ignored.example. TXT \"v=spf1 redirect=missing.example -all\"\n"
    "behind.example. TXT \"v=spf1 -all include:missing.example ip4:192.0.2.1\"\n"
    /* terms */
    "same.example. TXT \"v=spf1 a:good.example ip4:192.0.2.1 ?A:Good.example -ip4:192.0.2.1/32 a:good.example/24 "
    "-all\"\n"
    "ptr.example. TXT \"v=spf1 ptr exists:%{p}.x.example -all\"\n"
    "noname.example. TXT \"v=spf1 a:gone.example mx:good.example mx:half-mx.example mx:null.example ~all\"\n"
    "half-mx.example. MX 1 mail.good.example.\nhalf-mx.example. MX 2 gone.example.\nnull.example. MX 0 .\n"
    "macro.example. TXT \"v=spf1 exists:%{i} include:%{d1} a:a%_b.example exists:%{l}.%{d} -all\"\n"
    "bits.example. TXT \"v=spf1 ip4:192.0.2.1/24 ip6:2001:db8::1/32 ip4:192.0.2.129/25 ip4:192.0.2.128/25 -all\"\n"
    "mapped.example. TXT \"v=spf1 ip6:::ffff:192.0.2.1 ip6:::ffff:192.0.2.0/120 ip6:::fffe:0:0/95 -all\"\n"
    "exp0.example. TXT \"v=spf1 -all exp=gone.example\"\nexp2.example. TXT \"v=spf1 -all exp=two.example\"\n"
    "expbad.example. TXT \"v=spf1 -all exp=expbadtext.example\"\nexpbadtext.example. TXT \"100% sure\"\n"
    "incexp.example. TXT \"v=spf1 include:exp0.example -all\"\n"
    /* DNS */
    "fails.example. TXT \"v=spf1 a:broken.example include:silent.example ip4:0.0.0.0/0 -all\"\n"
    "$SERVFAIL broken.example AAAA\n$TIMEOUT silent.example TXT\n$SERVFAIL down.example\n"
    "xn--bcher-kva.example. TXT \"v=spf1 -all\"\n";

static const struct row {
	const char *domain;
	const char *faults; /* "code" in the record asked for, "code@domain" in another one */
	unsigned lookups, voids;
	bool complete;
} rows[] = {
    {"good.example", "", 4, 0, true},
    {"Good.Example.", "", 4, 0, true},
    {"upper.example", "", 0, 0, true},
    {"last.example", "", 5, 0, true},
    {"b\xc3\xbc"
     "cher.example",
     "", 0, 0, true},
    {"missing.example", "no_record", 0, 0, true},
    {"example", "no_record", 0, 0, true},
    {"a..b", "no_record", 0, 0, true},
    {"two.example", "many_records", 0, 0, true},
    {"word.example", "syntax", 0, 0, true},
    {"old.example", "syntax", 0, 0, true},
    {"twice.example", "modifier_twice", 0, 0, true},
    {"exptwice.example", "modifier_twice", 0, 0, true},
    {"equals.example", "unknown_modifier unknown_modifier unknown_modifier", 0, 0, true},
    {"ten.example", "", 10, 0, true},
    {"eleven.example", "lookups", 12, 0, true},
    {"void2.example", "name_missing name_missing", 2, 2, true},
    {"void3.example", "name_missing name_missing name_missing@void1.example voids", 4, 3, true},
    {"mx10.example", "", 1, 0, true},
    {"mx11.example", "mx_hosts", 1, 0, true},
    {"long.example", "long", 0, 0, true},
    {"noinc.example", "include_missing include_missing include_missing", 3, 0, true},
    {"self.example", "loop", 1, 0, true},
    {"loop1.example", "loop@loop2.example", 2, 0, true},
    {"diamond.example", "", 6, 0, true},
    {"badinc.example", "syntax@word.example pass_all@weak.example", 2, 0, true},
    {"all.example", "pass_all", 0, 0, true},
    {"bare.example", "pass_all", 1, 0, true},
    {"zero.example", "pass_all pass_all", 0, 0, true},
    {"wide.example", "wide wide wide wide", 0, 0, true},
    {"cidr.example", "pass_all wide", 2, 0, true},
    {"minus.example", "", 0, 0, true},
    {"exists.example", "pass_all name_missing", 3, 1, true},
    {"noall.example", "no_all", 0, 0, true},
    {"empty.example", "no_all", 0, 0, true},
    {"neutral.example", "neutral_all", 0, 0, true},
    {"redneutral.example", "neutral_all@neutral.example", 1, 0, true},
    {"incneutral.example", "", 2, 0, true},
    {"ignored.example", "redirect_ignored", 0, 0, true},
    {"behind.example", "unreachable unreachable", 0, 0, true},
    {"same.example", "duplicate duplicate", 3, 0, true},
    {"ptr.example", "ptr ptr", 2, 0, true},
    {"noname.example", "name_missing name_missing name_missing", 4, 1, true},
    {"macro.example", "macro macro macro", 4, 0, true},
    {"bits.example", "host_bits host_bits host_bits duplicate", 0, 0, true},
    {"mapped.example", "mapped mapped", 0, 0, true},
    {"exp0.example", "explanation", 0, 0, true},
    {"exp2.example", "explanation", 0, 0, true},
    {"expbad.example", "explanation", 0, 0, true},
    {"incexp.example", "", 1, 0, true},
    {"fails.example", "pass_all dns dns@silent.example", 2, 0, false},
    {"down.example", "dns", 0, 0, false},
};

static void write_zone(struct strbuf *zone)
{
	strbuf_add_text(zone, zone_text);
	for (int n = 10; n <= 11; n++) {
		strbuf_printf(zone, "mx%d.example. TXT \"v=spf1 mx -all\"\n", n);
		for (int i = 0; i < n; i++) {
			strbuf_printf(zone, "mx%d.example. MX 10 m%d.example.\nm%d.example. A 192.0.2.1\n", n, i, i);
		}
	}
	/* ten names each, 10^depth records: */
	strbuf_add_text(zone, "*.tree.example. TXT \"v=spf1\"");
	for (int i = 0; i < 10; i++) {
		strbuf_printf(zone, " \" include:%d.%%{d}\"", i);
	}
	strbuf_add_text(zone, " \" -all\"\n");
	for (int i = 0; i < 60; i++) {
		strbuf_printf(zone, "chain%d.example. TXT \"v=spf1 include:chain%d.example -all\"\n", i, i + 1);
	}
	strbuf_add_text(zone, "hosts.example. TXT \"v=spf1\"");
	for (int i = 0; i < 200; i++) {
		strbuf_printf(zone, " \" a:h%d.example mx:h%d.example\"", i, i);
	}
	strbuf_add_text(zone, " \" -all\"\nmany.example. TXT \"v=spf1\"");
	for (int i = 0; i < 300; i++) {
		strbuf_add_text(zone, " \" ip4:0.0.0.0/0\"");
	}
	strbuf_add_text(zone, " \" -all\"\n");
}

/* "code@domain" of each, in order. */
static const char *faults_text(struct arena *arena, const struct spf_lint *lint)
{
	struct strbuf text;
	strbuf_init(&text, arena);
	for (size_t i = 0; i < lint->count; i++) {
		const struct spf_fault *fault = &lint->faults[i];
		bool own = strcmp(fault->domain, lint->domain) == 0;
		strbuf_printf(&text, "%s%s%s%s", i == 0 ? "" : " ", spf_fault_name(fault->code), own ? "" : "@",
		              own ? "" : fault->domain);
	}
	return text.data;
}

static struct spf_lint lint(struct arena *arena, const char *zone, const char *domain, bool late, size_t *questions_r)
{
	struct lookups *lookups = late_create(zone, late);
	struct spf_lint lint;
	int rounds = 0;
	char *copy = malloc(strlen(domain)); /* of exactly its size */
	memcpy(copy, domain, strlen(domain));
	while (!spf_lint((struct slice){copy, strlen(domain)}, lookups, arena, &lint) && rounds < 100) {
		late_round(lookups);
		rounds++;
	}
	ok(rounds < 30 && (late || rounds == 0), "%s: %d rounds of answers", domain, rounds);
	*questions_r = late_questions(lookups);
	free(copy);
	late_destroy(lookups);
	return lint;
}

static void test_rows(const char *zone)
{
	struct arena *arena = arena_create(65536);
	for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i / 2];
		size_t questions;
		struct spf_lint got = lint(arena, zone, row->domain, i % 2 == 1, &questions);
		is_text(faults_text(arena, &got), row->faults, row->domain);
		is_int(got.lookups, row->lookups, "lookups");
		is_int(got.void_lookups, row->voids, "void lookups");
		ok(got.complete == row->complete, "complete: %d", got.complete);
	}
	arena_destroy(arena);
}

/* What people read. */
static void test_texts(const char *zone)
{
	static const struct {
		const char *domain, *text;
	} texts[] = {
	    {"word.example", "syntax error in the SPF record at \"mx/99\""},
	    {"missing.example", "no SPF record"},
	    {"a..b", "\"a..b\" is no domain name"},
	    {"twice.example", "redirect= stands more than once"},
	    {"equals.example", "\"ip4=192.0.2.1\" is not known and passed over: a mechanism is written with \":\""},
	    {"eleven.example", "12 terms cost a DNS lookup, more than 10"},
	    {"mx11.example", "\"mx\" has 11 mail servers, more than 10"},
	    {"noinc.example", "\"include:missing.example\": missing.example has no SPF record"},
	    {"self.example", "\"include:self.example\" leads back"},
	    {"zero.example", "\"ip4:0.0.0.0/0\" lets any client pass"},
	    {"noname.example", "\"a:gone.example\": there is no address"},
	    {"fails.example", "\"ip4:0.0.0.0/0\" lets any client pass"},
	    {"down.example", "DNS: down.example TXT: SERVFAIL"},
	    {"exp2.example", "\"exp=two.example\" leads to several texts"},
	};
	struct arena *arena = arena_create(65536);
	size_t questions;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct spf_lint got = lint(arena, zone, texts[i].domain, false, &questions);
		is_text(got.count == 0 ? NULL : got.faults[0].text, texts[i].text, "text");
	}
	struct spf_lint upper = lint(arena, zone, "UPPER.example", true, &questions);
	is_text(upper.domain, "upper.example", "the domain is canonical");
	is_text(upper.record, "V=SPF1  IP4:192.0.2.1   -ALL  ", "the record as published");
	arena_destroy(arena);
}

/* Records that are made to keep us busy. */
static void test_bounds(const char *zone)
{
	static const struct {
		const char *domain, *last;
		size_t questions, faults;
	} hostile[] = {
	    {"x.tree.example", "limit", 55, 2},
	    {"chain0.example", "limit", 11, 2},
	    {"hosts.example", "limit", 100, 54},
	    {"many.example", "duplicate", 1, SPF_LINT_FAULTS_MAX},
	};
	struct arena *arena = arena_create(65536);
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		size_t questions;
		size_t before = arena_used(arena);
		struct spf_lint got = lint(arena, zone, hostile[i].domain, true, &questions);
		ok(questions <= hostile[i].questions, "%s: %zu questions", hostile[i].domain, questions);
		ok(!got.complete, "it is not said to be complete");
		is_int((long long)got.count, (long long)hostile[i].faults, "faults");
		is_text(got.count == 0 ? NULL : spf_fault_name(got.faults[got.count - 1].code), hostile[i].last,
		        "the last fault");
		ok(got.lookups <= SPF_LINT_SUM_MAX && arena_used(arena) - before < 65536, "%u lookups, %zu bytes are kept",
		   got.lookups, arena_used(arena) - before);
	}
	arena_destroy(arena);
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	struct strbuf text;
	strbuf_init(&text, arena);
	write_zone(&text);
	const char *zone = late_write_zone(text.data);
	test_rows(zone);
	test_texts(zone);
	test_bounds(zone);
	for (int code = 0; code < SPF_FAULT_COUNT; code++) {
		ok(spf_fault_name((enum spf_fault_code)code) != NULL, "fault %d has a name", code);
	}
	unlink(zone);
	arena_destroy(arena);
	return done_testing();
}
