/* Entries of allow and block lists: their texts, header patterns, and the index. */
#include "lib/policy/list_index.h"
#include "lib/policy/list_text.h"
#include "t/tap.h"

enum { NOW = 1764032400 }; /* 2025-11-25T01:00:00Z */

static struct arena *arena;

/* ---- values ---- */

static const struct {
	const char *text;
	const char *kind; /* NULL: refused */
	const char *value;
} values[] = {
    {"bob@example.org", "address", "bob@example.org"},
    {"Bob.Smith@EXAMPLE.Org", "address", "bob.smith@example.org"},
    {"\"bob\"@example.org", "address", "bob@example.org"},
    {"\"bob smith\"@example.org", "address", "\"bob smith\"@example.org"},
    {"\"a..b\"@example.org", "address", "\"a..b\"@example.org"},
    {"bob@b\xc3\xbc"
     "cher.example",
     "address", "bob@xn--bcher-kva.example"},
    {"b\xc3\xb6"
     "b@example.org",
     "address",
     "b\xc3\xb6"
     "b@example.org"},
    {"bob+tag@example.org", "address", "bob+tag@example.org"},
    {"<>", "address", "<>"},
    {"bob@[192.0.2.1]", NULL, NULL},
    {"bob@", NULL, NULL},
    {"a@b@c.example", NULL, NULL},
    {"<bob@example.org>", NULL, NULL},
    {"bob@example.org\n", NULL, NULL},
    {"bob@ex\xff.org", NULL, NULL},
    {"example.org", "domain", "example.org"},
    {"@Example.ORG.", "domain", "example.org"},
    {"*@example.org", "domain", "example.org"},
    {"M\xc3\x9cnchen.example", "domain", "xn--mnchen-3ya.example"},
    {"example", NULL, NULL},
    {"1.2.3", NULL, NULL},
    {"exa mple.org", NULL, NULL},
    {"a..b", NULL, NULL},
    {".example.org", "subdomain", ".example.org"},
    {"*.Example.org", "subdomain", ".example.org"},
    {".xyz", "subdomain", ".xyz"},
    {".", NULL, NULL},
    {".a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", "subdomain", ".a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p"},
    {".a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", NULL, NULL},
    {"192.0.2.0/24", "network", "192.0.2.0/24"},
    {"192.0.2.1", "network", "192.0.2.1"},
    {"192.0.2.1/32", "network", "192.0.2.1"},
    {"0.0.0.0/0", "network", "0.0.0.0/0"},
    {"192.0.2.1/24", NULL, NULL},
    {"192.0.2.0/33", NULL, NULL},
    {"192.0.2.256", NULL, NULL},
    {"2001:DB8::/32", "network", "2001:db8::/32"},
    {"2001:db8:0:0::1", "network", "2001:db8::1"},
    {"::/0", "network", "::/0"},
    {"::ffff:192.0.2.1", "network", "192.0.2.1"},
    {"country:de", "country", "country:DE"},
    {"COUNTRY:Gb", "country", "country:GB"},
    {"country:deu", NULL, NULL},
    {"country:d1", NULL, NULL},
    {"asn:64500", "asn", "asn:64500"},
    {"AS64500", "asn", "asn:64500"},
    {"asn:as064500", "asn", "asn:64500"},
    {"asn:0", NULL, NULL},
    {"asn:4294967296", NULL, NULL},
    {"as1.example", "domain", "as1.example"},
    {"helo:Mail.Example", "helo", "helo:mail.example"},
    {"helo:localhost", "helo", "helo:localhost"},
    {"ptr:.dyn.example", "ptr", "ptr:.dyn.example"},
    {"ptr:", NULL, NULL},
    {"ptr:192.0.2.1", NULL, NULL},
    {"Subject:/cheap pills/i", "pattern", "subject:/cheap pills/i"},
    {"subject:/a\\/b/smi", "pattern", "subject:/a\\/b/ims"},
    {"subject:/a/b/i", NULL, NULL},
    {"subject:/a/e", NULL, NULL},
    {"subject:/a", NULL, NULL},
    {"subject://", NULL, NULL},
    {"subject:/(a/", NULL, NULL},
    {"subject:/\\C/", NULL, NULL},
    {"sub ject:/a/", NULL, NULL},
    {"country:/DE/", "pattern", "country:/DE/"},
    {"", NULL, NULL},
};

static void test_values(void)
{
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct list_entry entry = {.value = ""};
		const char *problem = NULL;
		char *exact = malloc(strlen(values[i].text));
		memcpy(exact, values[i].text, strlen(values[i].text));
		bool good = list_value_parse(arena, (struct slice){exact, strlen(values[i].text)}, &entry, &problem);
		free(exact);
		if (values[i].kind == NULL) {
			ok(!good && problem != NULL && problem[0] != '\0', "refused: %s",
			   text_escape(arena, slice_from(values[i].text), "", true, 80));
			continue;
		}
		ok(good && strcmp(list_kind_name(entry.kind), values[i].kind) == 0, "%s is of kind %s%s%s", values[i].text,
		   values[i].kind, good ? "" : ": ", good ? "" : problem);
		is_text(entry.value, values[i].value, "  in canonical form");
		struct list_entry again;
		ok(good && list_value_parse(arena, slice_from(entry.value), &again, &problem) &&
		       strcmp(again.value, entry.value) == 0 && again.kind == entry.kind,
		   "  which reads back to the same");
	}
}

static void test_owners(void)
{
	static const struct {
		const char *text, *owner;
		enum policy_level level;
	} rows[] = {{"", "", POLICY_GLOBAL},
	            {"*", "", POLICY_GLOBAL},
	            {"Example.ORG", "example.org", POLICY_DOMAIN},
	            {"@example.org", "example.org", POLICY_DOMAIN},
	            {"Bob+x@Example.org", "bob+x@example.org", POLICY_USER},
	            {"a b", NULL, POLICY_NONE},
	            {"10.0.0.1", NULL, POLICY_NONE}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct list_entry entry = {.owner = NULL};
		const char *problem;
		bool good = list_owner_parse(arena, slice_from(rows[i].text), &entry, &problem);
		if (ok(good == (rows[i].owner != NULL), "owner \"%s\"", rows[i].text) && good) {
			is_text(entry.owner, rows[i].owner, "  canonical");
			is_int(list_owner_level(entry.owner), rows[i].level, "  of that level");
		}
	}
}

static void test_times(void)
{
	static const struct {
		const char *text;
		long long expires; /* -1: refused */
	} rows[] = {{"30d", NOW + 30 * 86400},
	            {"2w", NOW + 14 * 86400},
	            {"90M", NOW + 90 * 60},
	            {"12h", NOW + 12 * 3600},
	            {"never", 0},
	            {"2025-11-25", 1764115200},
	            {"2025-11-24", -1},
	            {"2025-11-25T01:00:01Z", NOW + 1},
	            {"2025-11-25T01:00:00Z", -1},
	            {"2026-02-29", -1},
	            {"2028-02-29", 1835481600},
	            {"2026-13-01", -1},
	            {"2025-11-25T25:00:00Z", -1},
	            {"1000000w", -1},
	            {"9999-12-31", -1},
	            {"0d", -1},
	            {"d", -1},
	            {"5y", -1},
	            {"", -1}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t expires = 0;
		const char *problem = NULL;
		bool good = list_expiry_parse(arena, slice_from(rows[i].text), NOW, &expires, &problem);
		ok(good == (rows[i].expires >= 0) && (good || problem != NULL), "expires \"%s\"%s", rows[i].text,
		   good ? "" : " is refused");
		if (good) {
			is_int((long long)expires, rows[i].expires, "  then");
		}
	}
}

/* ---- lines ---- */

static const struct {
	const char *line;
	const char *again; /* what it is written as; NULL: the problem holds `says` */
	const char *says;
} lines[] = {
    {"block * spam.example", "block * spam.example", NULL},
    {"  Allow\tBob@Example.org   .partner.example  # a friend ", "allow bob@example.org .partner.example # a friend",
     NULL},
    {"block example.org subject:/cheap  pills/i enforced until=2026-01-01T00:00:00Z by=root # x # y",
     "block example.org subject:/cheap  pills/i enforced until=2026-01-01T00:00:00Z by=root # x # y", NULL},
    {"block * \"a b\"@x.example", "block * \"a b\"@x.example", NULL},
    {"block \"a b\"@x.example y.example", "block \"a b\"@x.example y.example", NULL},
    {"allow * subject:/a b/ forced added=2025-01-01T00:00:00Z",
     "allow * subject:/a b/ forced added=2025-01-01T00:00:00Z", NULL},
    {"block * a#b@x.example", "block * a#b@x.example", NULL},
    {"block * x.example until=1d", "block * x.example until=2025-11-26T01:00:00Z", NULL},
    {"block * x.example until=2020-01-01T00:00:00Z", "block * x.example until=2020-01-01T00:00:00Z", NULL},
    {"{\"action\":\"block\",\"owner\":\"\",\"entry\":\"x.example\",\"note\":\"n\"}", "block * x.example # n", NULL},
    {"{\"action\":\"allow\",\"owner\":\"b@x.example\",\"entry\":\"10.0.0.0/"
     "8\",\"enforced\":false,\"expires\":null,\"kind\":\"network\"}",
     "allow b@x.example 10.0.0.0/8", NULL},
    {"drop * x.example", NULL, "neither allow nor block"},
    {"block * x.example nonsense", NULL, "none of enforced"},
    {"block * x.example until=yesterday", NULL, "is no end"},
    {"block *", NULL, "1 to 1024 bytes"},
    {"allow * x.example enforced", NULL, "only a block can be enforced"},
    {"block * x.example forced", NULL, "only an allow entry can be forced"},
    {"allow * subject:/a/", NULL, "anybody can write that"},
    {"allow * <>", NULL, "anybody can write that"},
    {"block * x.example # \x01", NULL, "a note is"},
    {"block * x.example by=a#b", NULL, "by="},
    {"{\"action\":\"block\"", NULL, "no JSON"},
    {"{\"action\":\"block\",\"entry\":\"x.example\",\"foo\":1}", NULL, "unknown key \"foo\""},
    {"{\"action\":\"block\",\"entry\":5}", NULL, "entry: expected a text"},
    {"{\"action\":\"block\",\"entry\":\"x.example\",\"enforced\":\"yes\"}", NULL, "enforced: expected true or false"},
    {"{\"entry\":\"x.example\"}", NULL, "neither allow nor block"},
};

static void test_lines(void)
{
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct list_entry entry;
		const char *problem = NULL;
		size_t n = strlen(lines[i].line);
		char *exact = malloc(n);
		memcpy(exact, lines[i].line, n);
		enum list_line result = list_line_parse(arena, (struct slice){exact, n}, NULL, NOW, &entry, &problem);
		free(exact);
		if (lines[i].again == NULL) {
			ok(result == LIST_LINE_BAD && strstr(problem, lines[i].says) != NULL, "line refused: %s",
			   text_escape(arena, slice_from(lines[i].line), "", true, 80));
			continue;
		}
		if (!ok(result == LIST_LINE_ENTRY, "line %s: %s", lines[i].line,
		        result == LIST_LINE_ENTRY ? "read" : problem)) {
			continue;
		}
		is_text(list_line_format(arena, &entry), lines[i].again, "  written");
		struct list_entry from_json;
		ok(list_line_parse(arena, slice_from(list_json_format(arena, &entry)), NULL, NOW, &from_json, &problem) ==
		       LIST_LINE_ENTRY,
		   "  in JSON");
		is_text(list_line_format(arena, &from_json), lines[i].again, "  is the same");
	}
	struct list_entry entry;
	const char *problem;
	const struct list_entry defaults = {
	    .owner = "example.org", .action = LIST_BLOCK, .by = "me", .note = "all of them", .enforced = true};
	ok(list_line_parse(arena, SLICE_LITERAL("# comment"), NULL, NOW, &entry, &problem) == LIST_LINE_EMPTY,
	   "a comment is nothing");
	ok(list_line_parse(arena, SLICE_LITERAL("x.example # one"), &defaults, NOW, &entry, &problem) == LIST_LINE_ENTRY,
	   "a bare value with defaults");
	is_text(list_line_format(arena, &entry), "block example.org x.example enforced by=me # one", "  takes them");
}

/* ---- patterns ---- */

static enum list_pattern_result try_pattern(const char *value, struct slice text)
{
	const char *problem;
	struct list_pattern *pattern = list_pattern_compile(arena, slice_from(value), &problem);
	char *exact = malloc(text.len);
	memcpy(exact, text.data, text.len);
	enum list_pattern_result result = list_pattern_match(pattern, (struct slice){exact, text.len});
	free(exact);
	list_pattern_release(pattern);
	return result;
}

static void test_patterns(void)
{
	char many[30000];
	memset(many, 'a', sizeof many);
	many[40] = '!';
	is_int(try_pattern("subject:/cheap/", SLICE_LITERAL("so cheap")), LIST_PATTERN_MATCH, "a pattern matches");
	is_int(try_pattern("subject:/cheap/", SLICE_LITERAL("so CHEAP")), LIST_PATTERN_NO, "with its case");
	is_int(try_pattern("subject:/cheap/i", SLICE_LITERAL("so CHEAP")), LIST_PATTERN_MATCH, "or without");
	is_int(try_pattern("subject:/\xc3\xbc"
	                   "ber/i",
	                   SLICE_LITERAL("\xc3\x9c"
	                                 "BER")),
	       LIST_PATTERN_MATCH, "of letters that are not ASCII, too");
	is_int(try_pattern("subject:/^.b$/", SLICE_LITERAL("\xffrest\xc3")), LIST_PATTERN_NO,
	       "bytes that are no UTF-8 do no harm");
	is_int(try_pattern("subject:/^$/", (struct slice){"", 0}), LIST_PATTERN_MATCH, "an empty text");
	is_int(try_pattern("subject:/^(a+)+$/", (struct slice){many, 41}), LIST_PATTERN_LIMIT,
	       "a catastrophic pattern is given up");
	is_int(try_pattern("subject:/(.*)(.*)(.*)(.*)(.*)x$/s", (struct slice){many, sizeof many}), LIST_PATTERN_LIMIT,
	       "another");
	is_int(try_pattern("subject:/b/", (struct slice){many, sizeof many}), LIST_PATTERN_NO, "a long text is cut");
}

/* ---- the index ---- */

static struct list_entry entry_of(const char *owner, const char *value, enum list_action action)
{
	struct list_entry entry = {.owner = "", .value = "", .by = "me", .note = value};
	const char *problem;
	if (!list_owner_parse(arena, slice_from(owner), &entry, &problem) ||
	    !list_value_parse(arena, slice_from(value), &entry, &problem)) {
		abort();
	}
	entry.action = action;
	return entry;
}

static const struct list_entry *find(const struct list_index *index, const char *owner, const char *value)
{
	struct list_text o = list_index_text(index, owner);
	struct list_text v = list_index_text(index, value);
	return list_index_find(index, &o, &v);
}

static struct list_index *change(struct list_index *index, const struct list_entry *entries, size_t count)
{
	size_t broken;
	struct list_index *next = list_index_change(index, entries, count, &broken);
	list_index_release(index);
	return next;
}

static void count_visit(void *context, const struct list_entry *entry, const struct list_pattern *pattern)
{
	size_t *n = context;
	*n += entry->kind == LIST_PATTERN && strcmp(list_pattern_field(pattern), "subject") == 0;
}

static void test_index(void)
{
	struct list_entry some[] = {
	    entry_of("", "a@x.example", LIST_BLOCK),           entry_of("", "x.example", LIST_ALLOW),
	    entry_of("b@y.example", "x.example", LIST_BLOCK),  entry_of("", "10.0.0.0/8", LIST_BLOCK),
	    entry_of("", "subject:/a/", LIST_BLOCK),           entry_of("", "subject:/b/", LIST_BLOCK),
	    entry_of("b@y.example", "subject:/a/", LIST_BLOCK)};
	struct list_index *index = list_index_create(42);
	ok(find(index, "", "x.example") == NULL, "an empty index has nothing");
	index = change(index, some, sizeof some / sizeof *some);
	is_int((long long)list_index_count(index), 7, "seven entries");
	ok(find(index, "", "x.example")->action == LIST_ALLOW, "found by owner and value");
	ok(find(index, "b@y.example", "x.example")->action == LIST_BLOCK, "another owner's");
	ok(find(index, "c@y.example", "x.example") == NULL, "who has none has none");
	ok(list_index_has_prefix(index, IP_V4, 8) && !list_index_has_prefix(index, IP_V4, 9) &&
	       !list_index_has_prefix(index, IP_V6, 8),
	   "it knows the lengths of its networks");
	size_t patterns = 0;
	struct list_text everybody = list_index_text(index, "");
	list_index_patterns(index, &everybody, count_visit, &patterns);
	is_int((long long)patterns, 2, "an owner's patterns");
	struct list_index_owner totals = list_index_owner(index, &everybody);
	ok(totals.entries == 5 && totals.patterns == 2 && totals.sender_allows == 1, "an owner's totals");
	struct list_index *before = list_index_acquire(index);
	struct list_entry changes[] = {entry_of("", "x.example", LIST_BLOCK), entry_of("", "subject:/a/", LIST_REMOVED),
	                               entry_of("", "never@x.example", LIST_REMOVED)};
	index = change(index, changes, 3);
	totals = list_index_owner(index, &everybody);
	ok(totals.entries == 4 && totals.patterns == 1 && totals.sender_allows == 0, "totals after a change");
	ok(find(index, "", "x.example")->action == LIST_BLOCK && find(before, "", "x.example")->action == LIST_ALLOW,
	   "the former index is as it was");
	is_text(find(index, "", "a@x.example")->note, "a@x.example", "texts are its own");
	list_index_release(before);
	for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
		some[i].action = LIST_REMOVED;
	}
	index = change(index, some, sizeof some / sizeof *some);
	is_int((long long)list_index_count(index), 0, "all removed");
	is_int((long long)list_index_owner(index, &everybody).entries, 0, "of the owner too");
	list_index_release(index);
}

/* Random changes, against a plain array. */
static void test_model(void)
{
	enum { KEYS = 300, ROUNDS = 400 };
	static enum list_action model[KEYS];
	struct list_index *index = list_index_create(7);
	unsigned random = 1;
	size_t wrong = 0;
	for (size_t round = 0; round < ROUNDS; round++) {
		struct list_entry entries[40];
		size_t n = 0;
		bool used[KEYS] = {false};
		for (size_t i = 0; i < 40; i++) {
			random = random * 1103515245 + 12345;
			size_t key = random >> 16 & 0xffff;
			key %= KEYS;
			if (used[key]) {
				continue;
			}
			used[key] = true;
			model[key] = (enum list_action)((random >> 8) % 3);
			entries[n++] = entry_of(key % 3 == 0   ? ""
			                        : key % 3 == 1 ? "x.example"
			                                       : "u@x.example",
			                        arena_printf(arena, "d%zu.example", key), model[key]);
		}
		index = change(index, entries, n);
	}
	size_t count = 0;
	size_t allows = 0;
	for (size_t key = 0; key < KEYS; key++) {
		const struct list_entry *entry = find(index,
		                                      key % 3 == 0   ? ""
		                                      : key % 3 == 1 ? "x.example"
		                                                     : "u@x.example",
		                                      arena_printf(arena, "d%zu.example", key));
		wrong += (entry == NULL ? LIST_REMOVED : entry->action) != model[key];
		count += model[key] != LIST_REMOVED;
		allows += key % 3 == 2 && model[key] == LIST_ALLOW;
	}
	struct list_text user = list_index_text(index, "u@x.example");
	is_int((long long)wrong, 0, "400 rounds of changes: every key as a plain array has it");
	is_int((long long)list_index_count(index), (long long)count, "and as many");
	is_int((long long)list_index_owner(index, &user).sender_allows, (long long)allows,
	       "and as many allow entries of an owner");
	list_index_release(index);
}

int main(void)
{
	arena = arena_create(65536);
	test_values();
	test_owners();
	test_times();
	test_lines();
	test_patterns();
	test_index();
	test_model();
	arena_destroy(arena);
	return done_testing();
}
