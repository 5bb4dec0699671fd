#include "lib/auth/spf_record.h"
#include "t/tap.h"

/* "+a:domain/24//64 -all redirect=x": what was read, in one form. */
static const char *describe(struct arena *arena, const struct spf_record *record)
{
	static const char *const names[] = {"all", "include", "a", "mx", "ptr", "ip", "exists"};
	char ip[IP_TEXT_SIZE];
	struct strbuf out;
	strbuf_init(&out, arena);
	for (size_t i = 0; i < record->count; i++) {
		const struct spf_term *term = &record->terms[i];
		strbuf_printf(&out, "%s%c%s", i == 0 ? "" : " ", term->qualifier, names[term->kind]);
		strbuf_printf(&out, "%s%.*s", term->domain.len == 0 ? "" : ":", SLICE_ARGS(term->domain));
		if (term->kind == SPF_TERM_A || term->kind == SPF_TERM_MX) {
			strbuf_printf(&out, "/%u//%u", term->prefix4, term->prefix6);
		} else if (term->kind == SPF_TERM_IP) {
			ip_format(&term->network.address, ip);
			strbuf_printf(&out, "%d:%s/%u", (int)term->network.address.family, ip, term->network.prefix);
		}
	}
	if (record->redirect.data != NULL) {
		strbuf_printf(&out, " redirect=%.*s", SLICE_ARGS(record->redirect));
	}
	if (record->exp.data != NULL) {
		strbuf_printf(&out, " exp=%.*s", SLICE_ARGS(record->exp));
	}
	return out.data;
}

/* NULL when it is in error. The text is copied to memory of exactly its size. */
static const char *parse(struct arena *arena, const char *text, size_t n, const char **problem_r)
{
	struct spf_record record;
	char *copy = malloc(n);
	memcpy(copy, text, n);
	bool good = spf_record_parse(arena, (struct slice){copy, n}, &record, problem_r);
	const char *described = good ? describe(arena, &record) : NULL;
	free(copy);
	return described;
}

static const struct {
	const char *text, *expected;
} records[] = {
    {"v=spf1", ""},
    {"V=SpF1   a    mx  ", "+a/32//128 +mx/32//128"},
    {"v=spf1 ALL -Include:A.example ?eXists:%{i}.x ~ptr PTR:b.example",
     "+all -include:A.example ?exists:%{i}.x ~ptr +ptr:b.example"},
    {"v=spf10 a", NULL},
    {"v=spf1\ta", NULL},
    {"v=spf1 a\tmx", NULL},
    {"v=spf1 al", NULL},
    {"v=spf1 all:", NULL},
    {"v=spf1 all/8", NULL},
    {"v=spf1 all.", NULL},
    {"v=spf1 +-a", NULL},
    {"v=spf1 +", NULL},
    {"v=spf1 :", NULL},
    {"v=spf1 =x", NULL},
    /* addresses */
    {"v=spf1 ip4:1.2.3.4 ip4:1.2.3.4/24 ip4:1.2.3.4/0", "+ip4:1.2.3.4/32 +ip4:1.2.3.0/24 +ip4:0.0.0.0/0"},
    {"v=spf1 ip6:2001:DB8::1 ip6:2001:db8::ffff/33 ip6:::/0", "+ip6:2001:db8::1/128 +ip6:2001:db8::/33 +ip6:::/0"},
    {"v=spf1 ip6:::ffff:1.2.3.4 ip6:::ffff:1.2.3.4/0", "+ip6:::ffff:1.2.3.4/128 +ip6:::/0"},
    {"v=spf1 ip4:1.2.3.4/33", NULL},
    {"v=spf1 ip4:1.2.3.4/032", NULL},
    {"v=spf1 ip4:1.2.3.4/00", NULL},
    {"v=spf1 ip4:1.2.3.4/", NULL},
    {"v=spf1 ip4:1.2.3.4//32", NULL},
    {"v=spf1 ip4:1.2.3.4/4294967304", NULL},
    {"v=spf1 ip4:1.2.3", NULL},
    {"v=spf1 ip4:1.2.3.04", NULL},
    {"v=spf1 ip4:1.2.3.4:25", NULL},
    {"v=spf1 ip4:::1", NULL},
    {"v=spf1 ip4", NULL},
    {"v=spf1 ip4:", NULL},
    {"v=spf1 ip4:/8", NULL},
    {"v=spf1 ip4:%{i}", NULL},
    {"v=spf1 ip6:1.2.3.4", NULL},
    {"v=spf1 ip6:IPv6:::1", NULL},
    {"v=spf1 ip6:::1/129", NULL},
    {"v=spf1 ip6:::1//64", NULL},
    /* dual-cidr-length */
    {"v=spf1 a/24 a//64 a/24//64 mx:x.example/0//0", "+a/24//128 +a/32//64 +a/24//64 +mx:x.example/0//0"},
    {"v=spf1 a:%{d/}", "+a:%{d/}/32//128"},
    {"v=spf1 a:%{d}/8 mx:%{d/}//8", "+a:%{d}/8//128 +mx:%{d/}/32//8"},
    {"v=spf1 a:a/b.example/8", "+a:a/b.example/8//128"},
    {"v=spf1 a/", NULL},
    {"v=spf1 a//", NULL},
    {"v=spf1 a/24/", NULL},
    {"v=spf1 a/24//", NULL},
    {"v=spf1 a///64", NULL},
    {"v=spf1 a/24/64", NULL},
    {"v=spf1 a/33", NULL},
    {"v=spf1 a//129", NULL},
    {"v=spf1 a/08", NULL},
    {"v=spf1 a/-1", NULL},
    {"v=spf1 a/24//064", NULL},
    {"v=spf1 a:/24", NULL},
    {"v=spf1 include:x.example/24", NULL},
    {"v=spf1 exists:x.example//64", NULL},
    {"v=spf1 ptr/24", NULL},
    {"v=spf1 ptr:x.example/24", NULL},
    /* domain-spec */
    {"v=spf1 a:x.example.", "+a:x.example./32//128"},
    {"v=spf1 a:x.example-1 a:_x.1a a:!.$.museum", "+a:x.example-1/32//128 +a:_x.1a/32//128 +a:!.$.museum/32//128"},
    {"v=spf1 a:x.%{d} exists:x.y%% exists:%_ exists:%-", "+a:x.%{d}/32//128 +exists:x.y%% +exists:%_ +exists:%-"},
    {"v=spf1 a:", NULL},
    {"v=spf1 a:.", NULL},
    {"v=spf1 a:x..", NULL},
    {"v=spf1 a:example", NULL},
    {"v=spf1 a:x.123", NULL},
    {"v=spf1 a:x.-a", NULL},
    {"v=spf1 a:x.a-", NULL},
    {"v=spf1 a:x.a_b", NULL},
    {"v=spf1 a:1.2.3.4", NULL},
    {"v=spf1 a:x.example:8080", NULL},
    {"v=spf1 a:%{d}.", NULL},
    {"v=spf1 a:%{d}x", NULL},
    {"v=spf1 exists:%%{d}", NULL},
    {"v=spf1 exists:x.%{d}}", NULL},
    {"v=spf1 include", NULL},
    {"v=spf1 include:", NULL},
    {"v=spf1 exists", NULL},
    {"v=spf1 a:\xc3\xbc.example", NULL},
    {"v=spf1 a=x.example", ""},
    /* modifiers */
    {"v=spf1 redirect=x.example exp=%{d} a", "+a/32//128 redirect=x.example exp=%{d}"},
    {"v=spf1 ReDirect=x.example EXP=e.example", " redirect=x.example exp=e.example"},
    {"v=spf1 redirect=x.example redirect=x.example", NULL},
    {"v=spf1 exp=x.example a exp=y.example", NULL},
    {"v=spf1 redirect=", NULL},
    {"v=spf1 exp=", NULL},
    {"v=spf1 redirect:x.example", NULL},
    {"v=spf1 redirect=x.example/24", NULL},
    {"v=spf1 -exp=x.example", NULL},
    {"v=spf1 foo=%{d}%% foo=bar a-b_c.9= v=spf1", ""},
    {"v=spf1 foo=%", NULL},
    {"v=spf1 foo=%{z}", NULL},
    {"v=spf1 9foo=x", NULL},
    {"v=spf1 f+o=x", NULL},
};

static void test_records(void)
{
	struct arena *arena = arena_create(4096);
	const char *problem;
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		is_text(parse(arena, records[i].text, strlen(records[i].text), &problem), records[i].expected, records[i].text);
	}
	ok(parse(arena, "v=spf1 ip4:1.2.3.4\0", 19, &problem) == NULL, "a NUL behind an address");
	ok(parse(arena, "v=spf1 a:x.y\0.z", 15, &problem) == NULL, "a NUL in a name");
	parse(arena, "v=spf1 a ip4:\x01\"x -all", 21, &problem);
	is_text(problem, "syntax error in the SPF record at \"ip4:\\x01\\x22x\"", "the problem names the term, made safe");
	arena_destroy(arena);
}

static char *repeat(struct arena *arena, const char *text, size_t n)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	strbuf_add_text(&out, "v=spf1");
	while (n-- > 0) {
		strbuf_add_text(&out, text);
	}
	return out.data;
}

static void test_size(void)
{
	struct arena *arena = arena_create(65536);
	struct arena *used = arena_create(4096);
	const char *problem = NULL;
	const char *text = repeat(arena, " ", SPF_RECORD_MAX - 6);
	is_text(parse(used, text, strlen(text), &problem), "", "a record of spaces, of the greatest length");
	ok(arena_used(used) < 1024, "costs no memory: %zu bytes", arena_used(used));
	text = repeat(arena, " ", SPF_RECORD_MAX - 5);
	ok(parse(used, text, strlen(text), &problem) == NULL, "one byte more is too long");
	is_text(problem, "the SPF record is too long", "and says so");
	arena_reset(used);
	struct spf_record record;
	text = repeat(arena, " a", (SPF_RECORD_MAX - 6) / 2);
	ok(spf_record_parse(used, slice_from(text), &record, &problem) && record.count == (SPF_RECORD_MAX - 6) / 2,
	   "as many terms as there is room for");
	ok(arena_used(used) < 1000000, "in %zu bytes", arena_used(used));
	arena_destroy(used);
	arena_destroy(arena);
}

static void test_is(void)
{
	static const struct {
		const char *text;
		bool is;
	} texts[] = {
	    {"v=spf1", true},   {"v=spf1 ", true}, {"V=SPF1 x", true}, {"v=spf1;", false},
	    {" v=spf1", false}, {"v=spf", false},  {"", false},        {"v=spf2.0/mfrom", false},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		ok(spf_record_is(slice_from(texts[i].text)) == texts[i].is, "'%s' is%s an SPF record", texts[i].text,
		   texts[i].is ? "" : " not");
	}
}

int main(void)
{
	test_records();
	test_size();
	test_is();
	return done_testing();
}
