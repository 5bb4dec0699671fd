/* The parts of a failure report: which methods it names, what it says of DKIM and SPF, and that no text breaks its
 * form. */
#include "lib/report/dmarc_failure.h"
#include "t/tap.h"

static const unsigned char key[DMARC_FAILURE_KEY_SIZE] = "a key of the test";

static struct dmarc_failure_facts facts_of(const char *kind)
{
	return (struct dmarc_failure_facts){.key = key,
	                                    .reporter = "mx.test.example",
	                                    .auth_failure = kind,
	                                    .spf = "fail",
	                                    .spf_domain = "a.example",
	                                    .dkim = "fail",
	                                    .dkim_domain = "a.example",
	                                    .dmarc = "fail",
	                                    .domain = "a.example",
	                                    .mail_from = "who@a.example",
	                                    .source = "192.0.2.1",
	                                    .delivery = "reject",
	                                    .arrived = 1800000000,
	                                    .author = "who@a.example",
	                                    .date = "then",
	                                    .message_id = "<1@a.example>"};
}

static const char *parts(struct arena *arena, const struct dmarc_failure_facts *facts)
{
	return slice_dup(arena, dmarc_failure_parts(arena, facts));
}

static void has(const char *text, const char *wanted, const char *what)
{
	if (!ok(strstr(text, wanted) != NULL, "%s", what)) {
		printf("# not in: %s\n", text);
	}
}

static void test_alignment(struct arena *arena)
{
	static const struct {
		bool spf, dkim;
		const char *expected;
	} rows[] = {{false, false, "\r\nIdentity-Alignment: dkim, spf\r\n"},
	            {true, false, "\r\nIdentity-Alignment: dkim\r\n"},
	            {false, true, "\r\nIdentity-Alignment: spf\r\n"},
	            {true, true, "\r\nIdentity-Alignment: none\r\n"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dmarc_failure_facts facts = facts_of("dmarc");
		facts.spf_aligned = rows[i].spf;
		facts.dkim_aligned = rows[i].dkim;
		has(parts(arena, &facts), rows[i].expected, rows[i].expected + 2);
	}
}

static void test_methods(struct arena *arena)
{
	struct dmarc_failure_facts facts = facts_of("dmarc");
	has(parts(arena, &facts),
	    "\r\nAuthentication-Results: mx.test.example;\r\n\tdmarc=fail header.from=a.example\r\nReported",
	    "a report about DMARC has its result alone");
	facts.auth_failure = "spf";
	has(parts(arena, &facts),
	    "\r\nAuthentication-Results: mx.test.example;\r\n\tspf=fail smtp.mailfrom=a.example\r\nReported",
	    "one about SPF that of SPF");
	facts.auth_failure = "signature";
	has(parts(arena, &facts),
	    "\r\nAuthentication-Results: mx.test.example;\r\n\tdkim=fail header.d=a.example\r\nReported",
	    "one about a signature that of DKIM");
	has(parts(arena, &facts),
	    "dmarc=fail header.from=a.example;\r\n\tspf=fail smtp.mailfrom=a.example;\r\n\tdkim=fail "
	    "header.d=a.example\r\nFrom: ",
	    "all of them are in the third part");
	ok(strstr(parts(arena, &facts), "DKIM-Selector") == NULL, "no signature failed: no field tells of one");
	facts.dkim_selector = "sel";
	has(parts(arena, &facts), "\r\nDKIM-Domain: a.example\r\nDKIM-Identity: @a.example\r\nDKIM-Selector: sel\r\n",
	    "one that did");
	facts.dkim_identity = "person@a.example";
	const char *text = parts(arena, &facts);
	ok(strstr(text, "person") == NULL && strstr(text, "who@") == NULL, "nobody is named");
}

/* A record of n words, unfolded again, is what it was as far as it goes. */
static void test_record(struct arena *arena, size_t words, const char *word, bool whole)
{
	struct dmarc_failure_facts facts = facts_of("dmarc");
	struct strbuf record;
	strbuf_init(&record, arena);
	strbuf_add_text(&record, "v=spf1");
	for (size_t i = 0; i < words; i++) {
		strbuf_printf(&record, " %s", word);
	}
	facts.spf_record = record.data;
	const char *text = parts(arena, &facts);
	const char *start = strstr(text, "\r\nSPF-DNS: txt : a.example : \"v=spf1");
	if (!ok(start != NULL, "%zu words: the field", words)) {
		return;
	}
	struct strbuf got;
	strbuf_init(&got, arena);
	size_t longest = 0, line = 0;
	const char *c = strchr(start, '"');
	for (; c[0] != '\0' && !(c[0] == '\r' && c[2] != ' '); c++) {
		line = c[0] == '\n' ? 0 : line + 1;
		longest = line > longest ? line : longest;
		if (c[0] != '\r' && c[0] != '\n') {
			strbuf_add_char(&got, c[0]);
		}
	}
	const char *quoted = arena_printf(arena, "\"%s\"", record.data);
	ok(longest <= 998, "no line is too long");
	ok(got.data[got.len - 1] == '"', "the quotes are closed");
	ok(whole ? strcmp(got.data, quoted) == 0 : strncmp(got.data, quoted, got.len - 1) == 0,
	   "and what is between is the record");
}

static void test_hostile(struct arena *arena)
{
	struct dmarc_failure_facts facts = facts_of("dmarc");
	facts.spf_record = "v=spf1 \"\r\n\r\nX: \\\xff";
	facts.mail_from = facts.author = "a\r\nX: b@a.example\r\nX: c";
	facts.dkim_selector = facts.dkim_identity = facts.message_id = facts.date = facts.subject = "\r\n\r\nX: d";
	const char *text = parts(arena, &facts);
	const char *fields = strstr(text, "\r\n\r\n");
	ok(strstr(text, "\nX:") == NULL, "no text makes a field");
	ok(fields != NULL && strstr(fields + 1, "\r\n\r\n") == NULL, "nor an end of the part");
	has(text, "\r\nSPF-DNS: txt : a.example : \"v=spf1 ?????X: ??\"\r\n", "nor of a quoted string");
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	char *giant = arena_alloc(arena, 3001);
	memset(giant, 'x', 3000);
	giant[3000] = '\0';
	test_alignment(arena);
	test_methods(arena);
	test_record(arena, 0, "", true);
	test_record(arena, 1, "-all", true);
	test_record(arena, 60, "ip4:192.0.2.0/24", true);
	test_record(arena, 300, "ip4:192.0.2.0/24", false);
	test_record(arena, 2, giant, false);
	test_hostile(arena);
	arena_destroy(arena);
	return done_testing();
}
