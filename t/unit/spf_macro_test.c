#include "lib/auth/spf_macro.h"
#include "t/tap.h"

static struct spf_macro_values values = {
    .local = "strong-bad",
    .sender_domain = "email.example.com",
    .domain = "email.example.com",
    .validated = "mx.example.org",
    .helo = "helo.example.net",
    .receiver = "",
    .now = 1700000000,
};

static struct slice heap_copy(const char *text)
{
	size_t n = strlen(text);
	char *copy = malloc(n);
	memcpy(copy, text, n);
	return (struct slice){copy, n};
}

/* The examples of RFC 7208 7.4, and our own. NULL: not valid. */
static const struct {
	const char *client, *text, *name, *exp; /* name: as a domain; exp: as an explanation */
} expansions[] = {
    {"192.0.2.3", "%{s}", "strong-bad@email.example.com", "strong-bad@email.example.com"},
    {"192.0.2.3", "%{o}", "email.example.com", "email.example.com"},
    {"192.0.2.3", "%{d4}", "email.example.com", "email.example.com"},
    {"192.0.2.3", "%{d3}", "email.example.com", "email.example.com"},
    {"192.0.2.3", "%{d2}", "example.com", "example.com"},
    {"192.0.2.3", "%{d1}", "com", "com"},
    {"192.0.2.3", "%{dr}", "com.example.email", "com.example.email"},
    {"192.0.2.3", "%{d2r}", "example.email", "example.email"},
    {"192.0.2.3", "%{l}", "strong-bad", "strong-bad"},
    {"192.0.2.3", "%{l-}", "strong.bad", "strong.bad"},
    {"192.0.2.3", "%{lr}", "strong-bad", "strong-bad"},
    {"192.0.2.3", "%{lr-}", "bad.strong", "bad.strong"},
    {"192.0.2.3", "%{l1r-}", "strong", "strong"},
    {"192.0.2.3", "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com", "3.2.0.192.in-addr._spf.example.com"},
    {"192.0.2.3", "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com", "bad.strong.lp._spf.example.com"},
    {"192.0.2.3", "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net",
     "example.com.trusted-domains.example.net"},
    {"2001:db8::cb01", "%{ir}.%{v}._spf.%{d2}",
     "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com",
     "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com"},
    {"2001:db8::cb01", "%{i3}.x", "B.0.1.x", "B.0.1.x"},
    {"192.0.2.3", "%{D2R}%{P1}%{H}", "example.emailorghelo.example.net", "example.emailorghelo.example.net"},
    {"192.0.2.3", "%{S}", "strong-bad%40email.example.com", "strong-bad%40email.example.com"},
    {"192.0.2.3", "%{s2.@-}.x", NULL, NULL},
    {"192.0.2.3", "%{d.-}<%{d128}<%{d129}<%{d18446744073709551617r}",
     "email.example.com<email.example.com<email.example.com<com.example.email",
     "email.example.com<email.example.com<email.example.com<com.example.email"},
    {"192.0.2.3", "a%%b%_c%-d.x", "a%b c%20d.x", "a%b c%20d.x"},
    {"192.0.2.3", "%{c} %{r} %{t}", NULL, "192.0.2.3 unknown 1700000000"},
    {"2001:db8::cb01", "%{c}", NULL, "2001:db8::cb01"},
    {"192.0.2.3", "x y", NULL, "x y"},
    {"192.0.2.3", "x.example.", "x.example", "x.example."},
    {"192.0.2.3", "", "", ""},
    {"192.0.2.3", "%", NULL, NULL},
    {"192.0.2.3", "%a", NULL, NULL},
    {"192.0.2.3", "%{", NULL, NULL},
    {"192.0.2.3", "%{}", NULL, NULL},
    {"192.0.2.3", "%{d", NULL, NULL},
    {"192.0.2.3", "%{x}", NULL, NULL},
    {"192.0.2.3", "%{d0}", NULL, NULL},
    {"192.0.2.3", "%{d00r}", NULL, NULL},
    {"192.0.2.3", "%{d2r2}", NULL, NULL},
    {"192.0.2.3", "%{dr2}", NULL, NULL},
    {"192.0.2.3", "%{d*}", NULL, NULL},
    {"192.0.2.3", "%{d-r}", NULL, NULL},
    {"192.0.2.3", "%(d)", NULL, NULL},
    {"192.0.2.3", "%{%{d}}", NULL, NULL},
    {"192.0.2.3", "x\ty", NULL, NULL},
    {"192.0.2.3", "x\x7f", NULL, NULL},
    {"192.0.2.3", "\xc3\xbc", NULL, NULL},
};

static void test_expansions(void)
{
	struct arena *arena = arena_create(4096);
	for (size_t i = 0; i < sizeof expansions / sizeof *expansions; i++) {
		struct slice text = heap_copy(expansions[i].text);
		ip_parse(expansions[i].client, &values.client);
		const char *name = spf_macro_expand_domain(arena, text, &values);
		const char *exp = spf_macro_expand(arena, text, &values, SPF_MACRO_EXP);
		is_text(name, expansions[i].name, expansions[i].text);
		is_text(exp, expansions[i].exp, "as an explanation");
		ok(spf_macro_valid(text, 0) == (name != NULL) && spf_macro_valid(text, SPF_MACRO_EXP) == (exp != NULL),
		   "valid agrees");
		free((void *)(uintptr_t)text.data);
	}
	arena_destroy(arena);
}

static void test_questions(void)
{
	static const struct {
		const char *text;
		bool ends, uses_p;
	} texts[] = {
	    {"%{d}", true, false}, {"x%%", true, false},         {"x%_", true, false},    {"%-", true, false},
	    {"x", false, false},   {"%{d}.", false, false},      {"%%{d}", false, false}, {"", false, false},
	    {"%{p}", true, true},  {"x.%{P2r-}.y", false, true}, {"%%{p}", false, false}, {"p%{lr}", true, false},
	    {"%{d", false, false},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct slice text = heap_copy(texts[i].text);
		ok(spf_macro_ends(text) == texts[i].ends, "'%s' %s in a macro", texts[i].text,
		   texts[i].ends ? "ends" : "does not end");
		ok(spf_macro_uses(text, 'p') == texts[i].uses_p, "and %s %%{p}", texts[i].uses_p ? "uses" : "does not use");
		free((void *)(uintptr_t)text.data);
	}
}

/* n times piece, and then end. */
static char *repeat(struct arena *arena, const char *piece, size_t n, const char *end)
{
	struct strbuf out;
	strbuf_init(&out, arena);
	while (n-- > 0) {
		strbuf_add_text(&out, piece);
	}
	strbuf_add_text(&out, end);
	return out.data;
}

/* 7.3: an expansion of more than 253 bytes loses labels on the left. */
static void test_cut(void)
{
	struct arena *arena = arena_create(65536);
	char *labels = repeat(arena, "123456789.", 25, "abc"); /* 253 bytes */
	is_text(spf_macro_expand_domain(arena, slice_from(labels), &values), labels, "253 bytes stay");
	const char *longer = arena_printf(arena, "1.%s", labels);
	is_text(spf_macro_expand_domain(arena, slice_from(longer), &values), labels, "255 bytes lose the first label");
	longer = arena_printf(arena, "1%s", labels);
	is_text(spf_macro_expand_domain(arena, slice_from(longer), &values), labels + 10,
	        "254 bytes lose the first label too");
	longer = arena_printf(arena, "%s.", labels);
	is_text(spf_macro_expand_domain(arena, slice_from(longer), &values), labels, "a final dot does not count");
	char *one = repeat(arena, "x", 300, "");
	is_text(spf_macro_expand_domain(arena, slice_from(one), &values), one, "a name of one label cannot be cut");
	char *dots = repeat(arena, ".", 16000, "x");
	is_text(spf_macro_expand_domain(arena, slice_from(dots), &values), dots + 16000 - 252, "thousands of empty labels");
	arena_destroy(arena);
}

static void test_hostile_values(void)
{
	struct arena *arena = arena_create(65536);
	struct spf_macro_values hostile = values;
	hostile.local = "a\\.b\"\xff c@d";
	is_text(spf_macro_expand_domain(arena, SLICE_LITERAL("%{l}.x"), &hostile), "a\\\\.b\"\xff c@d.x",
	        "a backslash of the sender escapes nothing in the name");
	is_text(spf_macro_expand(arena, SLICE_LITERAL("%{L}"), &hostile, SPF_MACRO_EXP), "a%5C.b%22%FF%20c%40d",
	        "URL escapes");
	hostile.local = repeat(arena, "a.", 1000, "z");
	const char *reversed = spf_macro_expand(arena, SLICE_LITERAL("%{lr}"), &hostile, 0);
	ok(reversed != NULL && strlen(reversed) == strlen(hostile.local), "a local part of 1001 labels, reversed");
	hostile.local = "";
	is_text(spf_macro_expand(arena, SLICE_LITERAL("<%{lr-}>"), &hostile, 0), "<>", "an empty value");
	char *bomb = repeat(arena, "%{d}", 127, "");
	const char *expanded = spf_macro_expand(arena, slice_from(bomb), &values, SPF_MACRO_EXP);
	ok(expanded != NULL && strlen(expanded) == 127 * strlen(values.domain), "127 times %%{d}");
	hostile.domain = repeat(arena, "x", 253, "");
	bomb = repeat(arena, "%{d}", 4000, "");
	ok(spf_macro_expand(arena, slice_from(bomb), &hostile, SPF_MACRO_EXP) == NULL, "a megabyte is refused");
	arena_destroy(arena);
}

int main(void)
{
	ip_parse("192.0.2.3", &values.client);
	test_expansions();
	test_questions();
	test_cut();
	test_hostile_values();
	return done_testing();
}
